/* SPDX-License-Identifier: PostgreSQL
 *
 * An archive directory that this process may write: opened, locked, and bound to one cluster.
 *
 * archive_open takes the lock; archive_bind compares the cluster's identity (system identifier and
 * segment size) with the archive's before anything in it changes. A refusal leaves the directory as
 * it was found: archive_close removes what this process had made.
 */
#pragma once

#include "walrx/archive/metrics.h"
#include "walrx/base/error.h"
#include "walrx/os/dirlock.h"
#include "walrx/os/files.h"
#include "walrx/proto/segment.h"

#include <stdbool.h>
#include <stdint.h>

#define ARCHIVE_PRIVATE_DIR ".walrx"
#define ARCHIVE_TEMP_SUFFIX ".tmp" /* of unfinished files in .walrx/: start-up removes them */

typedef struct Archive {
    Dir dir;     /* the segments */
    Dir private; /* .walrx/ */
    DirLock lock;
    bool made_private; /* .walrx/ did not exist before */
    bool bound;
    uint64_t system_identifier; /* the rest once bound */
    uint32_t segment_size;
    uint64_t
        min_free;    /* bytes that stay free on its filesystem: the store pauses before (room.h) */
    bool keep_index; /* the store adds what it receives and checks to the segment index */
    ArchiveMetrics *metrics; /* NULL: nobody looks; borrowed, set before threads use the archive */
} Archive;

/* ERROR_USAGE: no such directory. ERROR_ARCHIVE: another receiver holds it. `files` is
 * file_table_kernel() outside tests. */
bool archive_open(const char *path, bool sync, const FileTable *files, Archive *ret,
                  Error *err) MUST_CHECK;

/* For commands that only look: no lock, so a receiver may run beside it, and nothing is changed.
 * Bound when something in the directory tells which cluster it belongs to; *ret_loaded: .walrx/
 * did, and not the WAL itself. ERROR_USAGE: no such directory. archive_close as above. */
bool archive_open_to_read(const char *path, const FileTable *files, Archive *ret, bool *ret_loaded,
                          Error *err) MUST_CHECK;

/* For commands that change something beside a receiver: as archive_open_to_read, with durable steps
 * and with .walrx/, made where it is missing and the archive is bound. Which files they may touch,
 * and under which lock, is theirs to know (prune.h). */
bool archive_open_to_change(const char *path, const FileTable *files, Archive *ret,
                            Error *err) MUST_CHECK;

/* Compares with what the archive belongs to and remembers it durably. ERROR_ARCHIVE naming both
 * sides when they differ. Removes unfinished temporary files. group_may_read: files 0640 instead of
 * 0600 (the server's data_directory_mode). Calling it again for a later connection compares again.
 */
bool archive_bind(Archive *archive, uint64_t system_identifier, uint32_t segment_size,
                  bool group_may_read, Error *err) MUST_CHECK;

/* Lets the locks go. */
void archive_close(Archive *archive);
