/* SPDX-License-Identifier: PostgreSQL
 *
 * See archive.h.
 */
#include "walrx/archive/archive.h"

#include "walrx/archive/identity.h"
#include "walrx/os/durable.h"

#include <inttypes.h>
#include <string.h>

bool archive_open(const char *path, bool sync, const FileTable *files, Archive *ret, Error *err)
{
    Archive archive = {.dir = {.fd = -1}, .private = {.fd = -1}, .lock = {.fd = -1}};
    if (!dir_open(path, sync, files, &archive.dir, err))
        return false;
    /* An archive that has no .walrx/ yet gets it only once the cluster is known to be its own. */
    bool ok =
        dirlock_directory(&archive.dir, err) &&
        dir_open_inside(&archive.dir, ARCHIVE_PRIVATE_DIR, false, &archive.private, NULL, err) &&
        (archive.private.fd < 0 || dirlock_file(&archive.private, path, &archive.lock, err));
    if (!ok) {
        dir_close(&archive.private);
        dir_close(&archive.dir);
        return false;
    }
    *ret = archive;
    return true;
}

static bool same_identity(const Archive *archive, const Identity *mine, const Identity *theirs,
                          Error *err)
{
    if (mine->system_identifier != theirs->system_identifier) {
        error_set(err, ERROR_ARCHIVE,
                  "archive \"%s\" belongs to another cluster: its system identifier is %" PRIu64
                  ", the server's is %" PRIu64,
                  archive->dir.path, mine->system_identifier, theirs->system_identifier);
        return error_hint(err,
                          "Check the connection, or give this cluster a directory of its own.");
    }
    if (mine->segment_size != theirs->segment_size) {
        error_set(err, ERROR_ARCHIVE,
                  "archive \"%s\" has WAL segments of %u bytes, the server's have %u",
                  archive->dir.path, mine->segment_size, theirs->segment_size);
        return error_hint(err, "The cluster was given another WAL segment size (pg_resetwal "
                               "--wal-segsize): start a new archive in an empty directory.");
    }
    return true;
}

static bool remove_temporary(void *context, const char *name)
{
    const Dir *private_dir = context;
    size_t length = strlen(name);
    size_t suffix = strlen(ARCHIVE_TEMP_SUFFIX);
    Error ignored; /* a leftover that cannot be removed is in nobody's way */
    if (length > suffix && strcmp(name + length - suffix, ARCHIVE_TEMP_SUFFIX) == 0)
        (void)!durable_remove(private_dir, name, &ignored);
    return true;
}

static bool make_private(Archive *archive, Error *err)
{
    /* A full disk may have let us make the directory, and not the lock in it. */
    return archive->lock.fd >= 0 ||
           ((archive->private.fd >= 0 || dir_open_inside(&archive->dir, ARCHIVE_PRIVATE_DIR, true,
                                                         &archive->private, NULL, err)) &&
            dirlock_file(&archive->private, archive->dir.path, &archive->lock, err));
}

bool archive_bind(Archive *archive, uint64_t system_identifier, uint32_t segment_size,
                  bool group_may_read, Error *err)
{
    Identity server = {.system_identifier = system_identifier, .segment_size = segment_size};
    Identity mine;
    bool known = false;
    if (archive->bound) {
        mine = (Identity){.system_identifier = archive->system_identifier,
                          .segment_size = archive->segment_size};
        return same_identity(archive, &mine, &server, err);
    }
    if (archive->private.fd >= 0 && !identity_load(&archive->private, &known, &mine, err))
        return false;
    bool loaded = known;
    if (!known && !identity_derive(&archive->dir, &known, &mine, err))
        return false;
    if (known && !same_identity(archive, &mine, &server, err))
        return false;
    if (!make_private(archive, err) ||
        (group_may_read && !dir_let_group_read(&archive->dir, &archive->private, err)) ||
        /* A process that was killed may have given names and not synced them: what is found here
         * counts as durable from now on. */
        !durable_directory(&archive->dir, err) ||
        !dir_visit(&archive->private, remove_temporary, &archive->private, err))
        return false;
    if (!loaded && !identity_save(&archive->private, &server, err))
        return false;
    archive->system_identifier = system_identifier;
    archive->segment_size = segment_size;
    archive->bound = true;
    return true;
}

bool archive_open_to_read(const char *path, const FileTable *files, Archive *ret, bool *ret_loaded,
                          Error *err)
{
    Archive archive = {.dir = {.fd = -1}, .private = {.fd = -1}, .lock = {.fd = -1}};
    Identity identity;
    bool known = false;
    if (!dir_open(path, false, files, &archive.dir, err))
        return error_hint(err, "Name an archive directory that this user may read.");
    bool ok =
        dir_open_inside(&archive.dir, ARCHIVE_PRIVATE_DIR, false, &archive.private, NULL, err) &&
        (archive.private.fd < 0 || identity_load(&archive.private, &known, &identity, err));
    *ret_loaded = known;
    ok = ok && (known || identity_derive(&archive.dir, &known, &identity, err));
    if (!ok) {
        archive_close(&archive);
        return false;
    }
    archive.bound = known;
    if (known) {
        archive.system_identifier = identity.system_identifier;
        archive.segment_size = identity.segment_size;
    }
    *ret = archive;
    return true;
}

bool archive_open_to_change(const char *path, const FileTable *files, Archive *ret, Error *err)
{
    Archive archive;
    bool loaded;
    if (!archive_open_to_read(path, files, &archive, &loaded, err))
        return false;
    archive.dir.sync = true;
    archive.private.sync = true;
    bool ok = archive.private.fd >= 0 || !archive.bound ||
              dir_open_inside(&archive.dir, ARCHIVE_PRIVATE_DIR, true, &archive.private, NULL, err);
    if (!ok) {
        archive_close(&archive);
        return false;
    }
    if (archive.private.fd >= 0) {
        (void)dir_is_own(&archive.private); /* the group may read where the receiver let it */
        archive.dir.file_mode = archive.private.file_mode;
    }
    *ret = archive;
    return true;
}

void archive_close(Archive *archive)
{
    dirlock_release(&archive->private, &archive->lock);
    dir_close(&archive->private);
    dir_close(&archive->dir);
}
