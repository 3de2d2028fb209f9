/* SPDX-License-Identifier: PostgreSQL
 *
 * See monitor_tell.h.
 */
#include "monitor_tell.h"

#include "walrx/os/log.h"

#include <inttypes.h>

static void tell_sync(unsigned news, const MonitorFacts *facts)
{
    const char *names = facts->view.synchronous_standby_names;
    Error told;
    if ((news & MONITOR_SYNC) != 0)
        log_line(LOG_INFO, NULL,
                 "this receiver is a synchronous standby (sync_state \"%s\"): WAL is flushed and "
                 "reported as it arrives, as with --synchronous",
                 facts->view.sync_state);
    if ((news & MONITOR_ASYNC) != 0)
        log_line(LOG_INFO, NULL,
                 "this receiver is no longer a synchronous standby (sync_state \"%s\"): WAL is "
                 "flushed within --flush-interval again",
                 facts->view.sync_state);
    if ((news & MONITOR_HIDDEN) != 0) {
        error_set(&told, ERROR_OPERATOR,
                  "whether this receiver is a synchronous standby is hidden by the server, whose "
                  "synchronous_standby_names is \"%s\"",
                  names);
        error_hint(&told, "If it is, commits wait for --flush-interval: use --synchronous, or "
                          "grant pg_monitor to the user that --monitor connects as.");
        log_error(LOG_WARNING, NULL, &told);
    }
    if ((news & MONITOR_NOT_CHOSEN) != 0) {
        error_set(&told, ERROR_OPERATOR,
                  "synchronous_standby_names of the server, \"%s\", is about this receiver too, "
                  "but commits will not wait for it",
                  names);
        error_hint(&told, "It tells the server what is durable only with a slot (--slot) or "
                          "--synchronous.");
        log_error(LOG_WARNING, NULL, &told);
    }
}

static void tell_remote_apply(const MonitorFacts *facts)
{
    Error told;
    error_set(&told, ERROR_OPERATOR,
              "commits with synchronous_commit = remote_apply can wait for this receiver without "
              "end: it reports nothing as applied");
    error_detail(&told,
                 "The server has synchronous_standby_names = \"%s\", and synchronous_commit is "
                 "%s%s%s; other sessions may have another one.",
                 facts->view.synchronous_standby_names, facts->view.synchronous_commit,
                 facts->others_remote_apply ? ", and remote_apply for some role or database" : "",
                 facts->sender_hidden ? ". Whether the names are about this receiver is hidden"
                                      : "");
    error_hint(&told, "Use --report-apply, or another synchronous_commit.");
    log_error(LOG_WARNING, NULL, &told);
}

static void tell_slot(unsigned news, const MonitorFacts *facts, const char *slot)
{
    Error told;
    if ((news & MONITOR_SLOT_AT_RISK) != 0) {
        error_set(&told, ERROR_OPERATOR,
                  "replication slot \"%s\" is in danger: its WAL is unreserved, the server's next "
                  "checkpoint may remove it",
                  slot);
        error_hint(&told, "Raise max_slot_wal_keep_size on the server until the receiver has "
                          "caught up, and see what holds it up.");
        log_error(LOG_WARNING, NULL, &told);
    }
    if ((news & MONITOR_SLOT_LOST) != 0) {
        error_set(&told, ERROR_OPERATOR,
                  "replication slot \"%s\" is lost: the server removed WAL that it was to keep",
                  slot);
        error_hint(&told, "WAL that streams now is received, but nothing is kept for a receiver "
                          "that is away. At the next connection the slot is looked at: see "
                          "--create-slot-if-missing.");
        log_error(LOG_WARNING, NULL, &told);
    }
    if ((news & MONITOR_SLOT_SAFE) != 0)
        log_line(LOG_INFO, NULL, "replication slot \"%s\" keeps its WAL again (%s)", slot,
                 facts->view.wal_status);
}

static void tell_load(unsigned news, const MonitorFacts *facts)
{
    const MonitorView *view = &facts->view;
    Error told;
    if ((news & MONITOR_CONNECTIONS_FULL) != 0) {
        error_set(&told, ERROR_OPERATOR,
                  "the server has few connections left: %" PRIu64 " of %" PRIu64 " are in use",
                  view->connections, view->max_connections);
        error_detail(&told, "%" PRIu64 " of them are reserved.", facts->reserved);
        error_hint(&told, "Raise max_connections, or see who holds them (pg_stat_activity).");
        log_error(LOG_WARNING, NULL, &told);
    }
    if ((news & MONITOR_CONNECTIONS_FREE) != 0)
        log_line(LOG_INFO, NULL, "the server has connections left again");
    if ((news & MONITOR_SENDERS_FULL) != 0) {
        error_set(&told, ERROR_OPERATOR,
                  "the server has few walsenders left: %" PRIu64 " of %" PRIu64 " are in use",
                  view->walsenders, view->max_walsenders);
        error_hint(&told, "Without a free one this receiver cannot connect again: raise "
                          "max_wal_senders.");
        log_error(LOG_WARNING, NULL, &told);
    }
    if ((news & MONITOR_SENDERS_FREE) != 0)
        log_line(LOG_INFO, NULL, "the server has walsenders left again");
}

void monitor_tell(unsigned news, const MonitorFacts *facts, const char *slot)
{
    tell_sync(news, facts);
    if ((news & MONITOR_REMOTE_APPLY) != 0)
        tell_remote_apply(facts);
    tell_slot(news, facts, slot != NULL ? slot : "");
    tell_load(news, facts);
}
