/* SPDX-License-Identifier: PostgreSQL
 *
 * See monitor_judge.h.
 */
#include "monitor_judge.h"

#include <string.h>

/* Percent of what there is; the second is less, so that it does not flap. */
#define FULL_FROM 90
#define FREE_BELOW 80

/* Notes that `state` holds, or not, and returns what of that is news. */
static unsigned note(MonitorTold *told, unsigned state, bool holds, unsigned over)
{
    bool held = (told->states & state) != 0;
    if (holds == held)
        return 0;
    told->states ^= state;
    return holds ? state : over;
}

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

/* One that catches up is not taken for synchronous yet (SyncRepGetCandidateStandbys in syncrep.c,
 * PostgreSQL 15): what was before holds until it streams. Before it has told a flush position
 * nobody knows whether it is one, but commits may wait already: it tells one, to find out. */
static unsigned judge_sync(MonitorTold *told, const MonitorFacts *facts, const MonitorSelf *self)
{
    const char *state = facts->view.sync_state;
    bool sync = is(state, "sync") || is(state, "quorum");
    bool before = told->sync;
    if (!facts->sender_known || (!facts->streaming && !sync))
        return 0;
    if (!facts->flush_seen && facts->listed && self->reports_flush) {
        told->prompt = true;
        return 0;
    }
    told->prompt = told->sync = sync;
    if (self->synchronous || sync == before)
        return 0;
    return sync ? MONITOR_SYNC : MONITOR_ASYNC;
}

static unsigned judge_candidate(MonitorTold *told, const MonitorFacts *facts,
                                const MonitorSelf *self)
{
    bool names = facts->view.synchronous_standby_names[0] != '\0';
    bool hidden = facts->sender_hidden && names;
    bool possible = facts->listed || hidden;
    bool remote = is(facts->view.synchronous_commit, "remote_apply") || facts->others_remote_apply;
    if (!facts->sender_known && !facts->sender_hidden)
        return 0; /* between two connections */
    return note(told, MONITOR_HIDDEN, hidden && self->reports_flush && !self->synchronous, 0) |
           note(told, MONITOR_NOT_CHOSEN, facts->listed && !self->reports_flush, 0) |
           note(told, MONITOR_REMOTE_APPLY,
                possible && remote && self->reports_flush && !self->reports_apply, 0);
}

static unsigned judge_slot(MonitorTold *told, const MonitorFacts *facts)
{
    const char *status = facts->view.wal_status;
    bool risk = is(status, "unreserved");
    bool lost = is(status, "lost");
    if (status[0] == '\0')
        return 0; /* no slot, or one that keeps nothing yet */
    bool before = (told->states & (MONITOR_SLOT_AT_RISK | MONITOR_SLOT_LOST)) != 0;
    unsigned news =
        note(told, MONITOR_SLOT_AT_RISK, risk, 0) | note(told, MONITOR_SLOT_LOST, lost, 0);
    return before && !risk && !lost ? news | MONITOR_SLOT_SAFE : news;
}

static bool is_full(bool was, uint64_t used, uint64_t most)
{
    if (used == MONITOR_UNKNOWN || most == MONITOR_UNKNOWN || most == 0)
        return was;
    return used * 100 >= most * (was ? FREE_BELOW : FULL_FROM);
}

static unsigned judge_load(MonitorTold *told, const MonitorFacts *facts)
{
    const MonitorView *view = &facts->view;
    uint64_t most = view->max_connections;
    if (most != MONITOR_UNKNOWN)
        most -= facts->reserved < most ? facts->reserved : 0;
    bool connections =
        is_full((told->states & MONITOR_CONNECTIONS_FULL) != 0, view->connections, most);
    bool senders =
        is_full((told->states & MONITOR_SENDERS_FULL) != 0, view->walsenders, view->max_walsenders);
    return note(told, MONITOR_CONNECTIONS_FULL, connections, MONITOR_CONNECTIONS_FREE) |
           note(told, MONITOR_SENDERS_FULL, senders, MONITOR_SENDERS_FREE);
}

unsigned monitor_judge(MonitorTold *told, const MonitorFacts *facts, const MonitorSelf *self)
{
    return judge_sync(told, facts, self) | judge_candidate(told, facts, self) |
           judge_slot(told, facts) | judge_load(told, facts);
}
