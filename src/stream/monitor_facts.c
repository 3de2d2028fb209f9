/* SPDX-License-Identifier: PostgreSQL
 *
 * See monitor_facts.h.
 */
#include "monitor_facts.h"

#include "walrx/base/parse.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void monitor_facts_clear(MonitorFacts *ret)
{
    *ret = (MonitorFacts){.view = MONITOR_VIEW_EMPTY};
}

void monitor_take_slot(const SlotStatus *slot, MonitorFacts *facts)
{
    const char *status = slot_wal_name(slot->view.wal);
    if (!slot->exists)
        return;
    (void)snprintf(facts->view.wal_status, sizeof(facts->view.wal_status), "%s",
                   status != NULL ? status : "");
    facts->view.restart_lsn = slot->restart_lsn;
    if (slot->restart_lsn != LSN_INVALID && slot->server_lsn >= slot->restart_lsn)
        facts->view.retained_bytes = slot->server_lsn - slot->restart_lsn;
    if (slot->view.limited)
        facts->view.safe_wal_size =
            slot->view.safe_size > 0 ? (uint64_t)slot->view.safe_size : UINT64_C(0);
}

static bool check_columns(const ResultRow *row, size_t columns, Error *err)
{
    return row->count == columns ||
           error_set(err, ERROR_PROTOCOL,
                     "the server's answer to the monitor has %zu columns, not %zu", row->count,
                     columns);
}

/* Null is the empty text; what is too long is cut. */
static void take_text(const ResultRow *row, size_t column, char *ret, size_t capacity)
{
    const char *value = row->values[column];
    size_t length = row->lengths[column];
    if (value == NULL)
        length = 0;
    else if (length >= capacity)
        length = capacity - 1;
    (void)snprintf(ret, capacity, "%.*s", (int)length, value != NULL ? value : "");
}

/* Null leaves *ret as it is. */
static bool take_number(const ResultRow *row, size_t column, uint64_t *ret, Error *err)
{
    char digits[24];
    uint64_t value;
    if (row->values[column] == NULL)
        return true;
    take_text(row, column, digits, sizeof(digits));
    if (row->lengths[column] >= sizeof(digits) || !parse_u64(digits, 0, INT32_MAX, &value))
        return error_set(err, ERROR_PROTOCOL,
                         "the server's answer to the monitor is no number: \"%s\"", digits);
    *ret = value;
    return true;
}

/* Words as in syncrep_scanner.l: plain ones end at a blank, comma or parenthesis, quoted ones hold
 * quotes doubled; names are compared without regard to case (SyncRepGetStandbyPriority). */
static bool next_word(const char **at, const char *end, char *ret, size_t capacity)
{
    size_t length = 0;
    while (*at < end && strchr(" \t\r\n,()", **at) != NULL)
        ++*at;
    if (*at == end)
        return false;
    bool quoted = **at == '"';
    for (*at += quoted ? 1 : 0; *at < end; ++*at) {
        if (quoted && **at == '"') {
            ++*at;
            if (*at == end || **at != '"')
                break;
        } else if (!quoted && strchr(" \t\r\n,()", **at) != NULL) {
            break;
        }
        if (length + 1 < capacity)
            ret[length++] = **at;
    }
    ret[length] = '\0';
    return true;
}

bool monitor_names_hold(const char *names, size_t length, const char *name)
{
    const char *end = names + length;
    char word[64]; /* NAMEDATALEN: names are not longer */
    while (next_word(&names, end, word, sizeof(word))) {
        if (strcmp(word, "*") == 0 || (name[0] != '\0' && strcasecmp(word, name) == 0))
            return true;
    }
    return false;
}

bool monitor_take_sender(const ResultRow *row, MonitorFacts *facts, Error *err)
{
    MonitorView *view = &facts->view;
    char state[16];
    char flag[2];
    char name[64]; /* NAMEDATALEN */
    if (!check_columns(row, MONITOR_SENDER_COLUMNS, err))
        return false;
    bool there = row->values[0] != NULL;
    facts->sender_known = there && row->values[1] != NULL && row->values[2] != NULL;
    facts->sender_hidden = there && !facts->sender_known;
    take_text(row, 1, state, sizeof(state));
    facts->streaming = facts->sender_known && strcmp(state, "streaming") == 0;
    facts->flush_seen = row->values[3] != NULL;
    take_text(row, 4, name, sizeof(name));
    facts->listed = facts->sender_known && row->values[5] != NULL &&
                    monitor_names_hold(row->values[5], row->lengths[5], name);
    if (facts->sender_known)
        take_text(row, 2, view->sync_state, sizeof(view->sync_state));
    take_text(row, 5, view->synchronous_standby_names, sizeof(view->synchronous_standby_names));
    take_text(row, 6, view->synchronous_commit, sizeof(view->synchronous_commit));
    take_text(row, 7, flag, sizeof(flag));
    facts->others_remote_apply = flag[0] == 't';
    return true;
}

bool monitor_take_load(const ResultRow *row, MonitorFacts *facts, Error *err)
{
    MonitorView *view = &facts->view;
    return check_columns(row, MONITOR_LOAD_COLUMNS, err) &&
           take_number(row, 0, &view->connections, err) &&
           take_number(row, 1, &view->max_connections, err) &&
           take_number(row, 2, &facts->reserved, err) &&
           take_number(row, 3, &view->walsenders, err) &&
           take_number(row, 4, &view->max_walsenders, err);
}
