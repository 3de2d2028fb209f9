/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of the store share: store.c (threads and the calls of the stream thread),
 * store_step.c (what is done next), store_room.c (a full disk), store_finish.c, store_here.c.
 * Private to src/archive.
 */
#pragma once

#include "indexer.h"
#include "packing.h"

#include "walrx/archive/room.h"
#include "walrx/archive/segment_writer.h"
#include "walrx/archive/store.h"
#include "walrx/base/ring.h"

#include <pthread.h>
#include <stdatomic.h>

struct Store {
    /* set once */
    const Archive *archive;
    Compressor *compressor;
    const Bell *bell;
    uint8_t *memory;
    size_t capacity;
    bool lazy_allowed; /* compression, and room for two whole segments */
    VerifyMode verify;
    Checker *checker; /* NULL with VERIFY_OFF */
    Indexer *indexer; /* NULL unless there is a checker and the archive keeps an index */
    pthread_t thread;
    /* shared without a lock */
    Ring ring;
    _Atomic Lsn written;
    _Atomic Lsn flushed;        /* moved by store_advance_flush only; set by store_start at rest */
    _Atomic Lsn flush_goal;     /* moved by the stream thread only */
    _Atomic Lsn write_goal;     /* the same */
    atomic_bool producer_waits; /* the ring was full: ring the bell when an extent is free */
    atomic_bool failed;
    atomic_bool no_room;     /* the room is blocked */
    atomic_bool packing_now; /* segments are with the workers, or wait for a place there */
    /* store thread only, and the stream thread while at rest or borrowed */
    SegmentWriter writer;
    Packing packing; /* with `lazy_allowed` */
    Room room;
    bool crowded;          /* there is room, but copies under way may need it first */
    bool room_was_awaited; /* the step at hand could begin after a pause */
    bool unnamed;  /* the segment before the position is whole, and has not got its name yet */
    bool lazy;     /* nothing of the segment at the writer's position has been written */
    bool raw_only; /* until the next start: the workers were not waited for */
    bool damaged;  /* VERIFY_STOP: what was received is right up to checker_safe only */
    Lsn durable;   /* all below is on the disk; flushed is behind it where it waits for the check */
    Lsn unneeded;  /* all below may leave the ring as far as the writer and the workers go */
    Lsn released;  /* all below has left it */
    Lsn named;     /* the indexer knows that all segments below have their names */
    uint64_t sync_ns; /* how long the latest sync took */
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t rest;
    bool poked;     /* something happened since the thread last looked */
    bool asleep;    /* the thread waits for work */
    bool borrowed;  /* by the stream thread: the store thread must not go on */
    bool at_rest;   /* nothing started, or finished, or failed: the thread waits */
    bool finishing; /* write everything, close the segment, then rest */
    bool closing;
    bool unfinished; /* finishing did not make everything durable */
    Error error;     /* with failed, unfinished or no_room */
};

/* The only function that moves `flushed`. The caller has just made every byte below `lsn` durable,
 * and the name of the file that holds it. */
void store_advance_flush(Store *store, Lsn lsn);

/* One step; *ret_worked false when there is nothing to do, or no room for it. Damage that ends the
 * stream fails the store when everything before it is durable. */
bool store_step(Store *store, bool *ret_worked, Error *err) MUST_CHECK;
/* Gives segments whose job is over their final name, in order, and their memory back. */
bool store_retire(Store *store, bool *ret_worked, Error *err) MUST_CHECK;
/* Where the segment that holds lsn ends. */
Lsn store_next_segment(const Store *store, Lsn lsn);
/* Gives the ring's memory back as far as nobody needs it. */
void store_release_unneeded(Store *store);

/* May a step begin that takes so many bytes, besides what compressed copies under way will take?
 * False: it waits. */
bool store_may_take(Store *store, uint64_t needed);
/* It has been made. */
void store_took(Store *store);
/* The disk refused. False: it failed for good. */
bool store_refused(Store *store, RoomBlock what, const Error *err) MUST_CHECK;
/* What was refused has been done. */
void store_found_room(Store *store, RoomBlock what);
/* When to make the next step at the latest, though nobody pokes; UINT64_MAX: never. */
uint64_t store_next_look(const Store *store);
/* Notes whether a worker waits for room with a segment that is not durable yet. */
void store_note_copies(Store *store);

/* Everything received becomes durable: whole segments by way of the workers, in a hurry only for a
 * while, the rest as it is. The ring's memory is free on return, also when there was no room
 * (ERROR_NO_ROOM): then what is not durable is dropped, and the writer is closed. */
bool store_finish_all(Store *store, Error *err) MUST_CHECK;

/* The thread has nothing more to do until the next start; after an error other than ERROR_NO_ROOM
 * never again. NULL: no error. */
void store_rest(Store *store, const Error *error);
