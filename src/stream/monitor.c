/* SPDX-License-Identifier: PostgreSQL
 *
 * See monitor.h.
 *
 * The connection stays for some looks and is then made anew: an open one holds up a smart shutdown
 * of the server (pmState in postmaster.c, PostgreSQL 15), which walsenders do not. After a refusal
 * it is left alone for long, for each try is a line in the server's log.
 */
#include "monitor.h"

#include "monitor_ask.h"
#include "monitor_tell.h"

#include "walrx/base/backoff.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MS 10000
#define FIRST_INTERVAL_MS 1000 /* after a session began, growing: a standby catches up first */
#define CONNECTION_MS 30000
#define TIMEOUT_MS 5000 /* to connect, and for each answer */
#define RETRY_MS 2000
#define RETRY_MAX_MS 60000
/* After a refusal: where nobody asked for a monitor, and where somebody waits for it. */
#define REFUSED_MS 3600000
#define REFUSED_ASKED_MS 300000
#define FAILURES_TOLD 3 /* so many in a row are worth telling */

struct Monitor {
    const ReceiverOptions *options;
    const Bell *bell;      /* the stream thread's */
    ConnectMerge settings; /* of --monitor and the receiver; conninfo NULL: just the receiver's */
    pthread_t thread;
    Bell stop;
    Bell wake;
    atomic_bool prompt;
    /* under `lock` */
    pthread_mutex_t lock;
    MonitorSession newest;
    /* the thread's own */
    MonitorSession session;
    Control control;
    Connection *connection; /* NULL: none */
    uint64_t opened_ms;
    uint64_t next_ms; /* of the next look; UINT64_MAX: no server is known yet */
    uint64_t interval_ms;
    Backoff backoff;
    unsigned failures; /* in a row */
    bool told_failure;
    bool refused; /* the last failure was one that waiting does not mend */
    MonitorTold told;
    MonitorView view;
};

/* ---- by the stream thread ---- */

void monitor_follow(Monitor *monitor, const MonitorSession *session)
{
    if (monitor == NULL)
        return;
    (void)pthread_mutex_lock(&monitor->lock);
    monitor->newest = *session;
    (void)pthread_mutex_unlock(&monitor->lock);
    bell_ring(&monitor->wake);
}

bool monitor_wants_prompt(const Monitor *monitor)
{
    return monitor != NULL && atomic_load(&monitor->prompt);
}

/* ---- by the monitor's thread ---- */

static bool was_asked_for(const Monitor *monitor)
{
    return monitor->options->monitor.conninfo != NULL;
}

static void publish(Monitor *monitor)
{
    const ReceiverWatch *watch = &monitor->options->watch;
    if (watch->monitor != NULL)
        watch->monitor(watch->context, &monitor->view);
}

static void disconnect(Monitor *monitor)
{
    connection_close(monitor->connection);
    monitor->connection = NULL;
}

static void take_session(Monitor *monitor)
{
    MonitorSession before = monitor->session;
    MonitorSession *now = &monitor->session;
    (void)pthread_mutex_lock(&monitor->lock);
    *now = monitor->newest;
    (void)pthread_mutex_unlock(&monitor->lock);
    if (now->sender_pid == 0) { /* the server stays the one that was */
        *now = before;
        now->sender_pid = 0;
        return;
    }
    bool moved = strcmp(before.host, now->host) != 0 || strcmp(before.port, now->port) != 0;
    if (moved) {
        disconnect(monitor);
        monitor->refused = false;
    }
    bool changed = before.sender_pid != now->sender_pid ||
                   memcmp(&before.self, &now->self, sizeof(now->self)) != 0;
    if ((!changed && !moved) || monitor->refused)
        return;
    monitor->interval_ms = FIRST_INTERVAL_MS;
    monitor->next_ms = clock_monotonic_ms();
}

/* Until a look is due. False: the end. */
static bool sleep_until_due(Monitor *monitor)
{
    for (;;) {
        switch (control_wait(&monitor->control, monitor->wake.fd, POLLIN, monitor->next_ms)) {
        case CONTROL_READY:
            bell_silence(&monitor->wake);
            take_session(monitor);
            break;
        case CONTROL_TIMEOUT:
            return true;
        case CONTROL_STOP:
            return false;
        }
    }
}

/* To the very server that WAL comes from, unless --monitor names one. Nobody is asked for a
 * password. */
static bool connect_to_server(Monitor *monitor, Error *err)
{
    ConnectOptions plain = monitor->options->connect;
    const ConnectMerge *settings = &monitor->settings;
    if (settings->conninfo != NULL) {
        plain.conninfo = settings->conninfo;
        plain.user = NULL; /* stands in the text */
        plain.forget_typed = settings->other_user || settings->other_server;
    }
    plain.host = settings->other_server ? NULL : monitor->session.host;
    plain.port = settings->other_server ? NULL : monitor->session.port;
    plain.program = "walrx monitor";
    plain.force_password = false;
    plain.never_password = true;
    if (!connection_open(&plain, CONNECTION_PLAIN, &monitor->control, TIMEOUT_MS,
                         &monitor->connection, err))
        return false;
    monitor->opened_ms = clock_monotonic_ms();
    return monitor_prepare(monitor->connection, err);
}

static bool ask(Monitor *monitor, MonitorFacts *ret, Error *err)
{
    if (monitor->connection != NULL && clock_monotonic_ms() - monitor->opened_ms >= CONNECTION_MS)
        disconnect(monitor);
    if (monitor->connection == NULL) {
        /* What hangs in a name server is not added to: the stream's own tries come first. */
        if (connection_attempts_left())
            return error_set(err, ERROR_RETRY, "an earlier attempt to connect has not come back");
        if (!connect_to_server(monitor, err))
            return false;
    }
    return monitor_ask(monitor->connection, monitor->options->slot, monitor->session.sender_pid,
                       ret, err);
}

/* Where nobody asked for a monitor, its absence is no news; nor is one that comes back at once. */
static void tell_failure(Monitor *monitor, const Error *error)
{
    Error told = *error;
    bool news = monitor->refused || monitor->failures >= FAILURES_TOLD;
    if (monitor->told_failure || !news)
        return;
    monitor->told_failure = true;
    (void)error_set(&told, error->class, "the server cannot be watched: %s", error->message);
    (void)error_detail(&told, "Receiving does not depend on it; it is tried again now and then.");
    (void)error_hint(&told, "--monitor needs a line for a database in pg_hba.conf, and says how to "
                            "connect; --monitor=off does without.");
    log_error(was_asked_for(monitor) ? LOG_WARNING : LOG_DEBUG, NULL, &told);
}

static void failed(Monitor *monitor, const Error *error)
{
    uint64_t delay_ms = backoff_next_ms(&monitor->backoff);
    disconnect(monitor);
    monitor->failures++;
    monitor->refused = error->class != ERROR_RETRY;
    if (monitor->refused)
        delay_ms = was_asked_for(monitor) ? REFUSED_ASKED_MS : REFUSED_MS;
    monitor->next_ms = clock_monotonic_ms() + delay_ms;
    tell_failure(monitor, error);
    monitor->view.reachable = false;
    (void)snprintf(monitor->view.problem, sizeof(monitor->view.problem), "%s", error->message);
    publish(monitor);
}

static void succeeded(Monitor *monitor, const MonitorFacts *facts)
{
    if (monitor->told_failure)
        log_line(was_asked_for(monitor) ? LOG_INFO : LOG_DEBUG, NULL,
                 "the server can be watched again");
    monitor->told_failure = false;
    monitor->failures = 0;
    backoff_reset(&monitor->backoff);
    monitor->next_ms = clock_monotonic_ms() + monitor->interval_ms;
    monitor->interval_ms =
        monitor->interval_ms * 2 < INTERVAL_MS ? monitor->interval_ms * 2 : INTERVAL_MS;
    monitor->view = facts->view;
    monitor->view.enabled = true;
    monitor->view.reachable = true;
    monitor->view.at = clock_pg_time();
    unsigned news = monitor_judge(&monitor->told, facts, &monitor->session.self);
    monitor_tell(news, facts, monitor->options->slot);
    if (atomic_exchange(&monitor->prompt, monitor->told.prompt) != monitor->told.prompt)
        bell_ring(monitor->bell);
    publish(monitor);
}

static void *monitor_main(void *argument)
{
    Monitor *monitor = argument;
    publish(monitor);
    while (sleep_until_due(monitor)) {
        MonitorFacts facts;
        Error error;
        if (ask(monitor, &facts, &error))
            succeeded(monitor, &facts);
        else if (error.class != ERROR_STOPPED)
            failed(monitor, &error);
    }
    disconnect(monitor);
    return NULL;
}

/* ---- begin and end ---- */

static void release(Monitor *monitor)
{
    bell_close(&monitor->stop);
    bell_close(&monitor->wake);
    (void)pthread_mutex_destroy(&monitor->lock);
    free(monitor->settings.conninfo);
    free(monitor);
}

static bool start(Monitor *monitor, Error *err)
{
    const ReceiverOptions *options = monitor->options;
    if (options->monitor.conninfo != NULL &&
        !connect_options_merge(&options->connect, options->monitor.conninfo, &monitor->settings,
                               err))
        return false;
    if (!bell_open(&monitor->stop, err) || !bell_open(&monitor->wake, err))
        return false;
    int rc = pthread_create(&monitor->thread, NULL, monitor_main, monitor);
    return rc == 0 || error_set_errno(err, ERROR_MEMORY, rc, "could not start a thread");
}

Monitor *monitor_open(const ReceiverOptions *options, const Bell *bell)
{
    Error error;
    if (!options->monitor.enabled)
        return NULL;
    Monitor *monitor = calloc(1, sizeof(*monitor));
    if (monitor == NULL) {
        log_line(LOG_WARNING, NULL, "out of memory for watching the server");
        return NULL;
    }
    monitor->options = options;
    monitor->bell = bell;
    monitor->stop.fd = -1;
    monitor->wake.fd = -1;
    (void)pthread_mutex_init(&monitor->lock, NULL);
    monitor->control = (Control){.signal_fd = -1, .ended = &monitor->stop};
    monitor->next_ms = UINT64_MAX;
    monitor->interval_ms = FIRST_INTERVAL_MS;
    monitor->backoff = backoff_init(RETRY_MS, RETRY_MAX_MS, clock_seed());
    monitor->view = (MonitorView)MONITOR_VIEW_EMPTY;
    monitor->view.enabled = was_asked_for(monitor);
    if (start(monitor, &error))
        return monitor;
    log_error(LOG_WARNING, NULL, &error);
    release(monitor);
    return NULL;
}

void monitor_close(Monitor *monitor)
{
    if (monitor == NULL)
        return;
    bell_ring(&monitor->stop);
    (void)pthread_join(monitor->thread, NULL);
    release(monitor);
}
