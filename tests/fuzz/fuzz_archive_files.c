/* SPDX-License-Identifier: PostgreSQL
 *
 * What start-up reads of an archive besides WAL. The first byte chooses: the rest is the file of
 * the identity, the list of gaps, or the names of the directory (each up to a newline). A refusal
 * has its class and a message; what is understood is what the writer of the file could have
 * written.
 */
#include "fuzz.h"
#include "walrx/archive/gap.h"
#include "walrx/archive/identity.h"
#include "walrx/archive/inventory.h"
#include "walrx/os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SIZE SEGMENT_SIZE_MIN

static const uint8_t *content;
static size_t content_length;
static size_t listed;

/* --- a file table in which every file holds the input --- */

static int open_any(int dir_fd, const char *name, int flags, mode_t mode)
{
    (void)dir_fd;
    (void)name;
    (void)mode;
    return open("/", flags | O_DIRECTORY | O_CLOEXEC);
}

static ssize_t read_input(int fd, void *buffer, size_t count, off_t offset)
{
    size_t at = (size_t)offset < content_length ? (size_t)offset : content_length;
    (void)fd;
    if (count > content_length - at)
        count = content_length - at;
    if (count > 0)
        memcpy(buffer, content + at, count);
    return (ssize_t)count;
}

static int stat_input(int dir_fd, const char *name, struct stat *ret, int flags)
{
    (void)dir_fd;
    (void)name;
    (void)flags;
    *ret = (struct stat){.st_mode = S_IFREG, .st_size = (off_t)content_length};
    return 0;
}

static struct dirent *next_name(DIR *stream)
{
    static struct dirent entry;
    size_t length = 0;
    (void)stream;
    errno = 0;
    if (listed >= content_length)
        return NULL;
    while (listed < content_length && content[listed] != '\n' && length < sizeof(entry.d_name) - 1)
        entry.d_name[length++] = (char)content[listed++];
    listed++;
    entry.d_name[length] = '\0';
    return &entry;
}

static const FileTable table = {
    .openat = open_any,
    .close = close,
    .pread = read_input,
    .fstatat = stat_input,
    .readdir = next_name,
};

/* --- what is read --- */

static void check_identity(const Dir *dir)
{
    Identity identity;
    Error error;
    bool known;
    if (!identity_load(dir, &known, &identity, &error)) {
        require(error.class == ERROR_ARCHIVE && error.message[0] != '\0');
        return;
    }
    require(known && identity.system_identifier > 0 && segment_size_valid(identity.segment_size));
}

static bool take_gap(void *context, const Gap *gap)
{
    size_t *count = context;
    require(gap->timeline > 0);
    ++*count;
    return true;
}

static void check_gaps(const Archive *archive)
{
    size_t count = 0;
    Error error;
    if (!gap_visit(archive, take_gap, &count, &error))
        require(error.class == ERROR_ARCHIVE && error.message[0] != '\0');
    require(count <= content_length / strlen("timeline=1begin=0/0end=0/0"));
}

static void check_names(const Dir *dir)
{
    Inventory inventory;
    Error error;
    listed = 0;
    if (!inventory_scan(dir, SIZE, &inventory, &error)) {
        require(error.class == ERROR_ARCHIVE && error.message[0] != '\0');
        return;
    }
    for (size_t i = 0; i < inventory.count; i++) {
        const TimelineInventory *timeline = &inventory.timelines[i];
        InventoryNewest newest = inventory_newest_complete(timeline);
        require(timeline->timeline > 0 && (i == 0 || timeline->timeline > timeline[-1].timeline));
        require(newest.any || timeline->any_partial);
        require(!newest.any || inventory_next(timeline, SIZE) > newest.segno ||
                newest.segno == segment_last(SIZE));
    }
    inventory_free(&inventory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Archive archive;
    if (size == 0)
        return 0;
    content = data + 1;
    content_length = size - 1;
    archive = (Archive){.segment_size = SIZE};
    archive.private = (Dir){.files = &table, .path = "/private"};
    archive.dir = (Dir){.files = &table, .path = "/archive"};
    if (data[0] % 3 == 0)
        check_identity(&archive.private);
    else if (data[0] % 3 == 1)
        check_gaps(&archive);
    else
        check_names(&archive.dir);
    return 0;
}
