/* SPDX-License-Identifier: PostgreSQL
 *
 * Names of files that are ready, and their seal. A name is made of all that must be the same for
 * the file to be of use: whoever looks for it computes it anew from what is there now, and finds
 * nothing when anything has changed. Nothing needs to be listed or read.
 */
#include "prefetch_internal.h"

#include "walrx/os/host.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORMAT_VERSION 1
#define DIGITS 16
#define SEGMENT_DIGITS 24
#define PART_SUFFIX ".part"
#define SECOND_NS 1000000000

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return hash ^ (hash >> 32);
}

static uint64_t mix_time(uint64_t hash, const struct timespec *time)
{
    return mix(mix(hash, (uint64_t)time->tv_sec), (uint64_t)time->tv_nsec);
}

static bool look(const Dir *dir, const char *name, struct stat *ret)
{
    return dir->files->fstatat(dir->fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(ret->st_mode);
}

void prefetch_look(const Archive *archive, Timeline timeline, SegNo segno, PrefetchSource *ret)
{
    ret->found = false;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        struct stat status;
        (void)wal_segment_name(timeline, segno, archive->segment_size, (WalCompression)form, false,
                               name);
        if (!look(&archive->dir, name, &status))
            continue;
        uint64_t mark =
            mix(mix(mix((uint64_t)form, status.st_dev), status.st_ino), (uint64_t)status.st_size);
        mark = mix_time(mix_time(mark, &status.st_mtim), &status.st_ctim);
        *ret = (PrefetchSource){.found = true, .form = (WalCompression)form, .mark = mark};
        return;
    }
}

bool prefetch_token(const Archive *archive, uint64_t *ret)
{
    char boot[BOOT_ID_SIZE];
    struct stat status;
    uint64_t token = mix(FORMAT_VERSION, archive->system_identifier);
    if (!host_boot_id(boot) || archive->dir.files->fstatat(archive->dir.fd, ".", &status, 0) != 0)
        return false;
    for (size_t i = 0; boot[i] != '\0'; i++)
        token = mix(token, (uint64_t)(unsigned char)boot[i]);
    *ret = mix(mix(mix(token, archive->segment_size), status.st_dev), status.st_ino);
    return true;
}

const char *prefetch_name(uint64_t token, const PrefetchSource *source, Timeline timeline,
                          SegNo segno, uint32_t segment_size, char buffer[PREFETCH_NAME_SIZE])
{
    char segment[WAL_FILE_NAME_SIZE];
    (void)wal_segment_name(timeline, segno, segment_size, WAL_RAW, false, segment);
    (void)snprintf(buffer, PREFETCH_NAME_SIZE, TEMPORARY_PREFIX "%016" PRIx64 ".%s",
                   mix(token, source->mark), segment);
    return buffer;
}

const char *prefetch_part_name(const char *name, char buffer[PREFETCH_NAME_SIZE])
{
    (void)snprintf(buffer, PREFETCH_NAME_SIZE, "%.80s" PART_SUFFIX, name);
    return buffer;
}

PrefetchFile prefetch_file_kind(const char *name)
{
    const char *rest = name + strlen(TEMPORARY_PREFIX);
    if (strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0 ||
        strspn(rest, "0123456789abcdef") != DIGITS || rest[DIGITS] != '.')
        return PREFETCH_FILE_OTHER;
    rest += DIGITS + 1;
    if (strspn(rest, "0123456789ABCDEF") != SEGMENT_DIGITS)
        return PREFETCH_FILE_OTHER;
    rest += SEGMENT_DIGITS;
    if (rest[0] == '\0')
        return PREFETCH_FILE_READY;
    return strcmp(rest, PART_SUFFIX) == 0 ? PREFETCH_FILE_PART : PREFETCH_FILE_OTHER;
}

static uint32_t seal_of(const struct stat *status)
{
    uint64_t seal = mix(mix(mix(0, status->st_dev), status->st_ino), (uint64_t)status->st_size);
    return (uint32_t)(seal % SECOND_NS);
}

bool prefetch_seal(const Dir *dir, const char *part, int fd)
{
    struct stat status;
    if (!look(dir, part, &status))
        return false;
    file_stamp(fd, seal_of(&status));
    return prefetch_is_sealed(dir, part, (uint64_t)status.st_size);
}

bool prefetch_is_sealed(const Dir *dir, const char *name, uint64_t size)
{
    struct stat status;
    return look(dir, name, &status) && (uint64_t)status.st_size == size && status.st_nlink == 1 &&
           status.st_uid == geteuid() && status.st_mtim.tv_nsec == (long)seal_of(&status);
}

static bool sweep_one(void *context, const char *name)
{
    const Dir *dir = context;
    bool existed;
    Error ignored; /* the server removes it when it starts after a crash */
    if (prefetch_file_kind(name) != PREFETCH_FILE_OTHER)
        (void)!file_remove(dir, name, &existed, &ignored);
    return true;
}

/* The mailbox goes last: while it is there, something may be. */
void prefetch_sweep(const Dir *dir)
{
    bool existed;
    Error ignored;
    (void)!dir_visit(dir, sweep_one, (void *)(uintptr_t)dir, &ignored);
    (void)!file_remove(dir, PREFETCH_BOX, &existed, &ignored);
}
