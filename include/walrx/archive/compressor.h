/* SPDX-License-Identifier: PostgreSQL
 *
 * Workers that turn complete raw segments into compressed ones. The raw file stays until the copy
 * is durable and reads back to the same checksum, so a crash at any moment leaves at least one good
 * file.
 *
 * The queue is bounded: compressor_submit waits when it is full, which fills the ring behind the
 * store thread, which stops the stream reading; nothing is dropped.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"
#include "walrx/codec/codec.h"
#include "walrx/os/wakeup.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Compressor Compressor;

/* What became of a job that was submitted with memory. */
typedef enum CompressOutcome {
    COMPRESS_PENDING = 0,
    COMPRESS_DONE,
    COMPRESS_FAILED, /* see compressor_error; or aborted: then there is no error */
} CompressOutcome;

/* Filled by a worker; the owner keeps it until the outcome is no longer pending. */
typedef struct CompressTicket {
    atomic_int outcome;    /* CompressOutcome; the last thing the worker touches */
    atomic_bool withdrawn; /* set by compressor_withdraw; false when the job is submitted */
} CompressTicket;

typedef struct CompressJob {
    Timeline timeline;
    SegNo segno;
    const uint8_t *memory; /* the whole segment, borrowed until the ticket is filled; NULL: the raw
                              file is read */
    bool
        has_raw; /* the raw segment is durable under its final name, and goes when the copy is
                    there. Without: the durable copy stays under its temporary name (compress_job.h)
                    for the owner to publish, for only he knows what must come before */
    CompressTicket *ticket; /* NULL: nobody waits */
} CompressJob;

/* `failed` is rung when a worker met an error. workers >= 1, each with `memory` bytes for its codec
 * (see encoder_new). */
bool compressor_start(const Archive *archive, CompressSpec spec, unsigned workers, size_t memory,
                      const Bell *failed, Compressor **ret, Error *err) MUST_CHECK;
/* `done` is called after each ticket that is filled, one at a time, by workers and by whoever
 * aborts; NULL: nothing is. Once this returns, the old one is not running and not called again. It
 * may not call the compressor. */
void compressor_on_done(Compressor *compressor, void (*done)(void *context), void *context);

CompressSpec compressor_spec(const Compressor *compressor);

/* Queues a job, before those of compressor_submit_leftovers. Waits while the queue is full; false
 * when a worker failed or the compressor was aborted. */
bool compressor_submit(Compressor *compressor, const CompressJob *job);

/* The first error of a worker. False when there is none. */
bool compressor_error(Compressor *compressor, Error *ret);

/* While it is on, submit does not wait but leaves what finds no place in the queue raw, for the
 * next start: somebody waits for the store. */
void compressor_hurry(Compressor *compressor, bool hurry);
bool compressor_in_hurry(Compressor *compressor);

/* The job is no longer wanted: one that waits leaves the queue, one that runs ends early. Its
 * ticket is filled soon, with COMPRESS_FAILED unless it was done before. */
void compressor_withdraw(Compressor *compressor, CompressTicket *ticket);

/* Stop taking and starting jobs; running ones end early and leave their raw file. */
void compressor_abort(Compressor *compressor);

/* Where the oldest segment begins that is durable as a raw file and waits for its copy; UINT64_MAX:
 * none does. By any thread, without a lock. */
Lsn compressor_oldest_waiting(const Compressor *compressor);

/* True once all submitted jobs are done (or aborted). */
bool compressor_idle(Compressor *compressor);

/* Waits for the workers and frees; NULL is fine. */
void compressor_stop(Compressor *compressor);

/* Queues what a crash left: raw segments newer than the newest compressed one of the same timeline,
 * and pairs of raw and compressed (bounded look back). They are done when there is nothing else to
 * do. Does not wait: what their queue cannot take is left for the next start. */
bool compressor_submit_leftovers(Compressor *compressor, const Archive *archive,
                                 Error *err) MUST_CHECK;

/* Compresses the open segment's first `length` bytes to NAME.SUFFIX.partial, with `memory` for the
 * codec, and removes the raw partial: what pg_receivewal leaves after a clean stop. When there is a
 * file of that name already, both stay as they are, for the next start to merge. */
bool compress_partial(const Archive *archive, CompressSpec spec, Timeline timeline, SegNo segno,
                      uint64_t length, size_t memory, Error *err) MUST_CHECK;
