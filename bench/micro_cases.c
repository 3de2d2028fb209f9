/* SPDX-License-Identifier: PostgreSQL
 *
 * See micro.h: the functions of walrx whose speed matters, each in a loop of its own.
 */
#include "micro.h"

#include "walrx/base/histogram.h"
#include "walrx/proto/crc32c.h"
#include "walrx/proto/segment.h"
#include "walrx/proto/walscan.h"

#include <stdlib.h>
#include <string.h>

#define CALLS 100000
#define PIECE ((size_t)1 << 20) /* as the compressor feeds an encoder: an extent */

static bool keep(void *context, const void *data, size_t length, Error *err)
{
    MicroState *state = context;
    if (length > state->packed_capacity - state->packed_length) {
        size_t capacity = (state->packed_length + length) * 2;
        uint8_t *larger = realloc(state->packed, capacity);
        if (larger == NULL)
            return error_set(err, ERROR_MEMORY, "out of memory");
        state->packed = larger;
        state->packed_capacity = capacity;
    }
    memcpy(state->packed + state->packed_length, data, length);
    state->packed_length += length;
    return true;
}

static bool count(void *context, const void *data, size_t length, Error *err)
{
    MicroState *state = context;
    (void)data;
    (void)err;
    state->seen += length;
    return true;
}

static bool compress_input(MicroState *state, uint64_t *ret_amount, Error *err)
{
    const MicroInput *input = state->input;
    Encoder *encoder = encoder_new(state->spec, input->length, CODEC_MEMORY_ANY, err);
    bool ok = encoder != NULL;
    state->packed_length = 0;
    for (size_t at = 0; ok && at < input->length; at += PIECE) {
        size_t length = input->length - at < PIECE ? input->length - at : PIECE;
        ok = encoder_write(encoder, input->wal + at, length, keep, state, err);
    }
    ok = ok && encoder_finish(encoder, keep, state, err);
    encoder_free(encoder);
    *ret_amount = input->length;
    return ok;
}

static bool decompress_input(MicroState *state, uint64_t *ret_amount, Error *err)
{
    Decoder *decoder = decoder_new(state->spec.method, err);
    state->seen = 0;
    bool ok = decoder != NULL &&
              decoder_write(decoder, state->packed, state->packed_length, count, state, err) &&
              decoder_finish(decoder, err);
    decoder_free(decoder);
    *ret_amount = state->seen;
    return ok && (state->seen == state->input->length ||
                  error_set(err, ERROR_ARCHIVE, "not what was compressed"));
}

static bool format_names(MicroState *state, uint64_t *ret_amount, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    (void)err;
    for (unsigned i = 0; i < CALLS; i++) {
        wal_segment_name(1, i, state->input->segment_size, WAL_ZSTD, false, name);
        state->seen += (uint64_t)name[20];
    }
    *ret_amount = CALLS;
    return true;
}

static bool parse_names(MicroState *state, uint64_t *ret_amount, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(1, 4711, state->input->segment_size, WAL_ZSTD, false, name);
    for (unsigned i = 0; i < CALLS; i++) {
        WalFileName file;
        SegNo segno;
        name[23] = (char)('0' + i % 8);
        if (!wal_file_parse(name, &file) ||
            !wal_file_segno(&file, state->input->segment_size, &segno))
            return error_set(err, ERROR_ARCHIVE, "\"%s\" is no segment's name", name);
        state->seen += segno;
    }
    *ret_amount = CALLS;
    return true;
}

static bool record_values(MicroState *state, uint64_t *ret_amount, Error *err)
{
    static Histogram histogram;
    uint64_t value = 1;
    (void)err;
    histogram_reset(&histogram);
    for (unsigned i = 0; i < CALLS; i++) {
        value = value * UINT64_C(6364136223846793005) + 1442695040888963407U;
        histogram_record(&histogram, value >> 40);
    }
    state->seen += histogram_max(&histogram);
    *ret_amount = CALLS;
    return true;
}

static bool sum_crc(MicroState *state, uint64_t *ret_amount, Error *err)
{
    (void)err;
    state->seen += crc32c_update(CRC32C_INIT, state->input->wal, state->input->length);
    *ret_amount = state->input->length;
    return true;
}

static bool sum_crc_table(MicroState *state, uint64_t *ret_amount, Error *err)
{
    (void)err;
    state->seen += crc32c_update_table(CRC32C_INIT, state->input->wal, state->input->length);
    *ret_amount = state->input->length;
    return true;
}

static bool scan_wal(MicroState *state, uint64_t *ret_amount, Error *err)
{
    const MicroInput *input = state->input;
    WalScanner scanner;
    wal_scan_init(&scanner, input->start, input->segment_size, input->system_identifier);
    if (wal_scan_feed(&scanner, input->wal, input->length) == WAL_SCAN_DAMAGED) {
        *err = scanner.error;
        return false;
    }
    state->seen += scanner.records;
    *ret_amount = scanner.position - input->start;
    return *ret_amount > 0 || error_set(err, ERROR_ARCHIVE, "no WAL in the input");
}

#define CODEC(text, method, level)                                                                 \
    {"compress " text, MICRO_MB_PER_S, compress_input, NULL, {method, level}},                     \
    {                                                                                              \
        "decompress " text, MICRO_MB_PER_S, decompress_input, compress_input,                      \
        {                                                                                          \
            method, level                                                                          \
        }                                                                                          \
    }

const MicroCase micro_cases[] = {
    CODEC("gzip:1", WAL_GZIP, 1),
    CODEC("gzip:6", WAL_GZIP, 6),
    CODEC("lz4", WAL_LZ4, 1),
    CODEC("zstd:1", WAL_ZSTD, 1),
    CODEC("zstd:3", WAL_ZSTD, 3),
    {"crc32c", MICRO_GB_PER_S, sum_crc, NULL, {WAL_RAW, 0}},
    {"crc32c table", MICRO_GB_PER_S, sum_crc_table, NULL, {WAL_RAW, 0}},
    {"scan", MICRO_MB_PER_S, scan_wal, NULL, {WAL_RAW, 0}},
    {"name format", MICRO_NS, format_names, NULL, {WAL_RAW, 0}},
    {"name parse", MICRO_NS, parse_names, NULL, {WAL_RAW, 0}},
    {"histogram record", MICRO_NS, record_values, NULL, {WAL_RAW, 0}},
};
const size_t micro_case_count = sizeof(micro_cases) / sizeof(micro_cases[0]);
