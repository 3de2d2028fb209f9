/* SPDX-License-Identifier: PostgreSQL
 *
 * One file of an archive for PostgreSQL's restore_command: found in whatever form, checked, and put
 * where the server wants it. Never half a file, and never one that is damaged, under the final
 * name: it is made beside it and renamed.
 *
 * A segment is checked as a whole: every page header, every record that ends in it, the cluster it
 * belongs to. Of several forms of one file the first that is whole counts. Nothing in the archive
 * changes and nothing is locked, so a receiver may run. Memory does not grow with the segment.
 *
 * The open segment (its `.partial`) is handed out when no complete form of it is there: the WAL up
 * to its last whole record, then zeros up to a segment's size. Never, unless asked for:
 * - while a receiver may still write to it and the target is a standby, which comes again;
 * - beyond the place where a newer timeline left this one: what lies there is a dead branch;
 * - when a newer timeline has a complete segment in the same place.
 * docs/decisions/0020 has the reasons.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum GetPartial {
    GET_PARTIAL_AUTO, /* by the rules above */
    GET_PARTIAL_NEVER,
    GET_PARTIAL_ALWAYS, /* whatever the rules say */
} GetPartial;

/* By memory and segment size, and only for a server that recovers. */
#define GET_PREFETCH_AUTO UINT64_MAX

typedef struct GetRequest {
    const char *directory; /* of the archive */
    const char *name;      /* %f: a segment, NAME.partial, a history file, a backup history file;
                              a partial that is asked for by name counts as GET_PARTIAL_ALWAYS */
    const char *target;    /* %p */
    GetPartial partial;
    bool pass_gaps; /* a segment that is missing before others is the end: "not there" */
    bool sync;      /* durable under its final name on return */
    /* Bytes of WAL to read ahead, at least one segment; 0: none. A process stays behind on return
     * that makes the next segments ready beside the target; it ends by itself, and so does not
     * hold up the caller. Not while the caller has threads. */
    uint64_t prefetch;
    const FileTable *files;

    /* How it is with a receiver of this archive; called only where a partial may be served. */
    bool (*receiver_runs)(void *context);
    /* What a running receiver has got so far is in its files on return, within a bound. */
    void (*receiver_settle)(void *context);
    /* Something that should be known and is no failure. */
    void (*tell)(void *context, const Error *warning);
    void *context;
} GetRequest;

/* *ret_placed false: the archive does not have it, and nothing was done. Otherwise:
 * ERROR_USAGE: no such name is ever asked for, or the target is no name of a file.
 * ERROR_ARCHIVE: what the archive has is damaged or of another cluster, or a timeline's history
 * file is missing though there is WAL of it or of a newer one. ERROR_STORAGE and others: the
 * archive could not be read (there is none, too), or the target not be written. In none of these
 * cases may recovery go on as if the file did not exist. */
bool get_file(const GetRequest *request, bool *ret_placed, Error *err) MUST_CHECK;
