/* SPDX-License-Identifier: PostgreSQL
 *
 * The times of the oldest and the newest commit, from as little WAL as possible: forwards from the
 * oldest segment until a commit is seen; backwards from the newest, segment by segment, for the
 * last commit of one. A commit record may begin in one segment and end in the next, so going
 * backwards a scan runs on into the following segment until its last record is whole.
 *
 * A long load without a commit, or an idle server, may have none nearby: the search is bounded, and
 * says how far it looked. Behind a segment switch nothing is read, so idle segments cost little.
 */
#include "listing_internal.h"

#include "walrx/archive/segment_file.h"
#include "walrx/proto/walrecord.h"
#include "walrx/proto/walscan.h"

#include <assert.h>
#include <errno.h>

#define SEARCH_MAX_BYTES ((uint64_t)256 << 20)
#define SEARCH_MAX_SEGMENTS 1024
#define SEARCH_MIN_SEGMENTS 2
/* Timelines whose open segment is examined: the newest ones. */
#define EXAMINE_MAX 16

typedef struct Search {
    const Archive *archive;
    const FileList *files;
    Listing *listing;
    bool first;     /* the first commit is wanted, not the last */
    Lsn limit;      /* records that begin here or behind do not count */
    Lsn start;      /* of the segment under way */
    bool running;   /* the scanner expects the start of the next segment */
    uint64_t left;  /* bytes of the segment that may still come */
    uint64_t bytes; /* read in all */
    bool failed;    /* the file of the segment under way could not be read */
    ListingCommit commit;
    WalScanner scanner;
    WalCollector collector;
    uint8_t head[WAL_RECORD_HEAD_SIZE];
} Search;

static void take_record(void *context, const WalScanner *scanner, const uint8_t *body,
                        size_t length)
{
    Search *search = context;
    WalEvent event;
    Error unknown; /* not a record of a PostgreSQL that we know: it tells no time */
    if (!wal_record_may_be_event(&scanner->last_header) || scanner->last_record >= search->limit ||
        (search->first && search->commit.found) ||
        !wal_record_event(&scanner->last_header, body, length, wal_page_major(scanner->magic),
                          &event, &unknown) ||
        event.kind != WAL_EVENT_COMMIT)
        return;
    search->commit.found = true;
    search->commit.time = event.time;
    search->commit.lsn = scanner->last_record;
}

/* Nothing of interest follows. */
static bool is_done(const Search *search)
{
    const WalScanner *scanner = &search->scanner;
    return scanner->state != WAL_SCAN_RUNNING || search->left == 0 ||
           (search->first && search->commit.found) ||
           (scanner->records > 0 && (scanner->last_record >= search->limit ||
                                     (scanner->last_record >= search->start &&
                                      wal_record_is_switch(&scanner->last_header))));
}

static bool take_bytes(void *context, const void *data, size_t length, Error *err)
{
    Search *search = context;
    size_t taken = length < search->left ? length : (size_t)search->left;
    (void)wal_scan_feed(&search->scanner, data, taken);
    search->left -= taken;
    search->bytes += taken;
    return !is_done(search) || error_set(err, ERROR_STOPPED, "enough was read");
}

static void init_search(Search *search, const Archive *archive, const FileList *files,
                        Listing *listing, bool first)
{
    *search = (Search){.archive = archive,
                       .files = files,
                       .listing = listing,
                       .first = first,
                       .limit = UINT64_MAX};
    search->collector = (WalCollector){.buffer = search->head,
                                       .capacity = sizeof(search->head),
                                       .visit = take_record,
                                       .context = search};
}

static void restart(Search *search, Lsn start)
{
    wal_scan_init(&search->scanner, start, search->archive->segment_size,
                  search->archive->system_identifier);
    wal_scan_collect(&search->scanner, &search->collector);
}

/* The file as it was listed, or under whatever name it has now. */
static bool read_file(Search *search, const ListedFile *file, Error *err)
{
    const Archive *archive = search->archive;
    uint32_t size = archive->segment_size;
    char name[WAL_FILE_NAME_SIZE];
    WalCompression form = (WalCompression)file->form;
    bool found;
    wal_segment_name(file->timeline, file->segno, size, form, file->partial, name);
    if (segment_file_read(&archive->dir, name, form, take_bytes, search, err))
        return true;
    if (err->os_errno != ENOENT)
        return false;
    Error missing = *err;
    if (!segment_file_find(&archive->dir, file->timeline, file->segno, size, &found, &form, err))
        return false;
    if (!found) {
        *err = missing;
        return false;
    }
    wal_segment_name(file->timeline, file->segno, size, form, false, name);
    return segment_file_read(&archive->dir, name, form, take_bytes, search, err);
}

/* Feeds one segment, on from the one before it where the scanner has read that to its end. What
 * cannot be read is told and passed over; false only without memory. */
static bool feed_segment(Search *search, Timeline timeline, SegNo segno, Error *err)
{
    const ListedFile *file = file_list_find(search->files, timeline, segno);
    Lsn start = segment_start(segno, search->archive->segment_size);
    Error why;
    assert(file != NULL);
    if (!search->running || search->scanner.state != WAL_SCAN_RUNNING ||
        search->scanner.position != start)
        restart(search, start);
    bool had = search->commit.found;
    search->running = true;
    search->start = start;
    search->left = search->archive->segment_size;
    search->failed = false;
    if (!read_file(search, file, &why)) {
        if (why.class == ERROR_MEMORY) {
            *err = why;
            return false;
        }
        /* An open segment may end anywhere, also in the middle of a compressed frame. */
        search->failed =
            why.class != ERROR_STOPPED && !(file->partial && why.class == ERROR_ARCHIVE);
        if (search->failed)
            listing_unreadable(search->listing, &why);
    }
    if (search->scanner.state == WAL_SCAN_DAMAGED && !file->partial) {
        char name[WAL_FILE_NAME_SIZE];
        error_set(&why, ERROR_ARCHIVE, "WAL of \"%s/%s\" is damaged: %s", search->archive->dir.path,
                  wal_segment_name(timeline, segno, search->archive->segment_size,
                                   (WalCompression)file->form, false, name),
                  search->scanner.error.message);
        error_detail(&why, "%s", search->scanner.error.detail);
        listing_unreadable(search->listing, &why);
    }
    if (search->commit.found && (!had || !search->first))
        search->commit.timeline = timeline;
    return true;
}

static bool may_go_on(const Search *search)
{
    return search->commit.searched < SEARCH_MIN_SEGMENTS ||
           (search->commit.searched < SEARCH_MAX_SEGMENTS && search->bytes < SEARCH_MAX_BYTES);
}

/* From the start of span `from` on, to the next gap. */
static bool find_first(Search *search, const Branch *branch, size_t from, ListingCommit *ret,
                       Error *err)
{
    bool going = true;
    for (size_t i = from; going && i < branch->count && (i == from || branch->spans[i].joined);
         i++) {
        const BranchSpan *span = &branch->spans[i];
        for (SegNo segno = span->first; going && segno <= span->last; segno++) {
            if (!feed_segment(search, span->timeline, segno, err))
                return false;
            search->commit.searched++;
            going = !search->commit.found && may_go_on(search);
        }
    }
    *ret = search->commit;
    return true;
}

/* The last commit that begins in segment `segno` of span `at`. */
static bool search_segment(Search *search, const Branch *branch, size_t at, SegNo segno, Error *err)
{
    const BranchSpan *span = &branch->spans[at];
    const BranchSpan *next = at + 1 < branch->count ? &branch->spans[at + 1] : NULL;
    uint32_t size = search->archive->segment_size;
    search->running = false;
    search->limit = segment_start(segno + 1, size);
    if (!feed_segment(search, span->timeline, segno, err))
        return false;
    if (search->scanner.state != WAL_SCAN_RUNNING || search->scanner.position != search->limit ||
        (search->scanner.records > 0 && wal_record_is_switch(&search->scanner.last_header)))
        return true;
    if (segno < span->last)
        return feed_segment(search, span->timeline, segno + 1, err);
    if (next != NULL && next->joined)
        return feed_segment(search, next->timeline, segno + 1, err);
    return true;
}

/* Back from the end of the newest span, to the last gap. */
static bool find_last(Search *search, const Branch *branch, ListingCommit *ret, Error *err)
{
    bool going = true;
    for (size_t i = branch->count; going && i > 0; i--) {
        const BranchSpan *span = &branch->spans[i - 1];
        for (SegNo segno = span->last; going; segno--) {
            if (!search_segment(search, branch, i - 1, segno, err))
                return false;
            search->commit.searched++;
            if (search->commit.found)
                search->commit.timeline = span->timeline;
            going = !search->commit.found && may_go_on(search);
            if (segno == span->first)
                break;
        }
        going = going && span->joined;
    }
    *ret = search->commit;
    return true;
}

static bool examine_open(Search *search, Error *err)
{
    Listing *listing = search->listing;
    size_t examined = 0;
    for (size_t i = listing->timeline_count; i > 0 && examined < EXAMINE_MAX; i--) {
        ListingTimeline *timeline = &listing->timelines[i - 1];
        ListingOpen *open = &timeline->open;
        if (!open->exists)
            continue;
        init_search(search, search->archive, search->files, listing, false);
        if (!feed_segment(search, timeline->timeline, open->segno, err))
            return false;
        const WalScanner *scanner = &search->scanner;
        open->examined = !search->failed;
        open->proven_begin = segment_start(open->segno, listing->segment_size);
        open->proven_end = open->proven_begin;
        if (scanner->records > 0) {
            open->proven_begin = scanner->first_record;
            open->proven_end = scanner->proven_end;
        }
        examined++;
    }
    return true;
}

bool listing_commits(const Archive *archive, const FileList *files, const Branch *branch,
                     Listing *listing, Error *err)
{
    Search search;
    init_search(&search, archive, files, listing, false);
    if (!examine_open(&search, err))
        return false;
    if (branch->count == 0)
        return true;
    size_t unbroken = branch->count - 1;
    while (branch->spans[unbroken].joined)
        unbroken--;
    listing->unbroken_timeline = branch->spans[unbroken].timeline;
    listing->unbroken_begin = segment_start(branch->spans[unbroken].first, listing->segment_size);
    init_search(&search, archive, files, listing, true);
    if (!find_first(&search, branch, 0, &listing->oldest, err))
        return false;
    listing->oldest_unbroken = listing->oldest;
    if (unbroken > 0) {
        init_search(&search, archive, files, listing, true);
        if (!find_first(&search, branch, unbroken, &listing->oldest_unbroken, err))
            return false;
    }
    init_search(&search, archive, files, listing, false);
    return find_last(&search, branch, &listing->newest, err);
}
