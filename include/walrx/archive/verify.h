/* SPDX-License-Identifier: PostgreSQL
 *
 * Checks a whole archive offline: every page header, every record's CRC and xl_prev link, over
 * pages, segments and timelines; each missing piece of WAL; files of one segment against each
 * other. In any form, partials included. Takes no lock and changes nothing: a receiver may run.
 *
 * Which bytes no checksum covers, and so may change unseen, says docs/verify.md.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"
#include "walrx/proto/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Problems beyond so many are only counted. */
#define VERIFY_PROBLEMS_MAX 10000
#define VERIFY_TEXT_SIZE ERROR_MESSAGE_SIZE

typedef enum VerifyKind {
    VERIFY_DAMAGE,     /* WAL of [begin, end) cannot be right */
    VERIFY_STRAY,      /* bytes that PostgreSQL leaves zero are not; no record is touched */
    VERIFY_FILE,       /* a file whose name or size is no segment's */
    VERIFY_DIFFERENCE, /* two files hold different bytes for the same WAL, from `begin` on */
    VERIFY_HISTORY,    /* a history file is missing, or contradicts what is there */
    VERIFY_UNREADABLE, /* the disk did not give the file: nothing is known about it */
    VERIFY_VANISHED,   /* the file went away while the archive was checked */
} VerifyKind;
#define VERIFY_KIND_COUNT 7

/* A short word: "damage", "stray", ... */
const char *verify_kind_name(VerifyKind kind);

typedef struct VerifyProblem {
    VerifyKind kind;
    Timeline timeline; /* 0: of none */
    Lsn lsn;           /* where it was met */
    Lsn begin;         /* what it touches, which may begin in an earlier file */
    Lsn end;           /* LSN_INVALID: nothing of a place in the WAL, as of a history file */
    char file[WAL_FILE_NAME_SIZE]; /* which holds `lsn`, at `offset` of what it unpacks to */
    uint64_t offset;
    char message[VERIFY_TEXT_SIZE]; /* the reason */
    char detail[VERIFY_TEXT_SIZE];  /* "" or more */
} VerifyProblem;

/* WAL that is not there. */
typedef struct VerifyGap {
    Timeline timeline; /* of the WAL behind it */
    Lsn begin;         /* first byte that is missing */
    Lsn end;           /* first byte that is there again */
    bool recorded;     /* accepted by --on-gap=continue */
    char before[WAL_FILE_NAME_SIZE];
    char after[WAL_FILE_NAME_SIZE];
    char first_missing[WAL_FILE_NAME_SIZE]; /* without the suffix of a form */
    char last_missing[WAL_FILE_NAME_SIZE];
} VerifyGap;

/* How a range ends, and what the last file holds behind its last whole record. */
typedef struct VerifyTail {
    bool partial;     /* the last file is a .partial */
    Lsn end;          /* behind the last record that is whole */
    bool record_open; /* a record begins there whose rest is not here */
    bool cut;         /* the file is shorter than a segment */
    uint64_t zero_bytes;
    uint64_t old_bytes;   /* of pages that a recycled segment held before */
    Lsn old_lsn;          /* where the first of them lies */
    Lsn old_address;      /* and where it says it belongs */
    uint64_t other_bytes; /* neither */
} VerifyTail;

/* Segments of one timeline without a hole between them. */
typedef struct VerifyRange {
    Timeline timeline;
    Lsn begin;
    Lsn end; /* the first byte behind its last file's segment */
    uint64_t segments;
    char first_file[WAL_FILE_NAME_SIZE];
    char last_file[WAL_FILE_NAME_SIZE];
    Lsn checked_from; /* WAL from `begin` to here belongs to a record that began before the archive;
                         equal when there is none */
    VerifyTail tail;
} VerifyRange;

typedef struct VerifyTimeline {
    Timeline timeline;
    bool has_history; /* its history file is there and can be read */
    Timeline parent;  /* 0: none known */
    Lsn switch_lsn;   /* where it left the parent */
} VerifyTimeline;

typedef struct VerifyResult {
    bool sound; /* no problem, no unexplained gap */
    uint64_t system_identifier;
    uint32_t segment_size;
    int major; /* of the server that wrote the WAL, 0: unknown */
    uint64_t segments;
    uint64_t bytes; /* read, unpacked */
    uint64_t records;
    uint64_t elapsed_ms;
    VerifyTimeline *timelines;
    size_t timeline_count;
    VerifyRange *ranges; /* by timeline, then position */
    size_t range_count;
    VerifyGap *gaps;
    size_t gap_count;
    VerifyProblem *problems; /* by timeline, then position */
    size_t problem_count;    /* listed */
    uint64_t problem_total;
    uint64_t unreadable; /* of them, files that could not be read */
} VerifyResult;

typedef struct VerifyProgress {
    uint64_t done; /* bytes */
    uint64_t total;
    uint64_t elapsed_ms;
    uint64_t problems;
} VerifyProgress;

typedef struct VerifyOptions {
    const char *directory;
    unsigned jobs;          /* threads, at least 1 */
    const FileTable *files; /* file_table_kernel() outside tests */
    void (*progress)(void *context, const VerifyProgress *progress); /* NULL: not wanted */
    void *progress_context;
} VerifyOptions;

/* False when there is no result: no such directory (ERROR_USAGE), the archive's files do not say
 * what they are (ERROR_ARCHIVE), the directory cannot be read (ERROR_STORAGE). What is wrong in the
 * archive is no failure: it is in the result, for verify_result_free. */
bool verify_run(const VerifyOptions *options, VerifyResult *ret, Error *err) MUST_CHECK;
void verify_result_free(VerifyResult *result);
