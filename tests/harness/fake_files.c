/* SPDX-License-Identifier: PostgreSQL
 *
 * See fake_files.h. Each call takes the one mutex, counts itself, asks whether it is to be spoiled,
 * goes to the kernel and tells the observer.
 */
#include "fake_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FD 1024
#define BLOCK 4096 /* what O_DIRECT asks of offset, length and memory */
#define SECTOR 512 /* a direct write may stop after any number of these */

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static struct {
    unsigned counts[FAKE_CALL_COUNT];
    FakeCall call;
    unsigned nth; /* 0: nothing is spoiled */
    int error;    /* 0: transfers less */
    bool for_ever;
    bool struck;
    unsigned takers; /* calls so far that take space */
    unsigned full_from;
    unsigned full_count;
    bool has_space;
    uint64_t space;
    FakeCall struck_call;
    FakeDirect direct;
    bool is_direct[MAX_FD];
    FakeObserver observer;
} fake;

static void lock(void)
{
    (void)pthread_mutex_lock(&one_at_a_time);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&one_at_a_time);
}

void fake_files_reset(void)
{
    lock();
    memset(&fake, 0, sizeof(fake));
    unlock();
}

static void spoil(FakeCall call, unsigned nth, int error, bool for_ever)
{
    lock();
    fake.call = call;
    fake.nth = nth;
    fake.error = error;
    fake.for_ever = for_ever;
    fake.struck = false;
    unlock();
}

void fake_files_fail(FakeCall call, unsigned nth, int error)
{
    spoil(call, nth, error, false);
}

void fake_files_fail_from(FakeCall call, unsigned nth, int error)
{
    spoil(call, nth, error, true);
}

void fake_files_shorten(FakeCall call, unsigned nth)
{
    spoil(call, nth, 0, false);
}

void fake_files_direct(FakeDirect mode)
{
    lock();
    fake.direct = mode;
    unlock();
}

bool fake_files_struck(FakeCall *ret_call)
{
    lock();
    bool struck = fake.struck;
    if (ret_call != NULL)
        *ret_call = fake.struck_call;
    unlock();
    return struck;
}

unsigned fake_files_count(FakeCall call)
{
    lock();
    unsigned count = fake.counts[call];
    unlock();
    return count;
}

const char *fake_files_call_name(FakeCall call)
{
    static const char *const names[FAKE_CALL_COUNT] = {
        [FAKE_OPENAT] = "openat",       [FAKE_CLOSE] = "close",
        [FAKE_PREAD] = "pread",         [FAKE_PWRITEV] = "pwritev",
        [FAKE_FDATASYNC] = "fdatasync", [FAKE_FSYNC] = "fsync",
        [FAKE_FALLOCATE] = "fallocate", [FAKE_FTRUNCATE] = "ftruncate",
        [FAKE_RENAME] = "renameat2",    [FAKE_UNLINK] = "unlinkat",
        [FAKE_MKDIR] = "mkdirat",       [FAKE_STAT] = "fstatat",
        [FAKE_CHMOD] = "fchmod",        [FAKE_TIMES] = "futimens",
        [FAKE_READDIR] = "readdir",     [FAKE_ANY] = "any"};
    return names[call];
}

void fake_files_observe(FakeObserver observer)
{
    lock();
    fake.observer = observer;
    unlock();
}

static void tell(const FakeEvent *event)
{
    if (fake.observer != NULL)
        fake.observer(event);
}

void fake_files_full(unsigned nth, unsigned count)
{
    lock();
    fake.takers = 0;
    fake.full_from = nth;
    fake.full_count = count;
    fake.struck = false;
    unlock();
}

void fake_files_space(uint64_t free_bytes)
{
    lock();
    fake.has_space = free_bytes != UINT64_MAX;
    fake.space = free_bytes;
    unlock();
}

/* For a call that takes space, once it has entered. True: it must fail, errno is set. */
static bool meets_full_disk(FakeCall call)
{
    fake.takers++;
    if (fake.full_count == 0 || fake.takers < fake.full_from ||
        fake.takers - fake.full_from >= fake.full_count)
        return false;
    fake.struck_call = call;
    fake.struck = true;
    errno = ENOSPC;
    return true;
}

/* Counts the call. True: it must fail, errno is set. */
static bool enter(FakeCall call, bool *ret_shorten)
{
    lock();
    fake.counts[call]++;
    fake.counts[FAKE_ANY]++;
    if (ret_shorten != NULL)
        *ret_shorten = false;
    if (fake.nth == 0 || (fake.call != FAKE_ANY && fake.call != call))
        return false;
    unsigned count = fake.counts[fake.call];
    if (fake.error == 0) {
        if (ret_shorten == NULL || fake.struck || count < fake.nth)
            return false;
        *ret_shorten = true;
    } else if (count != fake.nth && !(fake.for_ever && count > fake.nth)) {
        return false;
    }
    if (!fake.struck)
        fake.struck_call = call;
    fake.struck = true;
    errno = fake.error;
    return fake.error != 0;
}

static int leave(int result)
{
    int saved = errno;
    unlock();
    errno = saved;
    return result;
}

static ssize_t leave_size(ssize_t result)
{
    (void)leave(0);
    return result;
}

static int fail(int error)
{
    errno = error;
    return leave(-1);
}

static int fake_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    if (enter(FAKE_OPENAT, NULL))
        return leave(-1);
    struct stat status;
    bool existed = fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!existed && (flags & O_CREAT) != 0 && meets_full_disk(FAKE_OPENAT))
        return leave(-1);
    bool direct = (flags & O_DIRECT) != 0;
    if (direct && fake.direct == FAKE_DIRECT_REFUSED_AT_OPEN)
        return fail(EINVAL);
    int fd = openat(dir_fd, name, flags & ~O_DIRECT, mode);
    if (fd < 0)
        return leave(-1);
    if (fd >= MAX_FD)
        abort(); /* a leak of descriptors */
    fake.is_direct[fd] = direct;
    FakeEvent event = {.call = FAKE_OPENAT,
                       .fd = fd,
                       .other_fd = dir_fd,
                       .name = name,
                       .created = !existed && (flags & O_CREAT) != 0,
                       .truncated = existed && (flags & O_TRUNC) != 0};
    tell(&event);
    return leave(fd);
}

static int fake_close(int fd)
{
    bool failed = enter(FAKE_CLOSE, NULL);
    int error = errno;
    int result = close(fd); /* a failed close closes, too: close(2) */
    if (failed)
        return fail(error);
    return leave(result);
}

static bool aligned(uint64_t value)
{
    return value % BLOCK == 0;
}

static ssize_t fake_pread(int fd, void *buffer, size_t count, off_t offset)
{
    bool shorten;
    if (enter(FAKE_PREAD, &shorten))
        return leave(-1);
    if (fake.is_direct[fd] &&
        !(aligned((uint64_t)offset) && aligned(count) && aligned((uintptr_t)buffer)))
        return fail(EINVAL);
    if (shorten && count > 1)
        count = fake.is_direct[fd] && count >= 2 * BLOCK ? count / 2 / BLOCK * BLOCK
                : fake.is_direct[fd]                     ? count
                                                         : count / 2;
    return leave_size(pread(fd, buffer, count, offset));
}

static ssize_t fake_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    bool shorten;
    struct iovec used[4];
    size_t total = 0;
    if (enter(FAKE_PWRITEV, &shorten))
        return leave(-1);
    if (count < 1 || count > 4)
        return fail(EINVAL);
    if (meets_full_disk(FAKE_PWRITEV))
        return leave(-1);
    for (int i = 0; i < count; i++) {
        if (fake.is_direct[fd] && (fake.direct == FAKE_DIRECT_REFUSED_AT_WRITE ||
                                   !aligned((uintptr_t)parts[i].iov_base) ||
                                   !aligned(parts[i].iov_len) || !aligned((uint64_t)offset)))
            return fail(EINVAL);
        used[i] = parts[i];
        total += parts[i].iov_len;
    }
    size_t wanted = shorten && total > 1 ? total / 2 : total;
    if (fake.is_direct[fd] && wanted < total)
        wanted -= wanted % SECTOR;
    size_t room = wanted;
    for (int i = 0; i < count; i++) {
        if (used[i].iov_len > room)
            used[i].iov_len = room;
        room -= used[i].iov_len;
    }
    ssize_t written = pwritev(fd, used, count, offset);
    if (written > 0) {
        FakeEvent event = {.call = FAKE_PWRITEV,
                           .fd = fd,
                           .parts = used,
                           .length = (size_t)written,
                           .offset = offset};
        tell(&event);
    }
    return leave_size(written);
}

static int fake_sync(FakeCall call, int fd)
{
    if (enter(call, NULL))
        return leave(-1);
    FakeEvent event = {.call = call, .fd = fd};
    tell(&event);
    return leave(0);
}

static int fake_fdatasync(int fd)
{
    return fake_sync(FAKE_FDATASYNC, fd);
}

static int fake_fsync(int fd)
{
    return fake_sync(FAKE_FSYNC, fd);
}

static int fake_fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (enter(FAKE_FALLOCATE, NULL) || meets_full_disk(FAKE_FALLOCATE))
        return leave(-1);
    int result = fallocate(fd, mode, offset, length);
    FakeEvent event = {.call = FAKE_FALLOCATE, .fd = fd, .offset = offset + length};
    if (result == 0)
        tell(&event);
    return leave(result);
}

static int fake_ftruncate(int fd, off_t length)
{
    if (enter(FAKE_FTRUNCATE, NULL) || meets_full_disk(FAKE_FTRUNCATE))
        return leave(-1);
    int result = ftruncate(fd, length);
    FakeEvent event = {.call = FAKE_FTRUNCATE, .fd = fd, .offset = length};
    if (result == 0)
        tell(&event);
    return leave(result);
}

static int fake_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (enter(FAKE_RENAME, NULL) || meets_full_disk(FAKE_RENAME))
        return leave(-1);
    int result = renameat2(from_fd, from, to_fd, to, flags);
    FakeEvent event = {
        .call = FAKE_RENAME, .fd = from_fd, .name = from, .other_fd = to_fd, .other_name = to};
    if (result == 0)
        tell(&event);
    return leave(result);
}

static int fake_unlinkat(int dir_fd, const char *name, int flags)
{
    if (enter(FAKE_UNLINK, NULL))
        return leave(-1);
    int result = unlinkat(dir_fd, name, flags);
    FakeEvent event = {.call = FAKE_UNLINK, .fd = dir_fd, .name = name};
    if (result == 0)
        tell(&event);
    return leave(result);
}

static int fake_mkdirat(int dir_fd, const char *name, mode_t mode)
{
    if (enter(FAKE_MKDIR, NULL) || meets_full_disk(FAKE_MKDIR))
        return leave(-1);
    int result = mkdirat(dir_fd, name, mode);
    FakeEvent event = {.call = FAKE_MKDIR, .fd = dir_fd, .name = name};
    if (result == 0)
        tell(&event);
    return leave(result);
}

static int fake_fstatvfs(int fd, struct statvfs *ret)
{
    int result = fstatvfs(fd, ret);
    lock();
    if (result == 0 && fake.has_space) {
        ret->f_frsize = 1;
        ret->f_bavail = fake.space;
    }
    return leave(result);
}

static int fake_fstatat(int dir_fd, const char *name, struct stat *ret, int flags)
{
    if (enter(FAKE_STAT, NULL))
        return leave(-1);
    return leave(fstatat(dir_fd, name, ret, flags));
}

static int fake_fchmod(int fd, mode_t mode)
{
    if (enter(FAKE_CHMOD, NULL))
        return leave(-1);
    return leave(fchmod(fd, mode));
}

static int fake_futimens(int fd, const struct timespec times[2])
{
    if (enter(FAKE_TIMES, NULL))
        return leave(-1);
    return leave(futimens(fd, times));
}

static struct dirent *fake_readdir(DIR *stream)
{
    struct dirent *entry = NULL;
    if (!enter(FAKE_READDIR, NULL)) {
        errno = 0;
        entry = readdir(stream);
    }
    (void)leave(0);
    return entry;
}

const FileTable *fake_files_table(void)
{
    static const FileTable table = {
        .openat = fake_openat,
        .close = fake_close,
        .pread = fake_pread,
        .pwritev = fake_pwritev,
        .fdatasync = fake_fdatasync,
        .fsync = fake_fsync,
        .fallocate = fake_fallocate,
        .ftruncate = fake_ftruncate,
        .renameat2 = fake_renameat2,
        .unlinkat = fake_unlinkat,
        .mkdirat = fake_mkdirat,
        .fstatvfs = fake_fstatvfs,
        .fstatat = fake_fstatat,
        .fchmod = fake_fchmod,
        .futimens = fake_futimens,
        .readdir = fake_readdir,
    };
    return &table;
}
