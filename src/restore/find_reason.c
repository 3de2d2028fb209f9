/* SPDX-License-Identifier: PostgreSQL
 *
 * Why a target cannot be reached, and what can be done about it: the words.
 */
#include "find_internal.h"

#include "walrx/os/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define WHAT_SIZE 160

/* The target as messages call it. */
static const char *what(const FindTarget *target, char buffer[WHAT_SIZE])
{
    char text[CLOCK_TEXT_SIZE];
    switch (target->kind) {
    case FIND_TIME:
        (void)snprintf(buffer, WHAT_SIZE, "%s", clock_pg_text(target->time, text));
        break;
    case FIND_POINT:
        (void)snprintf(buffer, WHAT_SIZE, "restore point \"%s\"", target->name);
        break;
    case FIND_LSN:
        (void)lsn_format(target->lsn, text);
        (void)snprintf(buffer, WHAT_SIZE, "%s", text);
        break;
    case FIND_XID:
        (void)snprintf(buffer, WHAT_SIZE, "transaction %" PRIu32, target->xid);
        break;
    case FIND_LATEST:
        (void)snprintf(buffer, WHAT_SIZE, "the end of the WAL");
        break;
    }
    return buffer;
}

static void set(FindResult *ret, const char *text)
{
    error_set(&ret->reason, ERROR_USAGE, "%s", text);
}

static void tell_from_missing(const FindTarget *target, FindResult *ret)
{
    char from[LSN_TEXT_SIZE];
    error_set(&ret->reason, ERROR_USAGE,
              "recovery would begin at %s, and the archive does not have the WAL there",
              lsn_format(target->from, from));
    error_hint(&ret->reason, "\"walrx list\" shows which WAL there is.");
}

static void tell_before(const FindTarget *target, FindResult *ret)
{
    char text[WHAT_SIZE];
    char place[LSN_TEXT_SIZE];
    char time[CLOCK_TEXT_SIZE];
    Error *why = &ret->reason;
    bool is_before_from = target->from != LSN_INVALID;
    if (target->kind == FIND_TIME && ret->next.found && !is_before_from) {
        error_set(why, ERROR_USAGE, "%s lies before the archive's first end of a transaction",
                  what(target, text));
        error_detail(why, "That is at %s, of %s.", lsn_format(ret->next.lsn, place),
                     clock_pg_text(ret->next.event.time, time));
        error_hint(why, "Recovery from a base backup that was finished by then does stop before "
                        "it; give where that backup begins, --from, to be sure.");
        return;
    }
    if (target->kind == FIND_TIME && ret->next.found) {
        error_set(why, ERROR_USAGE, "%s is not known to lie behind the beginning of recovery, %s",
                  what(target, text), lsn_format(target->from, place));
        error_detail(why, "The first transaction beyond that time ends at %s, of %s.",
                     lsn_format(ret->next.lsn, place), clock_pg_text(ret->next.event.time, time));
        error_hint(why, "It needs a base backup that was finished by that time.");
        return;
    }
    if (is_before_from) {
        error_set(why, ERROR_USAGE, "%s lies before %s, where recovery would begin",
                  what(target, text), lsn_format(target->from, place));
        error_hint(why, "It needs an older base backup.");
        return;
    }
    error_set(why, ERROR_USAGE, "%s lies before the archive's first WAL", what(target, text));
    error_hint(why, "\"walrx list\" shows which WAL there is.");
}

static void tell_beyond(const FindTarget *target, const FindFacts *facts, FindResult *ret)
{
    char text[WHAT_SIZE];
    char end[LSN_TEXT_SIZE];
    char time[CLOCK_TEXT_SIZE];
    Error *why = &ret->reason;
    lsn_format(ret->wal_end, end);
    if (target->kind == FIND_LSN) {
        error_set(why, ERROR_USAGE, "no record begins at or behind %s: the WAL ends at %s",
                  what(target, text), end);
        error_hint(why, "A server's current position lies behind its last record. --latest is all "
                        "the WAL there is.");
        return;
    }
    error_set(why, ERROR_USAGE, "the archive has no transaction that ends %s %s",
              target->exclusive ? "at or after" : "after", what(target, text));
    if (facts->has_end)
        error_detail(why,
                     "The newest ended at %s; the WAL ends at %s. From PostgreSQL 13 on such a "
                     "recovery fails: \"recovery ended before configured recovery target was "
                     "reached\".",
                     clock_pg_text(facts->newest, time), end);
    else
        error_detail(why, "No transaction ends in it; the WAL ends at %s.", end);
    error_hint(why, "--latest is all the WAL there is; a time before the newest one works, too.");
}

/* Where the target may be, too. */
static void add_gaps(const FindFacts *facts, Error *why)
{
    const Branch *branch = facts->branch;
    char begin[LSN_TEXT_SIZE];
    char end[LSN_TEXT_SIZE];
    for (size_t i = 1; i < branch->count; i++) {
        if (branch->spans[i].joined)
            continue;
        lsn_format(segment_start(branch->spans[i - 1].last + 1, facts->segment_size), begin);
        lsn_format(segment_start(branch->spans[i].first, facts->segment_size), end);
        error_detail(why, "WAL is missing from %s to %s; it may be there.", begin, end);
        return;
    }
}

static void tell_not_there(const FindTarget *target, const FindFacts *facts, FindResult *ret)
{
    char text[WHAT_SIZE];
    char from[LSN_TEXT_SIZE];
    Error *why = &ret->reason;
    bool limited = target->from != LSN_INVALID;
    lsn_format(limited ? target->from : ret->wal_begin, from);
    error_set(why, ERROR_USAGE, "there is no %s%s on timeline %" PRIu32 "%s%s",
              target->kind == FIND_XID ? "end of " : "", what(target, text), ret->timeline,
              limited ? " from " : "", limited ? from : "");
    add_gaps(facts, why);
    if (target->kind == FIND_XID)
        error_hint(why, "A subtransaction (savepoint, block with EXCEPTION) has an XID of its own, "
                        "which is no target; nor is a transaction that is still open.");
}

static void tell_gap(const FindTarget *target, const FindFacts *facts, FindResult *ret)
{
    char text[WHAT_SIZE];
    char lsn[2][LSN_TEXT_SIZE];
    char name[2][WAL_FILE_NAME_SIZE];
    Error *why = &ret->reason;
    SegNo first = facts->before_gap.last + 1;
    SegNo last = facts->behind_gap.first;
    const BranchSpan *span = branch_find(facts->branch, facts->before_gap.last);
    uint32_t size = facts->segment_size;
    error_set(why, ERROR_USAGE, "%s lies where WAL is missing, or can only be reached across it",
              what(target, text));
    error_detail(why, "The WAL from %s (%s) to %s (%s) is not in the archive.",
                 lsn_format(segment_start(first, size), lsn[0]),
                 wal_segment_name(span != NULL ? span->timeline : ret->timeline, first, size,
                                  WAL_RAW, false, name[0]),
                 lsn_format(segment_start(last, size), lsn[1]),
                 wal_segment_name(facts->behind_gap.timeline, last, size, WAL_RAW, false, name[1]));
    error_hint(why, "Recovery ends before the gap, or begins from a base backup behind it. If "
                    "another place still has these segments, copy them into the archive.");
}

void find_reason(const FindTarget *target, const FindFacts *facts, FindResult *ret)
{
    if (facts->from_missing) {
        tell_from_missing(target, ret);
        return;
    }
    switch (ret->outcome) {
    case FIND_BEFORE:
        tell_before(target, ret);
        break;
    case FIND_BEYOND:
        tell_beyond(target, facts, ret);
        break;
    case FIND_NOT_THERE:
        if (target->kind == FIND_LATEST)
            set(ret, "no record ends in the WAL of the archive");
        else
            tell_not_there(target, facts, ret);
        break;
    case FIND_IN_GAP:
        tell_gap(target, facts, ret);
        break;
    case FIND_REACHED:
        break;
    }
}
