/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx list` as one JSON object, whose keys walrx-list(1) describes. A reference
 * that jansson could not make is NULL and fails the object it belongs to.
 */
#include "json_text.h"
#include "list_report.h"

#include "walrx/os/clock.h"

#include <inttypes.h>
#include <jansson.h>

#define FORMAT_VERSION 1

static json_t *segment(const Listing *listing, Timeline timeline, SegNo segno)
{
    char name[WAL_FILE_NAME_SIZE];
    return json_string(
        wal_segment_name(timeline, segno, listing->segment_size, WAL_RAW, false, name));
}

static json_t *ratio_of(uint64_t wal_bytes, uint64_t disk_bytes)
{
    return disk_bytes == 0 || wal_bytes == 0 ? json_null()
                                             : json_real(list_ratio(wal_bytes, disk_bytes));
}

static json_t *files_of(const ListingFiles *files)
{
    return json_pack("{s:o, s:o}", "files", json_whole(files->files), "disk_bytes",
                     json_whole(files->disk_bytes));
}

/* Adds to an array; NULL, with the array gone, when either could not be made. */
static json_t *append(json_t *array, json_t *item)
{
    if (array == NULL || json_array_append_new(array, item) != 0) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *forms_of(const Listing *listing)
{
    json_t *forms = json_object();
    for (int i = 0; forms != NULL && i < WAL_COMPRESSION_COUNT; i++) {
        const ListingFiles *form = &listing->forms[i];
        uint64_t wal = list_wal_bytes(listing, form->files);
        json_t *item = json_pack(
            "{s:o, s:o, s:o, s:o}", "files", json_whole(form->files), "wal_bytes", json_whole(wal),
            "disk_bytes", json_whole(form->disk_bytes), "ratio", ratio_of(wal, form->disk_bytes));
        if (json_object_set_new(forms, list_form_name((WalCompression)i), item) != 0) {
            json_decref(forms);
            return NULL;
        }
    }
    return forms;
}

static json_t *ranges_of(const Listing *listing, const ListingTimeline *timeline)
{
    json_t *array = json_array();
    uint32_t size = listing->segment_size;
    for (size_t i = 0; array != NULL && i < timeline->range_count; i++) {
        const ListingRange *range = &listing->ranges[timeline->first_range + i];
        array = append(array,
                       json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "first_segment",
                                 segment(listing, timeline->timeline, range->first), "last_segment",
                                 segment(listing, timeline->timeline, range->last), "begin_lsn",
                                 json_lsn(segment_start(range->first, size)), "end_lsn",
                                 json_lsn(segment_start(range->last + 1, size)), "segments",
                                 json_whole(range->last - range->first + 1), "disk_bytes",
                                 json_whole(range->disk_bytes)));
    }
    return array;
}

static json_t *open_of(const Listing *listing, const ListingTimeline *timeline)
{
    const ListingOpen *open = &timeline->open;
    char name[WAL_FILE_NAME_SIZE];
    if (!open->exists)
        return json_null();
    bool proven = open->examined && open->proven_end > open->proven_begin;
    return json_pack("{s:s, s:o, s:o, s:b, s:o, s:o}", "file",
                     wal_segment_name(timeline->timeline, open->segno, listing->segment_size,
                                      open->form, true, name),
                     "begin_lsn", json_lsn(segment_start(open->segno, listing->segment_size)),
                     "disk_bytes", json_whole(open->disk_bytes), "examined", open->examined,
                     "proven_begin_lsn", proven ? json_lsn(open->proven_begin) : json_null(),
                     "proven_end_lsn", proven ? json_lsn(open->proven_end) : json_null());
}

static json_t *timelines_of(const Listing *listing)
{
    static const char *const branches[] = {[LISTING_BRANCH_UNKNOWN] = "unknown",
                                           [LISTING_BRANCH_CURRENT] = "current",
                                           [LISTING_BRANCH_DEAD] = "dead"};
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < listing->timeline_count; i++) {
        const ListingTimeline *timeline = &listing->timelines[i];
        bool left = timeline->next != 0;
        array = append(
            array, json_pack("{s:I, s:s, s:b, s:o, s:o, s:o, s:o}", "timeline",
                             (json_int_t)timeline->timeline, "branch", branches[timeline->branch],
                             "history_file", timeline->has_history, "left_at_lsn",
                             left ? json_lsn(timeline->left_at) : json_null(), "next_timeline",
                             left ? json_integer(timeline->next) : json_null(), "ranges",
                             ranges_of(listing, timeline), "open", open_of(listing, timeline)));
    }
    return array;
}

static json_t *gaps_of(const Listing *listing)
{
    static const char *const states[] = {[LISTING_GAP_UNEXPLAINED] = "unexplained",
                                         [LISTING_GAP_RECORDED] = "recorded",
                                         [LISTING_GAP_AHEAD] = "ahead"};
    json_t *array = json_array();
    uint32_t size = listing->segment_size;
    for (size_t i = 0; array != NULL && i < listing->gap_count; i++) {
        const ListingGap *gap = &listing->gaps[i];
        array = append(
            array,
            json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s}", "timeline",
                      (json_int_t)gap->timeline, "behind_timeline", (json_int_t)gap->behind,
                      "begin_lsn", json_lsn(gap->begin), "end_lsn", json_lsn(gap->end),
                      "begin_segment",
                      segment(listing, gap->timeline, segment_of(gap->begin, size)), "end_segment",
                      segment(listing, gap->behind, segment_of(gap->end, size)), "segments",
                      json_whole((gap->end - gap->begin) / size), "state", states[gap->state]));
    }
    return array;
}

static json_t *commit_of(const ListingCommit *commit)
{
    char time[CLOCK_TEXT_SIZE];
    return json_pack("{s:o, s:o, s:o, s:o}", "time",
                     commit->found ? json_string(clock_pg_text(commit->time, time)) : json_null(),
                     "lsn", commit->found ? json_lsn(commit->lsn) : json_null(), "timeline",
                     commit->found ? json_integer(commit->timeline) : json_null(),
                     "searched_segments", json_whole(commit->searched));
}

/* null where there is no WAL. */
static json_t *window_of(const Listing *listing)
{
    if (listing->unbroken_timeline == 0)
        return json_null();
    return json_pack(
        "{s:o, s:I, s:o, s:o, s:o}", "unbroken_begin_lsn", json_lsn(listing->unbroken_begin),
        "unbroken_timeline", (json_int_t)listing->unbroken_timeline, "oldest_commit",
        commit_of(&listing->oldest), "oldest_unbroken_commit", commit_of(&listing->oldest_unbroken),
        "newest_commit", commit_of(&listing->newest));
}

static json_t *wal_of(const Listing *listing)
{
    uint64_t wal = list_wal_bytes(listing, listing->segments);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "segments", json_whole(listing->segments),
                     "wal_bytes", json_whole(wal), "disk_bytes", json_whole(listing->disk_bytes),
                     "ratio", ratio_of(wal, listing->disk_bytes), "forms", forms_of(listing));
}

static json_t *other_of(const Listing *listing)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "partials",
                     files_of(&listing->partials), "histories", files_of(&listing->histories),
                     "backup_histories", files_of(&listing->backup_histories), "quarantine",
                     files_of(&listing->quarantine), "duplicates", files_of(&listing->duplicates),
                     "old_partials", files_of(&listing->stale), "temporary",
                     files_of(&listing->temporary), "wrong_size", files_of(&listing->odd),
                     "foreign", files_of(&listing->foreign));
}

bool list_print_json(FILE *out, const char *directory, const Listing *listing, Error *err)
{
    const Error *unreadable = &listing->unreadable;
    char identifier[32];
    (void)snprintf(identifier, sizeof(identifier), "%" PRIu64, listing->system_identifier);
    json_t *object = json_pack(
        "{s:i, s:o, s:s?, s:s?, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "format_version",
        FORMAT_VERSION, "directory", json_text(directory), "system_identifier",
        listing->known ? identifier : NULL, "identity_from",
        !listing->known   ? NULL
        : listing->loaded ? "walrx"
                          : "wal",
        "segment_size_bytes", listing->known ? json_whole(listing->segment_size) : json_null(),
        "wal", wal_of(listing), "window", window_of(listing), "timelines", timelines_of(listing),
        "gaps", gaps_of(listing), "files", other_of(listing), "warning",
        unreadable->class != ERROR_NONE ? json_text(unreadable->message) : json_null());
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the listing");
    (void)json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
