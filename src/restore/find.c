/* SPDX-License-Identifier: PostgreSQL
 *
 * See find.h. The listing gives the branch, the branch the place; where that is not what was asked
 * for, other branches are looked at.
 */
#include "find_internal.h"

#include <stdlib.h>

static bool archive_entries(const FindSource *source, SegNo from, SegNo to, FindEntryVisit visit,
                            void *context, Error *err)
{
    IndexUse use;
    return index_visit(source->context, source->branch, from, to, visit, context, &use, err);
}

static bool archive_records(const FindSource *source, SegNo from, SegNo to, const WalkVisit *visit,
                            Lsn *ret_end, Error *err)
{
    return walk_branch(source->context, source->branch, from, to, visit, ret_end, err);
}

FindSource find_source(const Archive *archive, const Branch *branch)
{
    return (FindSource){
        .branch = branch,
        .segment_size = archive->segment_size,
        .entries = archive_entries,
        .records = archive_records,
        .context = archive,
    };
}

void find_free(FindResult *result)
{
    free(result->before);
    free(result->after);
    result->before = NULL;
    result->before_count = 0;
    result->after = NULL;
    result->after_count = 0;
}

static bool find_in(const Archive *archive, const Listing *listing, const FindTarget *target,
                    FindResult *ret, Error *err)
{
    Branch branch;
    bool ok = branch_make(archive, listing, target->timeline, &branch, err);
    if (ok) {
        FindSource source = find_source(archive, &branch);
        ok = find_on_branch(&source, target, ret, err) &&
             find_other(archive, listing, target, ret, err);
    }
    branch_free(&branch);
    return ok;
}

bool find_target(const Archive *archive, const FindTarget *target, FindResult *ret, Error *err)
{
    Listing listing;
    *ret = (FindResult){.outcome = FIND_NOT_THERE};
    if (!archive->bound)
        return error_set(err, ERROR_USAGE, "there is no WAL in \"%s\"", archive->dir.path);
    bool ok = listing_make(archive, true, false, &listing, err) &&
              find_in(archive, &listing, target, ret, err);
    listing_free(&listing);
    return ok;
}
