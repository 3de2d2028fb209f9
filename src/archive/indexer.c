/* SPDX-License-Identifier: PostgreSQL
 *
 * See indexer.h. The mutex is held for a moment only: nothing is written or allocated under it but
 * an entry's few hundred bytes.
 */
#include "indexer.h"

#include "index_internal.h"

#include "walrx/os/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* More segments than a ring of usual size holds. */
#define QUEUE_MAX 512

typedef struct Waiting {
    uint8_t *bytes; /* an encoded entry, owned */
    size_t length;
    Lsn end;  /* of its segment */
    bool due; /* its segment has its name */
} Waiting;

struct Indexer {
    const Archive *archive; /* set once */
    pthread_t thread;
    /* the thread's own */
    bool told;        /* that the index cannot be written */
    IndexEntry entry; /* the one at hand */
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    Waiting queue[QUEUE_MAX]; /* in the order of their positions */
    size_t count;
    Lsn named;
    bool closing;
};

static bool write_entry(Indexer *indexer, const Waiting *waiting, Error *err)
{
    bool exists;
    IndexEntry *entry = &indexer->entry;
    if (!index_decode(waiting->bytes, waiting->length, entry))
        return true;
    if (!index_date(indexer->archive, entry, &exists, err))
        return false;
    return !exists || index_append(indexer->archive, entry, err);
}

static void write_and_tell(Indexer *indexer, const Waiting *waiting)
{
    Error error;
    if (write_entry(indexer, waiting, &error)) {
        indexer->told = false;
        return;
    }
    if (indexer->told)
        return;
    indexer->told = true;
    (void)error_hint(&error, "Only the segment index lacks it: whoever needs it reads the WAL.");
    log_error(LOG_WARNING, NULL, &error);
}

/* Under the mutex. */
static bool take_due(Indexer *indexer, Waiting *ret)
{
    if (indexer->count == 0 || !indexer->queue[0].due)
        return false;
    *ret = indexer->queue[0];
    indexer->count--;
    memmove(indexer->queue, indexer->queue + 1, indexer->count * sizeof(indexer->queue[0]));
    return true;
}

static void *indexer_main(void *argument)
{
    Indexer *indexer = argument;
    Waiting waiting;
    (void)pthread_mutex_lock(&indexer->mutex);
    for (;;) {
        if (take_due(indexer, &waiting)) {
            (void)pthread_mutex_unlock(&indexer->mutex);
            write_and_tell(indexer, &waiting);
            free(waiting.bytes);
            (void)pthread_mutex_lock(&indexer->mutex);
        } else if (indexer->closing) {
            break;
        } else {
            (void)pthread_cond_wait(&indexer->changed, &indexer->mutex);
        }
    }
    (void)pthread_mutex_unlock(&indexer->mutex);
    return NULL;
}

bool indexer_open(const Archive *archive, Indexer **ret, Error *err)
{
    Indexer *indexer = calloc(1, sizeof(*indexer));
    if (indexer == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the segment index");
    indexer->archive = archive;
    (void)pthread_mutex_init(&indexer->mutex, NULL);
    (void)pthread_cond_init(&indexer->changed, NULL);
    int rc = pthread_create(&indexer->thread, NULL, indexer_main, indexer);
    if (rc != 0) {
        (void)pthread_cond_destroy(&indexer->changed);
        (void)pthread_mutex_destroy(&indexer->mutex);
        free(indexer);
        return error_set_errno(err, ERROR_MEMORY, rc, "could not start the indexing thread");
    }
    *ret = indexer;
    return true;
}

/* Under the mutex. */
static void drop_nameless(Indexer *indexer)
{
    size_t kept = 0;
    for (size_t i = 0; i < indexer->count; i++) {
        if (indexer->queue[i].due)
            indexer->queue[kept++] = indexer->queue[i];
        else
            free(indexer->queue[i].bytes);
    }
    indexer->count = kept;
}

void indexer_start(Indexer *indexer, Lsn lsn)
{
    (void)pthread_mutex_lock(&indexer->mutex);
    drop_nameless(indexer);
    indexer->named = lsn;
    (void)pthread_mutex_unlock(&indexer->mutex);
}

void indexer_add(Indexer *indexer, const IndexEntry *entry)
{
    uint8_t bytes[INDEX_ENTRY_MAX];
    Waiting waiting = {
        .length = index_encode(indexer->archive, entry, bytes),
        .end = segment_start(entry->segno + 1, indexer->archive->segment_size),
    };
    waiting.bytes = malloc(waiting.length);
    if (waiting.bytes == NULL)
        return;
    memcpy(waiting.bytes, bytes, waiting.length);
    (void)pthread_mutex_lock(&indexer->mutex);
    bool fits = indexer->count < QUEUE_MAX;
    waiting.due = waiting.end <= indexer->named;
    if (fits)
        indexer->queue[indexer->count++] = waiting;
    (void)pthread_mutex_unlock(&indexer->mutex);
    if (!fits)
        free(waiting.bytes);
    if (waiting.due)
        (void)pthread_cond_signal(&indexer->changed);
}

void indexer_named(Indexer *indexer, Lsn lsn)
{
    bool due = false;
    (void)pthread_mutex_lock(&indexer->mutex);
    if (lsn > indexer->named)
        indexer->named = lsn;
    for (size_t i = 0; i < indexer->count && indexer->queue[i].end <= lsn; i++) {
        due = due || !indexer->queue[i].due;
        indexer->queue[i].due = true;
    }
    (void)pthread_mutex_unlock(&indexer->mutex);
    if (due)
        (void)pthread_cond_signal(&indexer->changed);
}

void indexer_close(Indexer *indexer)
{
    if (indexer == NULL)
        return;
    (void)pthread_mutex_lock(&indexer->mutex);
    indexer->closing = true;
    (void)pthread_cond_signal(&indexer->changed);
    (void)pthread_mutex_unlock(&indexer->mutex);
    (void)pthread_join(indexer->thread, NULL);
    drop_nameless(indexer);
    (void)pthread_cond_destroy(&indexer->changed);
    (void)pthread_mutex_destroy(&indexer->mutex);
    free(indexer);
}
