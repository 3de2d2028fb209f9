/* SPDX-License-Identifier: PostgreSQL
 *
 * The bounded list of problems. Chunks overlap where records cross them, so that one damage can be
 * found twice: whatever overlaps is joined, the reason that was met first remains.
 */
#include "verify_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[VERIFY_KIND_COUNT] = {
    [VERIFY_DAMAGE] = "damage",     [VERIFY_STRAY] = "stray",
    [VERIFY_FILE] = "file",         [VERIFY_DIFFERENCE] = "difference",
    [VERIFY_HISTORY] = "history",   [VERIFY_UNREADABLE] = "unreadable",
    [VERIFY_VANISHED] = "vanished",
};

const char *verify_kind_name(VerifyKind kind)
{
    return kind_names[kind];
}

VerifyProblem verify_problem(VerifyKind kind, Timeline timeline, const char *file, uint64_t offset,
                             Lsn begin, Lsn end)
{
    VerifyProblem problem = {.kind = kind,
                             .timeline = timeline,
                             .offset = offset,
                             .lsn = begin,
                             .begin = begin,
                             .end = end};
    (void)snprintf(problem.file, sizeof(problem.file), "%s", file);
    return problem;
}

static bool make_room(VerifyFound *found)
{
    if (found->count < found->capacity)
        return true;
    if (found->count >= VERIFY_PROBLEMS_MAX)
        return false;
    size_t capacity = found->capacity == 0 ? 16 : found->capacity * 2;
    VerifyProblem *problems = realloc(found->problems, capacity * sizeof(problems[0]));
    if (problems == NULL)
        return false;
    found->problems = problems;
    found->capacity = capacity;
    return true;
}

void verify_found_add(VerifyFound *found, const VerifyProblem *problem)
{
    found->total++;
    if (problem->kind == VERIFY_UNREADABLE)
        found->unreadable++;
    if (make_room(found))
        found->problems[found->count++] = *problem;
}

void verify_found_move(VerifyFound *from, VerifyFound *to)
{
    uint64_t beyond = from->total - from->count;
    uint64_t unreadable = to->unreadable + from->unreadable;
    for (size_t i = 0; i < from->count; i++)
        verify_found_add(to, &from->problems[i]);
    to->total += beyond;
    to->unreadable = unreadable;
    verify_found_free(from);
}

static int compare_places(const void *a, const void *b)
{
    const VerifyProblem *x = a;
    const VerifyProblem *y = b;
    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return strcmp(x->file, y->file);
}

/* Is `next` seen already, as a part of the damage before it? */
static bool joins(const VerifyProblem *damage, const VerifyProblem *next)
{
    return damage->kind == VERIFY_DAMAGE && next->kind == VERIFY_DAMAGE &&
           damage->timeline == next->timeline && next->begin < damage->end;
}

void verify_found_settle(VerifyFound *found)
{
    if (found->count < 2)
        return;
    qsort(found->problems, found->count, sizeof(found->problems[0]), compare_places);
    size_t kept = 1;
    size_t damage = 0; /* the newest one kept; others may lie between */
    for (size_t i = 1; i < found->count; i++) {
        const VerifyProblem *next = &found->problems[i];
        if (joins(&found->problems[damage], next)) {
            if (next->end > found->problems[damage].end)
                found->problems[damage].end = next->end;
            found->total--;
            continue;
        }
        if (next->kind == VERIFY_DAMAGE)
            damage = kept;
        found->problems[kept++] = *next;
    }
    found->count = kept;
}

void verify_found_free(VerifyFound *found)
{
    free(found->problems);
    *found = (VerifyFound){.problems = NULL};
}
