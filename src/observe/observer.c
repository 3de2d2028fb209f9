/* SPDX-License-Identifier: PostgreSQL
 *
 * See observer.h. The thread sleeps in a poll over the telemetry's bell. While something moves it
 * wants to know when all is durable, because somebody may wait for that (walrx wait); while nothing
 * moves, when anything is told.
 *
 * Two locks: `lock` for what others read, held for moments only; `disk` for the archive, held while
 * files are read and written. A disk that is stuck does not hold up who only looks.
 */
#include "walrx/observe/observer.h"

#include "history.h"

#include "walrx/archive/gap.h"
#include "walrx/archive/quarantine.h"
#include "walrx/observe/rates.h"
#include "walrx/observe/state_file.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define SECOND (1000 * NS_PER_MS)
/* States are at least so far apart. */
#define STATE_PAUSE (200 * NS_PER_MS)
/* Samples of rates; a little less than the pace of the thread. */
#define RATE_PAUSE (900 * NS_PER_MS)
/* What lies in the archive is looked at again after this time. */
#define FACTS_PAUSE (9 * SECOND)
/* How long a status message may be late. */
#define LATE (2 * SECOND)
#define DEFAULT_INTERVAL_MS 10000

/* What only a look into the archive tells. */
typedef struct Facts {
    uint64_t gaps;
    Gap newest_gap;
    uint64_t quarantined;
    uint64_t free_bytes;
} Facts;

struct Observer {
    SnapshotSource source;
    pthread_t thread;
    bool running; /* the thread is */
    atomic_bool closing;
    /* the thread's own, and of whoever ended it */
    uint64_t facts_ns;
    uint64_t rates_ns;
    TelemetryMoment seen; /* of the last state */
    bool moved;           /* it differed from the one before */
    bool failed;          /* the last state could not be written */
    RateTrack track;
    bool noted;
    Snapshot last; /* that events were taken from */
    /* under `lock` */
    pthread_mutex_t lock;
    Store *store;
    CheckCounts checks; /* when the store is gone */
    uint64_t min_free_bytes;
    Facts facts;
    Rates rates;
    History history;
    EventLog events;
    MonitorView monitor;
    RetentionView retention;
    PgTime stopped;
    int exit_status;
    /* under `disk` */
    pthread_mutex_t disk;
    bool attached;
    Archive archive; /* a copy: what it holds of the original does not change */
};

static bool count_gap(void *context, const Gap *gap)
{
    Facts *facts = context;
    facts->gaps++;
    facts->newest_gap = *gap;
    return true;
}

static bool count_file(void *context, const char *name)
{
    (void)name;
    ++*(uint64_t *)context;
    return true;
}

/* Under `disk`. What cannot be read counts as nothing: the receiver itself meets it, and tells. */
static Facts look_into(const Archive *archive)
{
    Facts facts = {.free_bytes = SNAPSHOT_UNKNOWN};
    Dir quarantine;
    Error ignored;
    (void)!gap_visit(archive, count_gap, &facts, &ignored);
    (void)!file_space_left(&archive->dir, &facts.free_bytes, &ignored);
    if (dir_open_inside(&archive->private, QUARANTINE_DIR, false, &quarantine, NULL, &ignored) &&
        quarantine.fd >= 0) {
        (void)!dir_visit(&quarantine, count_file, &facts.quarantined, &ignored);
        dir_close(&quarantine);
    }
    return facts;
}

static void refresh_facts(Observer *observer, uint64_t now_ns)
{
    Facts facts = {.free_bytes = SNAPSHOT_UNKNOWN};
    if (observer->facts_ns != 0 && now_ns - observer->facts_ns < FACTS_PAUSE)
        return;
    (void)pthread_mutex_lock(&observer->disk);
    bool attached = observer->attached;
    if (attached)
        facts = look_into(&observer->archive);
    (void)pthread_mutex_unlock(&observer->disk);
    if (!attached)
        return;
    observer->facts_ns = now_ns;
    (void)pthread_mutex_lock(&observer->lock);
    observer->facts = facts;
    (void)pthread_mutex_unlock(&observer->lock);
}

void observer_snapshot(Observer *observer, Snapshot *ret)
{
    snapshot_take(&observer->source, ret);
    (void)pthread_mutex_lock(&observer->lock);
    ret->checks = observer->store != NULL ? store_checks(observer->store) : observer->checks;
    ret->gaps = observer->facts.gaps;
    ret->newest_gap_start = observer->facts.newest_gap.begin;
    ret->newest_gap_end = observer->facts.newest_gap.end;
    ret->quarantined = observer->facts.quarantined;
    ret->free_bytes = observer->facts.free_bytes;
    ret->min_free_bytes = observer->min_free_bytes;
    ret->rates = observer->rates;
    ret->monitor = observer->monitor;
    ret->retention = observer->retention;
    ret->stopped = observer->stopped;
    ret->exit_status = observer->exit_status;
    (void)pthread_mutex_unlock(&observer->lock);
}

size_t observer_history(Observer *observer, HistoryPoint *ret, size_t capacity)
{
    (void)pthread_mutex_lock(&observer->lock);
    size_t count = history_copy(&observer->history, ret, capacity);
    (void)pthread_mutex_unlock(&observer->lock);
    return count;
}

void observer_events(Observer *observer, EventLog *ret)
{
    (void)pthread_mutex_lock(&observer->lock);
    *ret = observer->events;
    (void)pthread_mutex_unlock(&observer->lock);
}

void observer_set_monitor(Observer *observer, const MonitorView *view)
{
    (void)pthread_mutex_lock(&observer->lock);
    observer->monitor = *view;
    (void)pthread_mutex_unlock(&observer->lock);
}

void observer_set_retention(Observer *observer, const RetentionView *view)
{
    (void)pthread_mutex_lock(&observer->lock);
    observer->retention = *view;
    (void)pthread_mutex_unlock(&observer->lock);
}

static bool tells_its_end(const TelemetryMoment *moment)
{
    return moment->state == RECEIVER_STREAMING && moment->server_end_ns != 0 &&
           moment->last_message_ns >= moment->state_since_ns;
}

static void sample_rates(Observer *observer, const TelemetryMoment *moment, uint64_t now_ns)
{
    Rates rates;
    bool tells = tells_its_end(moment);
    if (observer->rates_ns != 0 && now_ns - observer->rates_ns < RATE_PAUSE)
        return;
    observer->rates_ns = now_ns;
    RateInput input = {
        .at_ns = now_ns,
        .received_bytes = moment->bytes,
        .streaming = tells,
        .server_end = moment->server_end_ns != 0 ? moment->server_end : LSN_INVALID,
        .behind_bytes = moment->server_end_ns != 0 ? telemetry_lag_bytes(moment, LAG_RECEIVED)
                                                   : SNAPSHOT_UNKNOWN,
    };
    rates_add(&observer->track, &input, &rates);
    (void)pthread_mutex_lock(&observer->lock);
    observer->rates = rates;
    (void)pthread_mutex_unlock(&observer->lock);
}

static void write_state(Observer *observer, const Snapshot *snapshot)
{
    Error error;
    (void)pthread_mutex_lock(&observer->disk);
    bool ok = !observer->attached || state_file_write(&observer->archive.private, snapshot, &error);
    (void)pthread_mutex_unlock(&observer->disk);
    if (!ok && !observer->failed) {
        error_hint(&error, "Receiving goes on; only what \"walrx status\" shows is old until this "
                           "works again.");
        log_error(LOG_WARNING, NULL, &error);
    }
    if (ok && observer->failed)
        log_line(LOG_INFO, NULL, "the receiver's state can be written again");
    observer->failed = !ok;
}

/* Is there anything new but that time has passed? */
static bool differs(const TelemetryMoment *a, const TelemetryMoment *b)
{
    return a->state != b->state || a->server_end != b->server_end || a->bytes != b->bytes ||
           a->failures != b->failures || a->held_by != b->held_by ||
           memcmp(a->position, b->position, sizeof(a->position)) != 0;
}

static void observe(Observer *observer)
{
    Snapshot snapshot;
    TelemetryMoment moment;
    uint64_t now_ns = clock_monotonic_ns();
    telemetry_read(observer->source.telemetry, &moment);
    refresh_facts(observer, now_ns);
    sample_rates(observer, &moment, now_ns);
    observer_snapshot(observer, &snapshot);
    (void)pthread_mutex_lock(&observer->lock);
    history_add(&observer->history, &snapshot, tells_its_end(&moment));
    events_note(&observer->events, observer->noted ? &observer->last : NULL, &snapshot);
    (void)pthread_mutex_unlock(&observer->lock);
    observer->last = snapshot;
    observer->noted = true;
    write_state(observer, &snapshot);
    observer->moved = differs(&observer->seen, &moment);
    observer->seen = moment;
}

static void sleep_until(const Observer *observer, uint64_t until_ns)
{
    Telemetry *telemetry = observer->source.telemetry;
    struct pollfd polled = {.fd = telemetry->bell.fd, .events = POLLIN};
    uint64_t now_ns = clock_monotonic_ns();
    if (until_ns > now_ns && !atomic_load(&observer->closing))
        (void)poll(&polled, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1);
    bell_silence(&telemetry->bell);
}

/* Has something worth a state been told since the last one? */
static bool has_news(const Observer *observer)
{
    TelemetryMoment now;
    const TelemetryMoment *seen = &observer->seen;
    telemetry_read(observer->source.telemetry, &now);
    if (!observer->moved)
        return differs(seen, &now) || now.statuses != seen->statuses;
    bool rests = now.position[LAG_FLUSHED] == now.position[LAG_RECEIVED];
    return now.state != seen->state ||
           (rests && now.position[LAG_FLUSHED] != seen->position[LAG_FLUSHED]);
}

static void wait_for_news(Observer *observer, uint64_t began_ns)
{
    Telemetry *telemetry = observer->source.telemetry;
    uint64_t patience = observer->moved ? SECOND : observer->source.state_interval_ns;
    telemetry_want(telemetry, observer->moved ? NEWS_OF_REST : NEWS_OF_ANY);
    if (!has_news(observer))
        sleep_until(observer, began_ns + patience);
    telemetry_want(telemetry, NEWS_NONE);
    while (clock_monotonic_ns() < began_ns + STATE_PAUSE && !atomic_load(&observer->closing))
        sleep_until(observer, began_ns + STATE_PAUSE);
}

static void *observer_main(void *argument)
{
    Observer *observer = argument;
    while (!atomic_load(&observer->closing)) {
        uint64_t began_ns = clock_monotonic_ns();
        observe(observer);
        wait_for_news(observer, began_ns);
    }
    return NULL;
}

static void stop_thread(Observer *observer)
{
    if (!observer->running)
        return;
    atomic_store(&observer->closing, true);
    bell_ring(&observer->source.telemetry->bell);
    (void)pthread_join(observer->thread, NULL);
    observer->running = false;
}

static void on_archive(void *context, const Archive *archive, Store *store)
{
    Observer *observer = context;
    (void)pthread_mutex_lock(&observer->disk);
    observer->archive = *archive;
    observer->attached = true;
    (void)pthread_mutex_unlock(&observer->disk);
    (void)pthread_mutex_lock(&observer->lock);
    if (observer->store != NULL)
        observer->checks = store_checks(observer->store);
    observer->store = store;
    if (store != NULL) /* it goes by the segment size, which only a server tells */
        observer->min_free_bytes = archive->min_free;
    (void)pthread_mutex_unlock(&observer->lock);
}

static void on_end(void *context, int status)
{
    Observer *observer = context;
    stop_thread(observer);
    (void)pthread_mutex_lock(&observer->lock);
    observer->stopped = clock_pg_time();
    observer->exit_status = status;
    (void)pthread_mutex_unlock(&observer->lock);
    observer->facts_ns = 0;
    observe(observer);
    (void)pthread_mutex_lock(&observer->disk);
    observer->attached = false;
    (void)pthread_mutex_unlock(&observer->disk);
}

static void on_monitor(void *context, const MonitorView *view)
{
    observer_set_monitor(context, view);
}

ReceiverWatch observer_watch(Observer *observer)
{
    return (ReceiverWatch){
        .context = observer, .archive = on_archive, .ended = on_end, .monitor = on_monitor};
}

static void observer_free(Observer *observer)
{
    (void)pthread_mutex_destroy(&observer->disk);
    (void)pthread_mutex_destroy(&observer->lock);
    free(observer);
}

bool observer_open(const ObserverOptions *options, Observer **ret, Error *err)
{
    Observer *observer = calloc(1, sizeof(*observer));
    uint64_t interval_ms = options->status_interval_ms;
    Snapshot unknown;
    if (observer == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the receiver's state");
    snapshot_clear(&unknown);
    observer->source = (SnapshotSource){
        .telemetry = options->telemetry,
        .version = options->version,
        .directory = options->directory,
        .pid = (uint64_t)getpid(),
        .started = clock_pg_time(),
        .verify = options->verify,
        .state_interval_ns =
            (interval_ms != 0 ? interval_ms : DEFAULT_INTERVAL_MS) * NS_PER_MS + LATE,
    };
    observer->facts.free_bytes = SNAPSHOT_UNKNOWN;
    observer->min_free_bytes = SNAPSHOT_UNKNOWN;
    observer->rates = unknown.rates;
    observer->monitor = unknown.monitor;
    observer->retention = unknown.retention;
    observer->stopped = PG_TIME_NONE;
    observer->exit_status = EXIT_STATUS_NONE;
    rates_init(&observer->track);
    history_init(&observer->history);
    events_init(&observer->events);
    (void)pthread_mutex_init(&observer->lock, NULL);
    (void)pthread_mutex_init(&observer->disk, NULL);
    int rc = pthread_create(&observer->thread, NULL, observer_main, observer);
    if (rc != 0) {
        observer_free(observer);
        return error_set_errno(err, ERROR_MEMORY, rc, "could not start the observing thread");
    }
    observer->running = true;
    *ret = observer;
    return true;
}

void observer_close(Observer *observer)
{
    if (observer == NULL)
        return;
    stop_thread(observer);
    observer_free(observer);
}
