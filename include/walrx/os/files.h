/* SPDX-License-Identifier: PostgreSQL
 *
 * The file calls of walrx that read or change anything, as a table that tests can replace to make
 * the Nth call fail, write short or "lose power"; and wrappers that own EINTR, short transfers and
 * the wording of errors. Nothing outside src/os calls the kernel for files.
 *
 * Everything works on a directory descriptor and a name inside it. A Dir may be used by several
 * threads at once: it does not change after dir_open.
 *
 * Errors: ERROR_STORAGE with errno unless a function says otherwise; ERROR_NO_ROOM for ENOSPC and
 * EDQUOT.
 */
#pragma once

#include "walrx/base/error.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct FileTable {
    int (*openat)(int dir_fd, const char *name, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*pread)(int fd, void *buffer, size_t count, off_t offset);
    ssize_t (*pwritev)(int fd, const struct iovec *parts, int count, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*fallocate)(int fd, int mode, off_t offset, off_t length);
    int (*ftruncate)(int fd, off_t length);
    int (*renameat2)(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
    int (*unlinkat)(int dir_fd, const char *name, int flags);
    int (*mkdirat)(int dir_fd, const char *name, mode_t mode);
    int (*fstatvfs)(int fd, struct statvfs *ret);
    int (*fstatat)(int dir_fd, const char *name, struct stat *ret, int flags);
    int (*fchmod)(int fd, mode_t mode);
    int (*futimens)(int fd, const struct timespec times[2]);
    struct dirent *(*readdir)(DIR *stream); /* errno is 0 at the end */
} FileTable;

/* The kernel's own calls. Its syncs also fail on a filesystem that has shut down. */
const FileTable *file_table_kernel(void);

#define DIR_PATH_SIZE 4096

typedef struct Dir {
    int fd;
    bool sync;        /* false (--no-sync): the durable steps skip every sync call */
    mode_t file_mode; /* of files created here: 0600, or 0640 where the group may read */
    const FileTable *files;
    char path[DIR_PATH_SIZE]; /* for messages */
} Dir;

/* Opens an existing directory. ERROR_USAGE when it is missing, no directory, or not
 * accessible; ERROR_STORAGE when the disk fails. */
bool dir_open(const char *path, bool sync, const FileTable *files, Dir *ret, Error *err) MUST_CHECK;
/* Opens the directory `name` inside `parent`; with `create` makes it (0700/0750) when it is
 * missing, and its entry durable; *ret_created tells (may be NULL). Without `create` a missing one
 * gives true and ret->fd = -1. */
bool dir_open_inside(const Dir *parent, const char *name, bool create, Dir *ret, bool *ret_created,
                     Error *err) MUST_CHECK;
void dir_close(Dir *dir); /* fd -1 is fine */

/* Files created in both from now on are 0640 instead of 0600, and the inner directory itself 0750.
 */
bool dir_let_group_read(Dir *dir, Dir *inside, Error *err) MUST_CHECK;
/* Does the directory belong to the user of this process? Then files created in it from now on may
 * be read by the group where the directory may. */
bool dir_is_own(Dir *dir);
/* May this user add and remove names in the directory? ERROR_ARCHIVE: no. */
bool dir_may_change(const Dir *dir, Error *err) MUST_CHECK;
/* And remove this one? A name that is not there may be removed. ERROR_ARCHIVE: no, for it is a
 * directory, or in a directory with the sticky bit it is another user's. */
bool file_may_remove(const Dir *dir, const char *name, Error *err) MUST_CHECK;
/* Removes an empty directory inside; failure is left to the next attempt. */
void dir_remove_empty(const Dir *dir, const char *name);

/* Calls visit for every name but "." and ".."; stops when it returns false. */
typedef bool (*DirVisit)(void *context, const char *name);
bool dir_visit(const Dir *dir, DirVisit visit, void *context, Error *err) MUST_CHECK;

/* *ret_exists false when there is no such file (true is returned); size in bytes. */
bool file_status(const Dir *dir, const char *name, bool *ret_exists, uint64_t *ret_size,
                 Error *err) MUST_CHECK;

/* When the file's content last changed, in nanoseconds since 1970. */
bool file_modified(const Dir *dir, const char *name, bool *ret_exists, int64_t *ret_ns,
                   Error *err) MUST_CHECK;
/* Says so of another file; a hint for those who compare, which may be lost. */
void file_set_modified(const Dir *dir, int fd, int64_t ns);

typedef enum FileOpen {
    FILE_READ,          /* an existing file, for reading */
    FILE_WRITE,         /* an existing file, for reading and writing */
    FILE_WRITE_DIRECT,  /* the same with O_DIRECT: aligned memory, offsets and lengths (4096) */
    FILE_CREATE,        /* a new or emptied file, for writing */
    FILE_CREATE_DIRECT, /* the same with O_DIRECT */
    FILE_APPEND,        /* a new or existing file, for file_append */
} FileOpen;

/* *ret_fd is close-on-exec. The direct ones fail with os_errno EINVAL where the filesystem has
 * no O_DIRECT. */
bool file_open(const Dir *dir, const char *name, FileOpen how, int *ret_fd, Error *err) MUST_CHECK;
void file_close(const Dir *dir,
                int fd); /* -1 is fine; for files whose data was synced or only read */

/* Reads up to `count` bytes; fewer only at the end of the file. */
bool file_read_at(const Dir *dir, const char *name, int fd, void *buffer, size_t count,
                  uint64_t offset, size_t *ret_count, Error *err) MUST_CHECK;
/* Writes all parts. A short write that makes no progress counts as ENOSPC. */
bool file_write_at(const Dir *dir, const char *name, int fd, const struct iovec *parts,
                   int part_count, uint64_t offset, Error *err) MUST_CHECK;

/* Adds to the end in one write, which other processes that append do not come between. A short one
 * fails: what came of it stays. */
bool file_append(const Dir *dir, const char *name, int fd, const void *data, size_t length,
                 Error *err) MUST_CHECK;

/* Gives the file its full size and, where the filesystem can, its blocks. */
bool file_allocate(const Dir *dir, const char *name, int fd, uint64_t size, Error *err) MUST_CHECK;

/* Cuts a file to `size`. */
bool file_truncate(const Dir *dir, const char *name, int fd, uint64_t size, Error *err) MUST_CHECK;

/* Removes a name; *ret_existed false when there was none. Durable only after durable_directory. */
bool file_remove(const Dir *dir, const char *name, bool *ret_existed, Error *err) MUST_CHECK;

/* Bytes that this user can still write on the filesystem of the directory. */
bool file_space_left(const Dir *dir, uint64_t *ret, Error *err) MUST_CHECK;

/* How much of the file's size has no blocks yet, and so may meet a full disk when it is written. */
bool file_unbacked(const Dir *dir, const char *name, int fd, uint64_t *ret, Error *err) MUST_CHECK;

/* Sets the fraction of a second of the file's last change; another change replaces it. A hint that
 * not every filesystem keeps. */
void file_stamp(int fd, uint32_t nanoseconds);

/* Starts write-back of a range early, without waiting; a hint that cannot fail visibly. */
void file_write_back_early(int fd, uint64_t offset, uint64_t count);
