/* SPDX-License-Identifier: PostgreSQL
 *
 * See checker.h. Whoever scans holds `busy`, not the mutex, so that positions can be asked for
 * meanwhile. Behind a fault the scan goes on with the next record where the length of the bad one
 * was fine, else with the first record that begins on a later page. Until a record is right again,
 * what else is wrong belongs to the same damage; only a bad CRC is always a fault of its own.
 */
#include "walrx/archive/checker.h"

#include "indexer.h"

#include "walrx/os/log.h"
#include "walrx/proto/walscan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MAX_TOLD 20 /* a server that sends only damage does not fill the log */
#define NO_FAULT UINT64_MAX

struct Checker {
    /* set once */
    const Archive *archive;
    const Ring *ring;
    VerifyMode mode;
    Indexer *indexer; /* NULL: nobody wants to know what segments hold */
    void (*moved)(void *context);
    void *context;
    pthread_t thread;
    /* whoever is busy */
    WalScanner scanner;
    Lsn next;         /* the scanner's next byte; beyond what is there when a page is left out */
    uint64_t records; /* of scanners before this one */
    uint64_t right_before; /* records that were right before the latest fault; NO_FAULT: none yet */
    Timeline timeline;
    IndexBuilder builder; /* of the segment under way */
    bool segment_spoilt;  /* not all of its records were seen */
    bool head_known;      /* a whole record came before the segment */
    WalCollector collector;
    uint8_t head[WAL_RECORD_HEAD_SIZE];
    /* any thread */
    _Atomic Lsn position;
    _Atomic Lsn safe;
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool busy;
    bool resting; /* nothing is to be checked */
    bool closing;
    bool stopped; /* by a fault, see error */
    Error error;
    CheckCounts counts;
};

static Lsn extent_floor(Lsn lsn)
{
    return lsn - lsn % RING_EXTENT;
}

static void describe(const Checker *checker, Error *ret)
{
    const WalScanner *scanner = &checker->scanner;
    Lsn record = wal_scan_open_record(scanner);
    char text[LSN_TEXT_SIZE];
    char message[ERROR_MESSAGE_SIZE];
    wal_scan_reason(scanner, message, sizeof(message));
    (void)error_set(ret, ERROR_ARCHIVE, "the server sent damaged WAL at %s: %s",
                    lsn_format(scanner->fault_lsn, text), message);
    if (record != LSN_INVALID && record != scanner->fault_lsn)
        (void)error_detail(ret, "It is inside the record that begins at %s.",
                           lsn_format(record, text));
    if (checker->mode == VERIFY_STOP)
        (void)error_hint(ret,
                         "Nothing from there on was acknowledged. Look at the same place in the "
                         "server's pg_wal with pg_waldump; --verify=on archives it as it is.");
    else
        (void)error_hint(ret, "It is archived as it is. Look at the same place in the server's "
                              "pg_wal with pg_waldump.");
}

static void note_fault(Checker *checker)
{
    const WalScanner *scanner = &checker->scanner;
    uint64_t right = checker->records + scanner->records;
    bool same = right == checker->right_before && scanner->fault != WAL_FAULT_RECORD_CRC;
    checker->right_before = right;
    if (same)
        return;
    Error error;
    Lsn record = wal_scan_open_record(scanner);
    describe(checker, &error);
    atomic_store(&checker->safe, record != LSN_INVALID && record < scanner->fault_lsn
                                     ? record
                                     : scanner->fault_lsn);
    (void)pthread_mutex_lock(&checker->mutex);
    uint64_t number = ++checker->counts.faults;
    checker->counts.latest_fault = scanner->fault_lsn;
    checker->stopped = checker->mode == VERIFY_STOP;
    checker->error = error;
    (void)pthread_mutex_unlock(&checker->mutex);
    if (checker->mode == VERIFY_STOP || number > MAX_TOLD)
        return;
    log_error(LOG_WARNING, NULL, &error);
    if (number == MAX_TOLD)
        log_line(LOG_WARNING, NULL, "further damage is counted, but not told one by one");
}

/* What the segments hold ------------------------------------------------------------------------
 */

static void take_record(void *context, const WalScanner *scanner, const uint8_t *body,
                        size_t length)
{
    Checker *checker = context;
    index_scanned(&checker->builder, scanner, body, length);
    checker->collector.tally = checker->builder.tally;
}

static void begin_segment(Checker *checker, bool spoilt)
{
    index_begin(&checker->builder, checker->timeline,
                segment_of(checker->next, checker->archive->segment_size));
    checker->collector.tally = NULL;
    checker->segment_spoilt = spoilt;
    checker->head_known = checker->scanner.first_record != LSN_INVALID;
}

/* All of the segment before `next` has passed. */
static void end_segment(Checker *checker)
{
    IndexEntry *entry = &checker->builder.entry;
    Lsn first = segment_start(entry->segno, checker->archive->segment_size) + WAL_PAGE_LONG_HEADER;
    index_end(&checker->builder, &checker->scanner);
    entry->head_unknown = !checker->head_known && checker->scanner.first_record != first;
    if (!checker->segment_spoilt)
        indexer_add(checker->indexer, entry);
    begin_segment(checker, false);
}

static void init_scanner(Checker *checker, Lsn start)
{
    checker->records += checker->scanner.records;
    wal_scan_init(&checker->scanner, start, checker->archive->segment_size,
                  checker->archive->system_identifier);
    if (checker->indexer != NULL)
        wal_scan_collect(&checker->scanner, &checker->collector);
    checker->next = start;
}

/* How much of what is to be scanned can be in one go: it ends with the segment. */
static size_t next_length(const Checker *checker, Lsn end)
{
    uint32_t size = checker->archive->segment_size;
    Lsn limit = segment_floor(checker->next, size) + size;
    size_t run = ring_run(checker->ring, checker->next);
    if (end > limit)
        end = limit;
    return end - checker->next < run ? (size_t)(end - checker->next) : run;
}

/* Damage and its mending ------------------------------------------------------------------------
 */

/* Where to begin anew: a page that only does not fit what came before may be right by itself. It is
 * still in the ring, as the position is not beyond its header. */
static Lsn page_behind_fault(const WalScanner *scanner)
{
    Lsn page = scanner->position + WAL_PAGE_SIZE - 1;
    page -= page % WAL_PAGE_SIZE;
    if (scanner->fault == WAL_FAULT_PAGE)
        page = scanner->fault_lsn;
    return page == scanner->start ? page + WAL_PAGE_SIZE : page;
}

static void go_on(Checker *checker)
{
    WalScanner *scanner = &checker->scanner;
    uint32_t size = checker->archive->segment_size;
    if (scanner->fault == WAL_FAULT_RECORD_CRC) {
        wal_scan_pass_record(scanner);
        checker->next = scanner->position;
    } else {
        init_scanner(checker, page_behind_fault(scanner));
    }
    checker->segment_spoilt = true;
    if (segment_of(checker->next, size) != checker->builder.entry.segno)
        begin_segment(checker, segment_offset(checker->next, size) != 0);
}

/* Scans up to `end`, which is in the ring. The caller is busy. False: a fault ends the stream. */
static bool scan(Checker *checker, Lsn end)
{
    uint32_t size = checker->archive->segment_size;
    while (checker->next < end) {
        size_t length = next_length(checker, end);
        if (wal_scan_feed(&checker->scanner, ring_at(checker->ring, checker->next), length) !=
            WAL_SCAN_RUNNING) {
            note_fault(checker);
            if (checker->mode == VERIFY_STOP)
                return false;
            go_on(checker);
            continue;
        }
        checker->next += length;
        if (checker->indexer != NULL && segment_offset(checker->next, size) == 0)
            end_segment(checker);
    }
    return true;
}

/* Under the mutex, which is let go of meanwhile. */
static void scan_busily(Checker *checker, Lsn end)
{
    checker->busy = true;
    (void)pthread_mutex_unlock(&checker->mutex);
    bool fine = scan(checker, end);
    if (fine) {
        atomic_store(&checker->safe, wal_scan_settled(&checker->scanner));
        atomic_store(&checker->position, end);
    }
    (void)pthread_mutex_lock(&checker->mutex);
    checker->counts.records = checker->records + checker->scanner.records;
    checker->busy = false;
    (void)pthread_cond_broadcast(&checker->changed);
}

/* The end of the full extents behind the position; the position itself when there is none. */
static Lsn due(const Checker *checker)
{
    Lsn edge = extent_floor(ring_published(checker->ring));
    Lsn position = atomic_load(&checker->position);
    if (edge <= position)
        return position;
    return extent_floor(position) + RING_EXTENT;
}

static void *checker_main(void *argument)
{
    Checker *checker = argument;
    (void)pthread_mutex_lock(&checker->mutex);
    while (!checker->closing) {
        Lsn end = due(checker);
        if (checker->busy || checker->resting || checker->stopped ||
            end <= atomic_load(&checker->position)) {
            (void)pthread_cond_wait(&checker->changed, &checker->mutex);
            continue;
        }
        scan_busily(checker, end);
        (void)pthread_mutex_unlock(&checker->mutex);
        checker->moved(checker->context);
        (void)pthread_mutex_lock(&checker->mutex);
    }
    (void)pthread_mutex_unlock(&checker->mutex);
    return NULL;
}

bool checker_open(const Archive *archive, const Ring *ring, VerifyMode mode, Indexer *indexer,
                  void (*moved)(void *context), void *context, Checker **ret, Error *err)
{
    Checker *checker = calloc(1, sizeof(*checker));
    if (checker == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for checking WAL");
    checker->archive = archive;
    checker->ring = ring;
    checker->mode = mode;
    checker->indexer = indexer;
    checker->collector = (WalCollector){.buffer = checker->head,
                                        .capacity = sizeof(checker->head),
                                        .visit = take_record,
                                        .context = checker};
    checker->moved = moved;
    checker->context = context;
    checker->resting = true;
    atomic_store(&checker->position, ring_published(ring));
    (void)pthread_mutex_init(&checker->mutex, NULL);
    (void)pthread_cond_init(&checker->changed, NULL);
    int rc = pthread_create(&checker->thread, NULL, checker_main, checker);
    if (rc != 0) {
        (void)pthread_cond_destroy(&checker->changed);
        (void)pthread_mutex_destroy(&checker->mutex);
        free(checker);
        return error_set_errno(err, ERROR_MEMORY, rc, "could not start the checking thread");
    }
    *ret = checker;
    return true;
}

void checker_start(Checker *checker, Timeline timeline, Lsn lsn)
{
    (void)pthread_mutex_lock(&checker->mutex);
    init_scanner(checker, lsn);
    checker->timeline = timeline;
    begin_segment(checker, false);
    checker->right_before = NO_FAULT;
    atomic_store(&checker->position, lsn);
    atomic_store(&checker->safe, lsn);
    checker->resting = false;
    (void)pthread_mutex_unlock(&checker->mutex);
}

void checker_rest(Checker *checker)
{
    (void)pthread_mutex_lock(&checker->mutex);
    checker->resting = true;
    while (checker->busy)
        (void)pthread_cond_wait(&checker->changed, &checker->mutex);
    (void)pthread_mutex_unlock(&checker->mutex);
}

void checker_poke(Checker *checker)
{
    (void)pthread_mutex_lock(&checker->mutex);
    (void)pthread_mutex_unlock(&checker->mutex);
    (void)pthread_cond_broadcast(&checker->changed);
}

void checker_reach(Checker *checker, Lsn lsn)
{
    (void)pthread_mutex_lock(&checker->mutex);
    while (!checker->stopped && atomic_load(&checker->position) < lsn) {
        if (checker->busy)
            (void)pthread_cond_wait(&checker->changed, &checker->mutex);
        else
            scan_busily(checker, lsn);
    }
    (void)pthread_mutex_unlock(&checker->mutex);
}

Lsn checker_position(const Checker *checker)
{
    return atomic_load(&checker->position);
}

Lsn checker_safe(const Checker *checker)
{
    return checker->mode == VERIFY_STOP ? atomic_load(&checker->safe) : UINT64_MAX;
}

bool checker_fault(Checker *checker, Error *ret)
{
    (void)pthread_mutex_lock(&checker->mutex);
    bool stopped = checker->stopped;
    if (stopped)
        *ret = checker->error;
    (void)pthread_mutex_unlock(&checker->mutex);
    return stopped;
}

CheckCounts checker_counts(Checker *checker)
{
    (void)pthread_mutex_lock(&checker->mutex);
    CheckCounts counts = checker->counts;
    (void)pthread_mutex_unlock(&checker->mutex);
    return counts;
}

void checker_close(Checker *checker)
{
    if (checker == NULL)
        return;
    (void)pthread_mutex_lock(&checker->mutex);
    checker->closing = true;
    (void)pthread_cond_broadcast(&checker->changed);
    (void)pthread_mutex_unlock(&checker->mutex);
    (void)pthread_join(checker->thread, NULL);
    (void)pthread_cond_destroy(&checker->changed);
    (void)pthread_mutex_destroy(&checker->mutex);
    free(checker);
}
