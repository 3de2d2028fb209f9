/* SPDX-License-Identifier: PostgreSQL
 *
 * See leftover.h. The names are asked for one by one: segments are opened too often to read the
 * directory for each.
 */
#include "walrx/archive/leftover.h"

#include "walrx/archive/quarantine.h"
#include "walrx/os/log.h"

#include <inttypes.h>

static void tell_expansion(const Archive *archive, const char *name,
                           const PartialExpansion *expansion)
{
    const char *private_dir = archive->private.path;
    if (expansion->damaged)
        log_line(LOG_WARNING, NULL,
                 "compressed partial \"%s\" is damaged: its first %" PRIu64
                 " bytes could be read; the file was moved to \"%s/%s\"",
                 name, expansion->bytes, private_dir, QUARANTINE_DIR);
    if (expansion->differs)
        log_line(LOG_WARNING, NULL,
                 "compressed partial \"%s\" holds other bytes than the raw partial of the same "
                 "segment; the raw one is used, the compressed one was moved to \"%s/%s\"",
                 name, private_dir, QUARANTINE_DIR);
}

static bool expand_all(const Archive *archive, Timeline timeline, SegNo segno, Error *err)
{
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        bool exists;
        uint64_t size;
        PartialExpansion expansion;
        wal_segment_name(timeline, segno, archive->segment_size, (WalCompression)form, true, name);
        if (!file_status(&archive->dir, name, &exists, &size, err))
            return false;
        if (!exists)
            continue;
        if (!partial_expand(archive, timeline, segno, (WalCompression)form, &expansion, err))
            return false;
        tell_expansion(archive, name, &expansion);
    }
    return true;
}

bool leftover_examine(const Archive *archive, Timeline timeline, SegNo segno, PartialTrust *ret,
                      Error *err)
{
    char text[LSN_TEXT_SIZE];
    uint64_t old_size;
    if (!expand_all(archive, timeline, segno, err) ||
        !partial_examine(archive, timeline, segno, ret, &old_size, err))
        return false;
    if (old_size != archive->segment_size)
        log_line(LOG_WARNING, NULL,
                 "the open segment at %s (timeline %u) had %" PRIu64
                 " bytes instead of %u; mended, it is received again from its start",
                 lsn_format(segment_start(segno, archive->segment_size), text), timeline, old_size,
                 archive->segment_size);
    return true;
}

bool leftover_exists(const Archive *archive, Timeline timeline, SegNo segno, bool *ret, Error *err)
{
    *ret = false;
    for (int form = 0; !*ret && form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        uint64_t size;
        wal_segment_name(timeline, segno, archive->segment_size, (WalCompression)form, true, name);
        if (!file_status(&archive->dir, name, ret, &size, err))
            return false;
    }
    return true;
}
