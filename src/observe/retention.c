/* SPDX-License-Identifier: PostgreSQL
 *
 * See retention.h. A round is a plan and its execution. Rounds follow the WAL: more often while it
 * arrives, seldom while nothing moves (commits grow old all the same). Each segment's removal is a
 * step, with a pause behind it, so that the syncs of the directory do not queue before those of the
 * receiver; the end is looked for at each.
 */
#include "walrx/observe/retention.h"

#include "walrx/archive/prune.h"
#include "walrx/observe/snapshot.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
/* While WAL arrives, and while none does. */
#define ROUND_MS MINUTE_MS
#define IDLE_ROUND_MS (10 * MINUTE_MS)
/* With a short time to keep, this part of it. */
#define ROUND_PART 20
/* This much WAL is worth a round at any time. */
#define ROUND_SEGMENTS 16
#define STEP_PAUSE_MS 10
/* Whoever registers a backup waits for the lock of a round, but not for long. */
#define LONGEST_ROUND_MS 3000
#define TELL_MS (60 * MINUTE_MS)
#define NICE 10
#define US_PER_MS 1000

struct Retention {
    RetentionOptions options;
    /* under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    RetentionKeep keep;
    bool kept_anew; /* `keep` was set since the thread looked */
    bool attached;
    bool running; /* the thread is */
    pthread_t thread;
    /* the thread's own */
    RetentionKeep using;
    PruneMemory memory;
    RetentionView view;
    uint64_t round_ms; /* of the last round; 0: none yet */
    uint64_t end_ms;   /* of the one under way, at the latest */
    bool unfinished;   /* the last one ended by that */
    Lsn round_lsn;
    bool told_unregistered;
    bool told_idle;
    char told_held[sizeof(((RetentionView *)NULL)->held_by)];
    PruneDone untold; /* removed since that was last told */
    uint64_t told_ms; /* when; 0: never */
};

static bool keeps_anything(const RetentionKeep *keep)
{
    return keep->time_ms > 0 || keep->size > 0;
}

static void show(Retention *retention)
{
    if (retention->options.show != NULL)
        retention->options.show(retention->options.show_context, &retention->view);
}

/* Under the lock. False: the end. */
static bool sleep_for(Retention *retention, uint64_t ms)
{
    uint64_t until_ms = clock_monotonic_ms() + ms;
    struct timespec until = {.tv_sec = (time_t)(until_ms / SECOND_MS),
                             .tv_nsec = (long)(until_ms % SECOND_MS) * 1000000};
    int rc = 0;
    while (rc == 0 && retention->attached && !retention->kept_anew)
        rc = pthread_cond_clockwait(&retention->changed, &retention->lock, CLOCK_MONOTONIC, &until);
    return retention->attached;
}

static bool may_go_on(void *context)
{
    Retention *retention = context;
    (void)pthread_mutex_lock(&retention->lock);
    bool go_on = retention->attached && !retention->kept_anew;
    (void)pthread_mutex_unlock(&retention->lock);
    return go_on;
}

static bool pause_step(void *context)
{
    Retention *retention = context;
    (void)pthread_mutex_lock(&retention->lock);
    bool go_on = sleep_for(retention, STEP_PAUSE_MS) && !retention->kept_anew;
    (void)pthread_mutex_unlock(&retention->lock);
    retention->unfinished = go_on && clock_monotonic_ms() >= retention->end_ms;
    return go_on && !retention->unfinished;
}

/* What the receiver is done with; LSN_INVALID: it has not streamed yet. */
static Lsn read_limit(const Retention *retention, Timeline *ret_timeline)
{
    TelemetryMoment moment;
    telemetry_read(retention->options.telemetry, &moment);
    *ret_timeline = (Timeline)moment.timeline;
    return moment.streams == 0 ? LSN_INVALID : moment.position[LAG_ARCHIVED];
}

static void note_holder(Retention *retention, const PrunePlan *plan)
{
    const PruneHorizon *horizon = &plan->horizon;
    char *held_by = retention->view.held_by;
    size_t capacity = sizeof(retention->view.held_by);
    held_by[0] = '\0';
    if (horizon->held_by == PRUNE_CAUSE_BACKUP)
        (void)snprintf(held_by, capacity, "base backup \"%.100s\"",
                       plan->backups.items[horizon->holder].label);
    bool news = strcmp(held_by, retention->told_held) != 0;
    (void)snprintf(retention->told_held, sizeof(retention->told_held), "%s", held_by);
    if (news && held_by[0] != '\0')
        log_line(LOG_INFO, NULL,
                 "old WAL is kept for the registered %s; \"walrx backup remove\" lets it go",
                 held_by);
}

static void warn(Retention *retention, const PruneWish *wish, const PrunePlan *plan)
{
    bool unregistered = retention->using.time_ms > 0 && plan->backups.count == 0;
    if (unregistered && !retention->told_unregistered)
        log_line(LOG_WARNING, NULL,
                 "no base backup is registered (walrx backup register): WAL is kept by the times "
                 "of its commits alone");
    retention->told_unregistered = unregistered;
    bool idle = plan->timed && plan->newest < wish->now - wish->span;
    if (idle && !retention->told_idle)
        log_line(LOG_WARNING, NULL,
                 "no commit lies within the time that WAL is kept before now, so it counts from "
                 "the newest one: is the server idle, or the clock of this machine ahead?");
    retention->told_idle = idle;
    if (plan->unread > 0) {
        Error damage = plan->damage;
        error_hint(&damage, "Its commit times cannot be read, and count as old: no recovery gets "
                            "past it.");
        log_error(LOG_WARNING, NULL, &damage);
    }
}

/* Not with each round, of which there is one a minute. */
static void tell_done(Retention *retention, bool at_once)
{
    PruneDone *untold = &retention->untold;
    uint64_t now_ms = clock_monotonic_ms();
    char lsn[LSN_TEXT_SIZE];
    bool due = at_once || retention->told_ms == 0 || now_ms - retention->told_ms >= TELL_MS;
    if (untold->files == 0 || !due)
        return;
    const LogField fields[] = {LOG_NUM("files", untold->files),
                               LOG_NUM("bytes", untold->disk_bytes), LOG_END};
    log_line(LOG_INFO, fields, "removed %" PRIu64 " file%s of old WAL; WAL stays from %s on",
             untold->files, untold->files == 1 ? "" : "s", lsn_format(untold->horizon, lsn));
    *untold = (PruneDone){.files = 0};
    retention->told_ms = now_ms;
}

static void note_done(Retention *retention, const PruneDone *done)
{
    retention->view.removed_files += done->files;
    retention->view.removed_bytes += done->disk_bytes;
    retention->untold.files += done->files;
    retention->untold.disk_bytes += done->disk_bytes;
    retention->untold.horizon = done->horizon;
    if (!retention->unfinished)
        tell_done(retention, false);
}

static bool plan_and_run(Retention *retention, const Archive *archive, const PruneWish *wish,
                         Error *err)
{
    PrunePlan plan;
    PruneDone done = {.files = 0};
    bool ok = prune_plan(archive, wish, &retention->memory, &plan, err);
    if (ok) {
        retention->view.horizon = segment_start(plan.horizon.segno, archive->segment_size);
        note_holder(retention, &plan);
        warn(retention, wish, &plan);
        retention->end_ms = clock_monotonic_ms() + LONGEST_ROUND_MS;
        retention->unfinished = false;
        ok = prune_run(archive, &plan, pause_step, retention, &done, err);
        note_done(retention, &done);
    }
    prune_plan_free(&plan);
    return ok;
}

static bool work(Retention *retention, const PruneWish *wish, Error *err)
{
    Archive archive;
    DirLock lock;
    LockHolder other = {.held = false};
    if (!archive_open_to_change(retention->options.directory, file_table_kernel(), &archive, err))
        return false;
    archive.dir.sync = retention->options.sync;
    archive.private.sync = retention->options.sync;
    bool ok = archive.private.fd < 0 ||
              dirlock_try(&archive.private, PRUNE_LOCK_FILE, &lock, &other, err);
    /* Nothing is waited for: somebody else removes WAL just now, or registers a backup. */
    if (ok && archive.private.fd >= 0 && !other.held) {
        ok = !archive.bound || plan_and_run(retention, &archive, wish, err);
        dirlock_release(&archive.private, &lock);
    }
    archive_close(&archive);
    return ok;
}

static void note_result(Retention *retention, bool ok, const Error *error)
{
    char problem[sizeof(retention->view.problem)] = "";
    if (!ok && error->class == ERROR_STOPPED)
        return;
    if (!ok)
        (void)snprintf(problem, sizeof(problem), "%.*s", (int)sizeof(problem) - 1, error->message);
    bool news = strcmp(problem, retention->view.problem) != 0;
    retention->view.failing = ok ? 0 : 1;
    memcpy(retention->view.problem, problem, sizeof(problem));
    if (!news)
        return;
    if (ok) {
        log_line(LOG_INFO, NULL, "old WAL can be removed again");
        return;
    }
    Error told = *error;
    error_detail(&told, "%s%sOld WAL was not removed; receiving goes on, and it is tried again.",
                 error->detail, error->detail[0] != '\0' ? " " : "");
    log_error(LOG_WARNING, NULL, &told);
}

static void make_round(Retention *retention, Lsn limit, Timeline timeline)
{
    Error error;
    PgTime now = clock_pg_time();
    PruneWish wish = {
        .by_time = retention->using.time_ms > 0,
        .span = (PgTime)(retention->using.time_ms * US_PER_MS),
        .now = now,
        .by_size = retention->using.size > 0,
        .size = retention->using.size,
        .limit = limit,
        .timeline = timeline,
        .go_on = may_go_on,
        .context = retention,
    };
    retention->view.enabled = true;
    bool ok = work(retention, &wish, &error);
    retention->view.at = now;
    note_result(retention, ok, &error);
    show(retention);
}

/* When the next round is due; now: 0. */
static uint64_t pause_before(const Retention *retention, Lsn limit)
{
    TelemetrySession session;
    TelemetryFailure failure;
    telemetry_read_session(retention->options.telemetry, &session, &failure);
    uint64_t pace = limit != retention->round_lsn ? ROUND_MS : IDLE_ROUND_MS;
    uint64_t part = retention->using.time_ms / ROUND_PART;
    if (retention->using.time_ms > 0 && part < pace)
        pace = part > SECOND_MS ? part : SECOND_MS;
    uint64_t elapsed = clock_monotonic_ms() - retention->round_ms;
    if (retention->round_ms == 0 || elapsed >= pace || limit < retention->round_lsn ||
        limit - retention->round_lsn >= (uint64_t)ROUND_SEGMENTS * session.segment_size)
        return 0;
    return pace - elapsed;
}

/* One look; returns how long to sleep. */
static uint64_t look(Retention *retention)
{
    Timeline timeline;
    Lsn limit = read_limit(retention, &timeline);
    if (limit == LSN_INVALID)
        return SECOND_MS;
    uint64_t pause = retention->unfinished ? 0 : pause_before(retention, limit);
    if (pause == 0) {
        retention->unfinished = false;
        make_round(retention, limit, timeline);
        retention->round_ms = clock_monotonic_ms();
        retention->round_lsn = limit;
        return SECOND_MS;
    }
    /* While WAL arrives, much of it may do so within a second. */
    bool moves = limit != retention->round_lsn;
    return moves && pause > SECOND_MS ? SECOND_MS : pause < MINUTE_MS ? pause : MINUTE_MS;
}

/* Under the lock: takes new settings. */
static void take_keep(Retention *retention)
{
    if (!retention->kept_anew)
        return;
    retention->kept_anew = false;
    retention->using = retention->keep;
    retention->round_ms = 0;
}

static void *retention_main(void *argument)
{
    Retention *retention = argument;
    uint64_t pause = 0;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* Linux: of this thread */
    (void)pthread_mutex_lock(&retention->lock);
    while (sleep_for(retention, pause)) {
        take_keep(retention);
        bool wanted = keeps_anything(&retention->using);
        (void)pthread_mutex_unlock(&retention->lock);
        pause = wanted ? look(retention) : MINUTE_MS;
        if (retention->view.enabled != wanted) {
            retention->view.enabled = wanted;
            show(retention);
        }
        (void)pthread_mutex_lock(&retention->lock);
    }
    (void)pthread_mutex_unlock(&retention->lock);
    tell_done(retention, true);
    return NULL;
}

/* Under the lock. */
static void start_thread(Retention *retention)
{
    if (retention->running || !retention->attached || !keeps_anything(&retention->keep))
        return;
    int rc = pthread_create(&retention->thread, NULL, retention_main, retention);
    retention->running = rc == 0;
    if (rc != 0) {
        Error error;
        error_set_errno(&error, ERROR_MEMORY, rc,
                        "could not start the thread that removes old WAL");
        log_error(LOG_WARNING, NULL, &error);
    }
}

static void stop_thread(Retention *retention)
{
    (void)pthread_mutex_lock(&retention->lock);
    bool running = retention->running;
    retention->attached = false;
    retention->running = false;
    (void)pthread_cond_broadcast(&retention->changed);
    (void)pthread_mutex_unlock(&retention->lock);
    if (running)
        (void)pthread_join(retention->thread, NULL);
}

void retention_keep(Retention *retention, const RetentionKeep *keep)
{
    (void)pthread_mutex_lock(&retention->lock);
    if (memcmp(&retention->keep, keep, sizeof(*keep)) != 0) {
        retention->keep = *keep;
        retention->kept_anew = true;
        (void)pthread_cond_broadcast(&retention->changed);
        start_thread(retention);
    }
    (void)pthread_mutex_unlock(&retention->lock);
}

static void on_archive(void *context, const Archive *archive, Store *store)
{
    Retention *retention = context;
    const ReceiverWatch *watch = &retention->options.watch;
    (void)pthread_mutex_lock(&retention->lock);
    retention->attached = store != NULL;
    (void)pthread_cond_broadcast(&retention->changed);
    start_thread(retention);
    (void)pthread_mutex_unlock(&retention->lock);
    if (watch->archive != NULL)
        watch->archive(watch->context, archive, store);
}

static void on_end(void *context, int status)
{
    Retention *retention = context;
    const ReceiverWatch *watch = &retention->options.watch;
    stop_thread(retention);
    if (watch->ended != NULL)
        watch->ended(watch->context, status);
}

static void on_monitor(void *context, const MonitorView *view)
{
    Retention *retention = context;
    const ReceiverWatch *watch = &retention->options.watch;
    if (watch->monitor != NULL)
        watch->monitor(watch->context, view);
}

ReceiverWatch retention_watch(Retention *retention)
{
    return (ReceiverWatch){
        .context = retention, .archive = on_archive, .ended = on_end, .monitor = on_monitor};
}

bool retention_open(const RetentionOptions *options, Retention **ret, Error *err)
{
    Retention *retention = calloc(1, sizeof(*retention));
    if (retention == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the retention of WAL");
    retention->options = *options;
    retention->keep = options->keep;
    retention->kept_anew = true;
    retention->view.at = PG_TIME_NONE;
    (void)pthread_mutex_init(&retention->lock, NULL);
    (void)pthread_cond_init(&retention->changed, NULL);
    *ret = retention;
    return true;
}

void retention_close(Retention *retention)
{
    if (retention == NULL)
        return;
    stop_thread(retention);
    (void)pthread_cond_destroy(&retention->changed);
    (void)pthread_mutex_destroy(&retention->lock);
    free(retention);
}
