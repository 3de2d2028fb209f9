/* SPDX-License-Identifier: PostgreSQL
 *
 * See duplicate.h.
 */
#include "duplicate.h"

#include "walrx/archive/quarantine.h"
#include "walrx/archive/segment_file.h"
#include "walrx/os/durable.h"

static bool refuse(const Archive *archive, const Newcomer *newcomer, const char *existing,
                   Error *err)
{
    if (!quarantine_move(archive, newcomer->dir, newcomer->name, existing, err))
        return false;
    error_set(err, ERROR_ARCHIVE,
              "segment \"%s/%s\" is archived already with other content than the server sends",
              archive->dir.path, existing);
    error_detail(err, "The received segment is in \"%s/%s\"; the archived one was not changed.",
                 archive->private.path, QUARANTINE_DIR);
    return error_hint(err, "Find out which of the two belongs to the cluster you want to keep "
                           "(pg_waldump shows the records) before receiving again.");
}

bool duplicate_settle(const Archive *archive, const Newcomer *newcomer, bool *ret_exists,
                      Error *err)
{
    char existing[WAL_FILE_NAME_SIZE];
    WalCompression form;
    uint64_t length[2];
    uint32_t crc[2];
    if (!segment_file_find(&archive->dir, newcomer->timeline, newcomer->segno,
                           archive->segment_size, ret_exists, &form, err))
        return false;
    if (!*ret_exists)
        return true;
    wal_segment_name(newcomer->timeline, newcomer->segno, archive->segment_size, form, false,
                     existing);
    if (!segment_file_checksum(&archive->dir, existing, form, &length[0], &crc[0], err) ||
        !segment_file_checksum(newcomer->dir, newcomer->name, newcomer->form, &length[1], &crc[1],
                               err))
        return false;
    if (length[0] == length[1] && crc[0] == crc[1])
        return durable_remove(newcomer->dir, newcomer->name, err);
    return refuse(archive, newcomer, existing, err);
}
