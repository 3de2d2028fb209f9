/* SPDX-License-Identifier: PostgreSQL
 *
 * See scratch.h.
 */
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

void scratch_make(char path[SCRATCH_PATH_SIZE])
{
    const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    (void)snprintf(path, SCRATCH_PATH_SIZE, "%s/walrx-test-XXXXXX", where != NULL ? where : "/tmp");
    need(mkdtemp(path) != NULL, path);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void scratch_remove(const char *path)
{
    need(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, path);
}

static const char *join(const char *path, const char *name, char whole[2 * SCRATCH_PATH_SIZE])
{
    (void)snprintf(whole, 2 * SCRATCH_PATH_SIZE, "%s/%s", path, name);
    return whole;
}

void scratch_write(const char *path, const char *name, const void *data, size_t length)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    int fd = open(join(path, name, whole), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    need(fd >= 0, whole);
    for (size_t done = 0; done < length;) {
        ssize_t n = write(fd, (const uint8_t *)data + done, length - done);
        need(n > 0, whole);
        done += (size_t)n;
    }
    (void)close(fd);
}

uint8_t *scratch_read(const char *path, const char *name, size_t *ret_length)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    struct stat status;
    int fd = open(join(path, name, whole), O_RDONLY);
    if (fd < 0)
        return NULL;
    need(fstat(fd, &status) == 0, whole);
    size_t length = (size_t)status.st_size;
    uint8_t *data = malloc(length + 1);
    need(data != NULL, "malloc");
    for (size_t done = 0; done < length;) {
        ssize_t n = read(fd, data + done, length - done);
        need(n > 0, whole);
        done += (size_t)n;
    }
    (void)close(fd);
    *ret_length = length;
    return data;
}

bool scratch_exists(const char *path, const char *name)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    return access(join(path, name, whole), F_OK) == 0;
}

size_t scratch_size(const char *path, const char *name)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    struct stat status;
    need(stat(join(path, name, whole), &status) == 0, whole);
    return (size_t)status.st_size;
}

bool scratch_holds(const char *path, const char *name, const void *data, size_t length)
{
    size_t found;
    uint8_t *content = scratch_read(path, name, &found);
    bool same = content != NULL && found == length && memcmp(content, data, length) == 0;
    free(content);
    return same;
}

size_t scratch_count(const char *path, const char *name)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    size_t count = 0;
    DIR *dir = opendir(join(path, name, whole));
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(dir);
    return count;
}

void scratch_mkdir(const char *path, const char *name)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    need(mkdir(join(path, name, whole), 0700) == 0, whole);
}

/* nftw has no argument for its callback. */
static uint64_t sum;
static size_t root_length;

static uint64_t mix(uint64_t hash, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static int add_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    const char *name = path + root_length;
    uint64_t hash = mix(UINT64_C(0xCBF29CE484222325), (const uint8_t *)name, strlen(name));
    (void)place;
    hash = mix(hash, (const uint8_t *)&status->st_mode, sizeof(status->st_mode));
    if (type == FTW_F) {
        size_t length;
        uint8_t *data = scratch_read("", path + 1, &length); /* absolute */
        need(data != NULL, path);
        hash = mix(hash, data, length);
        free(data);
    }
    sum += hash; /* in any order */
    return 0;
}

uint64_t scratch_fingerprint(const char *path)
{
    sum = 0;
    root_length = strlen(path);
    need(nftw(path, add_one, 16, FTW_PHYS) == 0, path);
    return sum;
}
