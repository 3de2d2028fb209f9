/* SPDX-License-Identifier: PostgreSQL
 *
 * See checker.h. Whoever scans holds `busy`, not the mutex, so that positions can be asked for
 * meanwhile. Behind a fault the scan goes on with the next record where the length of the bad one
 * was fine, else with the first record that begins on a later page. Until a record is right again,
 * what else is wrong belongs to the same damage; only a bad CRC is always a fault of its own.
 */
#include "walrx/archive/checker.h"

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
    void (*moved)(void *context);
    void *context;
    pthread_t thread;
    /* whoever is busy */
    WalScanner scanner;
    Lsn next;         /* the scanner's next byte; beyond what is there when a page is left out */
    uint64_t records; /* of scanners before this one */
    uint64_t right_before; /* records that were right before the latest fault; NO_FAULT: none yet */
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
    if (scanner->fault == WAL_FAULT_RECORD_CRC) {
        wal_scan_pass_record(scanner);
        checker->next = scanner->position;
        return;
    }
    Lsn page = page_behind_fault(scanner);
    checker->records += scanner->records;
    wal_scan_init(scanner, page, checker->archive->segment_size,
                  checker->archive->system_identifier);
    checker->next = page;
}

/* Scans up to `end`, which is in the ring. The caller is busy. False: a fault ends the stream. */
static bool scan(Checker *checker, Lsn end)
{
    while (checker->next < end) {
        size_t run = ring_run(checker->ring, checker->next);
        size_t length = end - checker->next < run ? (size_t)(end - checker->next) : run;
        if (wal_scan_feed(&checker->scanner, ring_at(checker->ring, checker->next), length) ==
            WAL_SCAN_RUNNING) {
            checker->next += length;
            continue;
        }
        note_fault(checker);
        if (checker->mode == VERIFY_STOP)
            return false;
        go_on(checker);
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

bool checker_open(const Archive *archive, const Ring *ring, VerifyMode mode,
                  void (*moved)(void *context), void *context, Checker **ret, Error *err)
{
    Checker *checker = calloc(1, sizeof(*checker));
    if (checker == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for checking WAL");
    checker->archive = archive;
    checker->ring = ring;
    checker->mode = mode;
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

void checker_start(Checker *checker, Lsn lsn)
{
    (void)pthread_mutex_lock(&checker->mutex);
    checker->records += checker->scanner.records;
    wal_scan_init(&checker->scanner, lsn, checker->archive->segment_size,
                  checker->archive->system_identifier);
    checker->next = lsn;
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
