/* SPDX-License-Identifier: PostgreSQL
 *
 * What an archive holds: per timeline the ranges of consecutive segments, the holes between them,
 * sizes, the open segment, and the times of the oldest and the newest commit.
 *
 * Names and sizes tell all but the last two; for these as few segments as possible are decoded.
 * Nothing is locked and nothing is changed, so a receiver may work meanwhile: the result is then of
 * some moment during the call, and no hole is told that is only a file on its way to another name.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/proto/copydata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Complete segments without a hole. */
typedef struct ListingRange {
    SegNo first;
    SegNo last;
    uint64_t disk_bytes; /* of their files, in whatever form */
} ListingRange;

typedef enum ListingBranch {
    LISTING_BRANCH_UNKNOWN, /* the newest timeline's history is not in the archive */
    LISTING_BRANCH_CURRENT, /* on it */
    LISTING_BRANCH_DEAD,    /* not on it */
} ListingBranch;

/* The newest partial of a timeline, where no complete segment is newer. */
typedef struct ListingOpen {
    bool exists;
    bool examined; /* the last two are known */
    WalCompression form;
    SegNo segno;
    uint64_t disk_bytes;
    Lsn proven_begin; /* as PartialTrust: all records in between are whole */
    Lsn proven_end;
} ListingOpen;

typedef struct ListingTimeline {
    Timeline timeline;
    size_t first_range; /* of Listing.ranges */
    size_t range_count;
    ListingOpen open;
    ListingBranch branch;
    bool has_history; /* its history file is there, and can be read */
    Timeline next;    /* the timeline that left this one, by its history file; 0: none */
    Lsn left_at;      /* where */
} ListingTimeline;

typedef enum ListingGapState {
    LISTING_GAP_UNEXPLAINED,
    LISTING_GAP_RECORDED, /* by --on-gap=continue */
    LISTING_GAP_AHEAD,    /* the same, and nothing has been received behind it yet */
} ListingGapState;

/* Complete segments that are missing. */
typedef struct ListingGap {
    Timeline timeline; /* of the WAL before it */
    Timeline behind;   /* of the WAL behind it */
    Lsn begin;         /* first byte that is missing */
    Lsn end;           /* first byte that is there again */
    ListingGapState state;
} ListingGap;

typedef struct ListingFiles {
    uint64_t files;
    uint64_t disk_bytes;
} ListingFiles;

/* A commit's time, or how much was looked through in vain. */
typedef struct ListingCommit {
    bool found;
    PgTime time;
    Lsn lsn;           /* of its record */
    Timeline timeline; /* of the file it was found in */
    uint64_t searched; /* segments */
} ListingCommit;

typedef struct Listing {
    bool known;  /* which cluster it belongs to; without that there are only the counts */
    bool loaded; /* from .walrx/identity, otherwise from the WAL */
    uint64_t system_identifier;
    uint32_t segment_size;

    ListingTimeline *timelines; /* ascending, those with WAL */
    size_t timeline_count;
    ListingRange *ranges; /* by timeline and position */
    size_t range_count;
    ListingGap *gaps; /* by position */
    size_t gap_count;

    uint64_t segments;     /* complete ones, each counted once whatever its forms */
    uint64_t disk_bytes;   /* of their files */
    ListingFiles forms[4]; /* complete segments by WalCompression */
    ListingFiles partials; /* all of them, open or not */
    ListingFiles histories;
    ListingFiles backup_histories; /* of base backups; pg_receivewal makes none */
    ListingFiles quarantine;
    /* Leftovers */
    ListingFiles duplicates; /* further forms of segments that are there */
    ListingFiles stale;      /* partials that are not the open segment of their timeline */
    ListingFiles temporary;  /* of .walrx/; a running receiver has some */
    ListingFiles odd;        /* raw segments that are not of segment size, empty files */
    ListingFiles foreign;    /* no files of an archive, or of another segment size */
    char odd_name[WAL_FILE_NAME_SIZE]; /* one of them */

    /* Without a hole up to the newest WAL: from here on. */
    Timeline unbroken_timeline; /* 0: there is no WAL */
    Lsn unbroken_begin;
    ListingCommit oldest;          /* of the current branch */
    ListingCommit newest;          /* the same */
    ListingCommit oldest_unbroken; /* as oldest, unless there is a gap */
    Error unreadable; /* class ERROR_NONE, or the first file that could not be read for all that */
} Listing;

/* The archive as archive_open_to_read left it. Free with listing_free, also after failure. */
bool listing_make(const Archive *archive, bool known, bool loaded, Listing *ret,
                  Error *err) MUST_CHECK;
void listing_free(Listing *listing);

const ListingTimeline *listing_timeline(const Listing *listing, Timeline timeline);
