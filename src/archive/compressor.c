/* SPDX-License-Identifier: PostgreSQL
 *
 * See compressor.h. Three queues under one mutex: jobs that hold the ring's memory, other jobs of
 * the stream, and what a crash left. Each worker takes the oldest job of the first that has one;
 * the first error stops them all and rings the bell. A full disk is none: the job waits for room.
 */
#include "walrx/archive/compressor.h"

#include "compress_job.h"

#include "walrx/archive/inventory.h"
#include "walrx/archive/room.h"
#include "walrx/os/clock.h"
#include "walrx/os/durable.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#define QUEUE_SIZE 64
/* How far below the newest compressed segment a crash can have left raw ones: all that were queued
 * or in work. */
#define LOOK_BACK (QUEUE_SIZE + 64)

/* Every job takes and gives back the same buffers. glibc adapts itself to the largest of them and
 * then keeps several times that for each worker, outside --memory. Fixed limits: what is larger
 * (tables and output of slow levels) goes back to the kernel, smaller ones are kept for the next
 * job. */
#define KEPT_BUFFER (3 * 1024 * 1024)
#define KEPT_FREE (4 * 1024 * 1024)

/* A ring. */
typedef struct JobQueue {
    CompressJob jobs[QUEUE_SIZE];
    unsigned head; /* oldest job */
    unsigned count;
} JobQueue;

typedef struct Worker {
    Compressor *compressor;
    pthread_t thread;
    Lsn raw_start; /* under the mutex; of its job's durable raw segment, else UINT64_MAX */
} Worker;

struct Compressor {
    /* set once */
    const Archive *archive;
    CompressSpec spec;
    size_t memory; /* for one worker's codec */
    const Bell *failed_bell;
    Worker *workers;
    unsigned worker_count;
    unsigned thread_count;      /* of them, how many were started */
    atomic_bool abort;          /* any thread sets it */
    _Atomic Lsn oldest_waiting; /* moved under the mutex */
    /* under the mutex */
    pthread_mutex_t mutex;
    void (*done)(void *context);
    void *done_context;
    pthread_cond_t changed; /* a job came or went, or the end was asked for */
    JobQueue awaited;       /* from the ring, which is not free before they are done */
    JobQueue live;          /* from files that are durable already */
    JobQueue leftovers;
    unsigned running;
    unsigned short_of_room; /* of those */
    unsigned short_awaited; /* of those, with a ticket */
    Error shortage;         /* of the latest */
    bool hurry;
    bool closing;
    bool failed;
    Error error;
};

static bool queue_put(JobQueue *queue, const CompressJob *job)
{
    if (queue->count == QUEUE_SIZE)
        return false;
    queue->jobs[(queue->head + queue->count++) % QUEUE_SIZE] = *job;
    return true;
}

static bool queue_take(JobQueue *queue, CompressJob *ret)
{
    if (queue->count == 0)
        return false;
    *ret = queue->jobs[queue->head];
    queue->head = (queue->head + 1) % QUEUE_SIZE;
    queue->count--;
    return true;
}

/* Where a segment begins that is durable already. */
static Lsn raw_start(const Compressor *compressor, const CompressJob *job)
{
    return job->has_raw ? segment_start(job->segno, compressor->archive->segment_size) : UINT64_MAX;
}

static Lsn oldest_in(const Compressor *compressor, const JobQueue *queue, Lsn oldest)
{
    for (unsigned i = 0; i < queue->count; i++) {
        Lsn start = raw_start(compressor, &queue->jobs[(queue->head + i) % QUEUE_SIZE]);
        oldest = start < oldest ? start : oldest;
    }
    return oldest;
}

/* Under the mutex, after a job came or went. */
static void note_waiting(Compressor *compressor)
{
    Lsn oldest = oldest_in(compressor, &compressor->awaited, UINT64_MAX);
    oldest = oldest_in(compressor, &compressor->live, oldest);
    oldest = oldest_in(compressor, &compressor->leftovers, oldest);
    for (unsigned i = 0; i < compressor->worker_count; i++)
        oldest =
            compressor->workers[i].raw_start < oldest ? compressor->workers[i].raw_start : oldest;
    atomic_store(&compressor->oldest_waiting, oldest);
    archive_metrics_queued(compressor->archive->metrics,
                           (uint64_t)compressor->awaited.count + compressor->live.count +
                               compressor->leftovers.count + compressor->running);
}

/* Bytes of the copy a job has just made; 0 where it cannot be looked at. */
static uint64_t copy_size(const Compressor *compressor, const CompressJob *job)
{
    const Archive *archive = compressor->archive;
    char packed[WAL_FILE_NAME_SIZE];
    char temporary[COMPRESS_TEMP_SIZE];
    bool exists;
    uint64_t size = 0;
    Error ignored;
    wal_segment_name(job->timeline, job->segno, archive->segment_size, compressor->spec.method,
                     false, packed);
    compress_job_temporary(packed, temporary);
    if (!file_status(job->has_raw ? &archive->dir : &archive->private,
                     job->has_raw ? packed : temporary, &exists, &size, &ignored))
        return 0;
    return size;
}

static bool do_job(Compressor *compressor, const CompressJob *job, Error *err)
{
    char raw[WAL_FILE_NAME_SIZE];
    char packed[WAL_FILE_NAME_SIZE];
    uint32_t crc;
    uint32_t size = compressor->archive->segment_size;
    CompressInput input = {.raw = job->has_raw ? raw : NULL, .memory = job->memory, .length = size};
    CompressWay way = {
        .spec = compressor->spec,
        .memory = compressor->memory,
        .abort = &compressor->abort,
        .withdrawn = job->ticket != NULL ? &job->ticket->withdrawn : NULL,
    };
    wal_segment_name(job->timeline, job->segno, size, WAL_RAW, false, raw);
    wal_segment_name(job->timeline, job->segno, size, compressor->spec.method, false, packed);
    if (job->has_raw)
        return compress_job_run(compressor->archive, &way, &input, packed, err);
    return compress_job_write(compressor->archive, &way, &input, packed, &crc, err);
}

/* Under the mutex. */
static void fill_ticket(Compressor *compressor, const CompressJob *job, CompressOutcome outcome)
{
    if (job->ticket == NULL)
        return;
    atomic_store(&job->ticket->outcome, (int)outcome);
    if (compressor->done != NULL)
        compressor->done(compressor->done_context);
}

/* Under the mutex. Is waiting for room in vain? */
static bool must_end(const Compressor *compressor, const CompressJob *job)
{
    return compressor->closing || atomic_load(&compressor->abort) ||
           (job->ticket != NULL && atomic_load(&job->ticket->withdrawn));
}

/* Under the mutex, which is free meanwhile. False: the job must end. */
static bool sleep_for_room(Compressor *compressor, const CompressJob *job, Room *room)
{
    uint64_t free_bytes;
    Error ignored; /* where nobody can tell, trying does */
    do {
        int rc = 0;
        (void)room_block(room, ROOM_SEGMENT, true, clock_monotonic_ms());
        struct timespec until = {.tv_sec = (time_t)(room->look_ms / 1000),
                                 .tv_nsec = (long)(room->look_ms % 1000) * 1000000};
        while (rc == 0 && !must_end(compressor, job))
            rc = pthread_cond_clockwait(&compressor->changed, &compressor->mutex, CLOCK_MONOTONIC,
                                        &until);
        if (rc == 0)
            return false;
    } while (file_space_left(&compressor->archive->dir, &free_bytes, &ignored) &&
             !room_enough(room, free_bytes, 0));
    return true;
}

/* The disk is full: the segment stays where it is, and the job is done again from its start when
 * there is room for it. */
static bool wait_for_room(Compressor *compressor, const CompressJob *job, Room *room, Error *err)
{
    char packed[WAL_FILE_NAME_SIZE];
    const Archive *archive = compressor->archive;
    wal_segment_name(job->timeline, job->segno, archive->segment_size, compressor->spec.method,
                     false, packed);
    compress_job_discard(archive, packed);
    (void)pthread_mutex_lock(&compressor->mutex);
    compressor->shortage = *err;
    compressor->short_of_room++;
    if (job->ticket != NULL)
        compressor->short_awaited++;
    if (compressor->done != NULL)
        compressor->done(compressor->done_context);
    bool go_on = sleep_for_room(compressor, job, room);
    compressor->short_of_room--;
    if (job->ticket != NULL)
        compressor->short_awaited--;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return go_on || error_set(err, ERROR_STOPPED, "compression was interrupted");
}

static void run_job(Worker *worker, const CompressJob *job)
{
    Compressor *compressor = worker->compressor;
    Error error;
    Room room;
    room_init(&room, 0, compressor->archive->segment_size);
    uint64_t began_ns = clock_monotonic_ns();
    bool ok = do_job(compressor, job, &error);
    while (!ok && error.class == ERROR_NO_ROOM && wait_for_room(compressor, job, &room, &error)) {
        began_ns = clock_monotonic_ns();
        ok = do_job(compressor, job, &error);
    }
    uint64_t took_ns = clock_monotonic_ns() - began_ns;
    uint64_t size = ok ? copy_size(compressor, job) : 0;
    (void)pthread_mutex_lock(&compressor->mutex);
    compressor->running--;
    worker->raw_start = UINT64_MAX;
    note_waiting(compressor);
    if (ok)
        archive_metrics_compressed(compressor->archive->metrics, took_ns,
                                   compressor->archive->segment_size, size);
    bool tell = !ok && error.class != ERROR_STOPPED && !compressor->failed;
    if (tell) {
        compressor->failed = true;
        compressor->error = error;
    }
    fill_ticket(compressor, job, ok ? COMPRESS_DONE : COMPRESS_FAILED);
    (void)pthread_cond_broadcast(&compressor->changed);
    (void)pthread_mutex_unlock(&compressor->mutex);
    if (tell) {
        atomic_store(&compressor->abort, true);
        bell_ring(compressor->failed_bell);
    }
}

/* Under the mutex. */
static bool take_next(Compressor *compressor, CompressJob *ret)
{
    return queue_take(&compressor->awaited, ret) || queue_take(&compressor->live, ret) ||
           queue_take(&compressor->leftovers, ret);
}

static bool take_job(Worker *worker, CompressJob *ret)
{
    Compressor *compressor = worker->compressor;
    (void)pthread_mutex_lock(&compressor->mutex);
    bool have = false;
    for (;;) {
        have = take_next(compressor, ret);
        if (have || compressor->closing)
            break;
        (void)pthread_cond_wait(&compressor->changed, &compressor->mutex);
    }
    if (have) {
        compressor->running++;
        worker->raw_start = raw_start(compressor, ret);
        (void)pthread_cond_broadcast(&compressor->changed);
    }
    (void)pthread_mutex_unlock(&compressor->mutex);
    return have;
}

static void *worker_main(void *argument)
{
    Worker *worker = argument;
    CompressJob job;
    while (take_job(worker, &job))
        run_job(worker, &job);
    return NULL;
}

bool compressor_start(const Archive *archive, CompressSpec spec, unsigned workers, size_t memory,
                      const Bell *failed, Compressor **ret, Error *err)
{
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BUFFER);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    Compressor *compressor = calloc(1, sizeof(*compressor));
    if (compressor != NULL)
        compressor->workers = calloc(workers, sizeof(compressor->workers[0]));
    if (compressor == NULL || compressor->workers == NULL) {
        free(compressor);
        return error_set(err, ERROR_MEMORY, "out of memory for the compression workers");
    }
    compressor->archive = archive;
    compressor->spec = spec;
    compressor->memory = memory;
    compressor->failed_bell = failed;
    compressor->worker_count = workers;
    atomic_store(&compressor->oldest_waiting, UINT64_MAX);
    (void)pthread_mutex_init(&compressor->mutex, NULL);
    (void)pthread_cond_init(&compressor->changed, NULL);
    for (unsigned i = 0; i < workers; i++)
        compressor->workers[i] = (Worker){.compressor = compressor, .raw_start = UINT64_MAX};
    for (unsigned i = 0; i < workers; i++) {
        Worker *worker = &compressor->workers[i];
        int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (rc != 0) {
            compressor_stop(compressor);
            return error_set_errno(err, ERROR_MEMORY, rc, "could not start a compression worker");
        }
        compressor->thread_count++;
    }
    *ret = compressor;
    return true;
}

typedef enum Queued {
    QUEUED,
    QUEUE_FULL,
    QUEUE_CLOSED, /* a worker failed, or the end was asked for */
} Queued;

/* Under the mutex. */
static Queued enqueue(Compressor *compressor, JobQueue *queue, const CompressJob *job)
{
    if (compressor->closing || compressor->failed)
        return QUEUE_CLOSED;
    if (!queue_put(queue, job))
        return QUEUE_FULL;
    note_waiting(compressor);
    (void)pthread_cond_broadcast(&compressor->changed);
    return QUEUED;
}

bool compressor_submit(Compressor *compressor, const CompressJob *job)
{
    JobQueue *queue = job->memory != NULL ? &compressor->awaited : &compressor->live;
    (void)pthread_mutex_lock(&compressor->mutex);
    while (queue->count == QUEUE_SIZE && !(compressor->hurry && job->has_raw) &&
           !compressor->closing && !compressor->failed)
        (void)pthread_cond_wait(&compressor->changed, &compressor->mutex);
    Queued result = enqueue(compressor, queue, job);
    (void)pthread_mutex_unlock(&compressor->mutex);
    if (result == QUEUE_FULL && job->ticket != NULL)
        atomic_store(&job->ticket->outcome, COMPRESS_DONE); /* as far as its memory goes */
    return result != QUEUE_CLOSED;
}

void compressor_on_done(Compressor *compressor, void (*done)(void *context), void *context)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    compressor->done = done;
    compressor->done_context = context;
    (void)pthread_mutex_unlock(&compressor->mutex);
}

CompressSpec compressor_spec(const Compressor *compressor)
{
    return compressor->spec;
}

bool compressor_error(Compressor *compressor, Error *ret)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    bool failed = compressor->failed;
    if (failed)
        *ret = compressor->error;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return failed;
}

/* Jobs that are dropped count as failed for whoever lent them memory. */
static void drop_queue(Compressor *compressor)
{
    CompressJob job;
    while (take_next(compressor, &job))
        fill_ticket(compressor, &job, COMPRESS_FAILED);
    note_waiting(compressor);
}

static void close_queue(Compressor *compressor, bool drop)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    compressor->closing = true;
    if (drop)
        drop_queue(compressor);
    (void)pthread_cond_broadcast(&compressor->changed);
    (void)pthread_mutex_unlock(&compressor->mutex);
}

void compressor_hurry(Compressor *compressor, bool hurry)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    compressor->hurry = hurry;
    (void)pthread_cond_broadcast(&compressor->changed);
    (void)pthread_mutex_unlock(&compressor->mutex);
}

bool compressor_in_hurry(Compressor *compressor)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    bool hurry = compressor->hurry;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return hurry;
}

void compressor_withdraw(Compressor *compressor, CompressTicket *ticket)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    atomic_store(&ticket->withdrawn, true);
    JobQueue *queue = &compressor->awaited; /* tickets are for memory */
    /* Once around: each job leaves at the head and comes back at the tail, but for this one. */
    for (unsigned left = queue->count; left > 0; left--) {
        CompressJob job;
        (void)queue_take(queue, &job);
        if (job.ticket == ticket)
            fill_ticket(compressor, &job, COMPRESS_FAILED);
        else
            (void)queue_put(queue, &job);
    }
    note_waiting(compressor);
    (void)pthread_cond_broadcast(&compressor->changed);
    (void)pthread_mutex_unlock(&compressor->mutex);
}

void compressor_abort(Compressor *compressor)
{
    atomic_store(&compressor->abort, true);
    close_queue(compressor, true);
}

Lsn compressor_oldest_waiting(const Compressor *compressor)
{
    return atomic_load(&compressor->oldest_waiting);
}

bool compressor_idle(Compressor *compressor)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    bool idle = compressor->awaited.count == 0 && compressor->live.count == 0 &&
                compressor->leftovers.count == 0 && compressor->running == 0;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return idle;
}

void compressor_stop(Compressor *compressor)
{
    if (compressor == NULL)
        return;
    close_queue(compressor, atomic_load(&compressor->abort));
    for (unsigned i = 0; i < compressor->thread_count; i++)
        (void)pthread_join(compressor->workers[i].thread, NULL);
    (void)pthread_cond_destroy(&compressor->changed);
    (void)pthread_mutex_destroy(&compressor->mutex);
    free(compressor->workers);
    free(compressor);
}

static bool put_leftover(Compressor *compressor, const CompressJob *job)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    bool queued = enqueue(compressor, &compressor->leftovers, job) == QUEUED;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return queued;
}

static bool submit_raw_of(Compressor *compressor, const Archive *archive,
                          const TimelineInventory *timeline, Error *err)
{
    InventoryNewest raw = timeline->complete[WAL_RAW];
    InventoryNewest packed = timeline->complete[compressor->spec.method];
    if (!raw.any || !packed.any)
        return true; /* an archive that never was compressed stays as it is */
    SegNo lowest = packed.segno > LOOK_BACK ? packed.segno - LOOK_BACK : 0;
    SegNo highest = raw.segno;
    /* Newer ones than the newest compressed first: a long raw tail is not ours to compress at once.
     */
    if (highest > packed.segno + LOOK_BACK)
        highest = packed.segno + LOOK_BACK;
    for (SegNo segno = lowest; segno <= highest; segno++) {
        char name[WAL_FILE_NAME_SIZE];
        bool exists;
        uint64_t size;
        wal_segment_name(timeline->timeline, segno, archive->segment_size, WAL_RAW, false, name);
        if (!file_status(&archive->dir, name, &exists, &size, err))
            return false;
        CompressJob job = {.timeline = timeline->timeline, .segno = segno, .has_raw = true};
        if (exists && size == archive->segment_size && !put_leftover(compressor, &job))
            return true; /* receiving must not wait for this: the next start takes the rest */
    }
    return true;
}

unsigned compressor_copies(Compressor *compressor)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    unsigned copies = compressor->awaited.count + compressor->running - compressor->short_of_room;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return copies;
}

bool compressor_short_of_room(Compressor *compressor, bool awaited, Error *ret)
{
    (void)pthread_mutex_lock(&compressor->mutex);
    bool is_short = compressor->short_of_room > 0;
    if (awaited)
        is_short = compressor->short_awaited > 0 ||
                   (compressor->awaited.count > 0 &&
                    compressor->short_of_room == compressor->thread_count);
    if (is_short)
        *ret = compressor->shortage;
    (void)pthread_mutex_unlock(&compressor->mutex);
    return is_short;
}

bool compressor_submit_leftovers(Compressor *compressor, const Archive *archive, Error *err)
{
    Inventory inventory;
    if (!inventory_scan(&archive->dir, archive->segment_size, &inventory, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < inventory.count; i++)
        ok = submit_raw_of(compressor, archive, &inventory.timelines[i], err);
    inventory_free(&inventory);
    return ok;
}

bool compress_partial(const Archive *archive, CompressSpec spec, Timeline timeline, SegNo segno,
                      uint64_t length, size_t memory, Error *err)
{
    char raw[WAL_FILE_NAME_SIZE];
    char packed[WAL_FILE_NAME_SIZE];
    bool exists;
    uint64_t size;
    wal_segment_name(timeline, segno, archive->segment_size, WAL_RAW, true, raw);
    wal_segment_name(timeline, segno, archive->segment_size, spec.method, true, packed);
    CompressInput input = {.raw = raw, .length = length};
    CompressWay way = {.spec = spec, .memory = memory};
    if (!file_status(&archive->dir, packed, &exists, &size, err))
        return false;
    /* Merging (partial_expand) takes the compressed one away, so this one never was merged and may
     * hold bytes that the raw one does not. */
    if (exists || compress_job_run(archive, &way, &input, packed, err))
        return true;
    if (err->class == ERROR_NO_ROOM)
        compress_job_discard(archive, packed);
    return false;
}
