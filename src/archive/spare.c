/* SPDX-License-Identifier: PostgreSQL
 *
 * See spare.h.
 */
#include "walrx/archive/spare.h"

#include "walrx/os/durable.h"

#define SPARE_NAME "spare" ARCHIVE_TEMP_SUFFIX
#define SPARE_RESERVE 2 /* segments that must fit besides the spare, if no more is to stay free */

void spare_init(Spare *spare, const Archive *archive, DirectMode *mode)
{
    *spare = (Spare){.archive = archive, .mode = mode, .fd = -1};
}

static bool drop(Spare *spare, Error *err)
{
    file_close(&spare->archive->private, spare->fd);
    spare->fd = -1;
    spare->zeroed = 0;
    bool existed;
    return file_remove(&spare->archive->private, SPARE_NAME, &existed, err);
}

void spare_deinit(Spare *spare)
{
    Error ignored; /* the next start removes it */
    if (spare->fd >= 0)
        (void)!drop(spare, &ignored);
}

static bool create(Spare *spare, Error *err)
{
    const Archive *archive = spare->archive;
    int fd;
    if (!file_open(&archive->private, SPARE_NAME, FILE_CREATE, &fd, err))
        return false;
    bool ok = file_allocate(&archive->private, SPARE_NAME, fd, archive->segment_size, err);
    file_close(&archive->private, fd);
    spare->zeroed = 0;
    if (!ok) {
        /* fallocate keeps what it got. */
        bool existed;
        Error ignored;
        (void)!file_remove(&archive->private, SPARE_NAME, &existed, &ignored);
    }
    return ok && direct_file_open(spare->mode, &archive->private, SPARE_NAME, &spare->fd, err);
}

static bool write_zeros(Spare *spare, Error *err)
{
    const Archive *archive = spare->archive;
    if (!direct_file_write_zeros(spare->mode, &archive->private, SPARE_NAME, &spare->fd,
                                 spare->zeroed, err))
        return false;
    spare->zeroed += DIRECT_ZEROS;
    return spare->zeroed < archive->segment_size ||
           durable_file(&archive->private, SPARE_NAME, spare->fd, err);
}

/* The last space on the disk is for what must be written. */
static bool is_scarce(const Spare *spare)
{
    const Archive *archive = spare->archive;
    uint64_t reserve = (uint64_t)archive->segment_size * SPARE_RESERVE;
    uint64_t left;
    Error ignored; /* who cannot tell is tried */
    if (archive->min_free > reserve)
        reserve = archive->min_free;
    return file_space_left(&archive->dir, &left, &ignored) &&
           (left < archive->segment_size || left - archive->segment_size < reserve);
}

bool spare_can_prepare(const Spare *spare, bool with_zeros)
{
    return !spare->given_up &&
           (spare->fd < 0 || (with_zeros && spare->zeroed < spare->archive->segment_size));
}

bool spare_prepare(Spare *spare, bool with_zeros, bool *ret_worked, Error *err)
{
    bool ok = true;
    bool missing = spare->fd < 0;
    *ret_worked = spare_can_prepare(spare, with_zeros);
    if (*ret_worked && missing && is_scarce(spare)) {
        spare->given_up = true;
        return true;
    }
    if (*ret_worked)
        ok = missing ? create(spare, err) : write_zeros(spare, err);
    if (ok || err->class != ERROR_NO_ROOM)
        return ok;
    spare->given_up = true;
    return drop(spare, err);
}

bool spare_needs(const Spare *spare, uint64_t *ret, Error *err)
{
    *ret = spare->archive->segment_size;
    return spare->fd < 0 ||
           file_unbacked(&spare->archive->private, SPARE_NAME, spare->fd, ret, err);
}

bool spare_take(Spare *spare, const char *name, int *ret_fd, uint64_t *ret_zeroed, Error *err)
{
    const Archive *archive = spare->archive;
    bool exists;
    if (spare->fd < 0 && !create(spare, err))
        return false;
    if (!durable_publish_unsynced(&archive->private, SPARE_NAME, &archive->dir, name, &exists, err))
        return false;
    if (exists)
        return error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" appeared while the archive was locked",
                         archive->dir.path, name);
    *ret_fd = spare->fd;
    *ret_zeroed = spare->zeroed;
    spare->fd = -1;
    spare->zeroed = 0;
    spare->given_up = false;
    return true;
}
