/* SPDX-License-Identifier: PostgreSQL
 *
 * What one micro benchmark is: a function that does a piece of work once, and says how much it was.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/codec/codec.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The WAL that is compressed, scanned and summed up; starts at a segment's first byte. */
typedef struct MicroInput {
    uint8_t *wal;
    size_t length;
    Lsn start;
    uint32_t segment_size;
    uint64_t system_identifier;
} MicroInput;

/* State of a case between calls; freed by its owner. */
typedef struct MicroState {
    const MicroInput *input;
    CompressSpec spec;
    uint8_t *packed; /* the input, compressed: grows as needed */
    size_t packed_length;
    size_t packed_capacity;
    uint64_t seen; /* results go here, so that the compiler cannot drop the work */
} MicroState;

/* Does the work once. *ret_amount: bytes for MB/s and GB/s, calls for ns. */
typedef bool (*MicroWork)(MicroState *state, uint64_t *ret_amount, Error *err);

typedef enum MicroUnit { MICRO_MB_PER_S, MICRO_GB_PER_S, MICRO_NS } MicroUnit;

typedef struct MicroCase {
    const char *name;
    MicroUnit unit;
    MicroWork work;
    MicroWork prepare; /* once before the first round; may be NULL */
    CompressSpec spec;
} MicroCase;

extern const MicroCase micro_cases[];
extern const size_t micro_case_count;
