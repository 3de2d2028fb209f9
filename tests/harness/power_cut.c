/* SPDX-License-Identifier: PostgreSQL
 *
 * See power_cut.h. The changes are a log; a directory is built by going through it once for the
 * names and once for each file that has one.
 */
#include "power_cut.h"

#include "fake_files.h"
#include "scratch.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE 96
#define MAX_CHANGES 20000
#define MAX_NODES 2000
#define MAX_NAMES 2000
#define SECTOR 512

typedef enum ChangeKind {
    CHANGE_ADD,
    CHANGE_MOVE,
    CHANGE_REMOVE,
    CHANGE_DATA,
    CHANGE_SIZE,
    CHANGE_SYNC,
} ChangeKind;

typedef struct Change {
    ChangeKind kind;
    int node; /* the file or directory itself */
    int dir;  /* ADD, MOVE, REMOVE: where the name is */
    int to_dir;
    char name[NAME_SIZE];
    char to_name[NAME_SIZE];
    uint64_t offset; /* SIZE: the size */
    size_t length;
    uint8_t *bytes;
    uint64_t mark;
} Change;

typedef struct Node {
    ino_t ino; /* of the newest file with this number */
    bool is_dir;
} Node;

typedef struct Name {
    int dir;
    int node;
    char name[NAME_SIZE];
} Name;

static Change changes[MAX_CHANGES];
static size_t change_count;
static Node nodes[MAX_NODES];
static int node_count;
static Name names[MAX_NAMES];
static size_t name_count;
static uint64_t (*ask_mark)(void);
static uint64_t random_state;

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "power_cut: %s\n", what);
    abort();
}

static int new_node(ino_t ino, bool is_dir)
{
    need(node_count < MAX_NODES, "too many files");
    nodes[node_count] = (Node){.ino = ino, .is_dir = is_dir};
    return node_count++;
}

static int node_of(ino_t ino)
{
    for (int i = node_count - 1; i >= 0; i--) {
        if (nodes[i].ino == ino)
            return i;
    }
    need(false, "a file that was never seen");
    return -1;
}

static int node_of_fd(int fd)
{
    struct stat status;
    need(fstat(fd, &status) == 0, "fstat");
    return node_of(status.st_ino);
}

static Change *add_change(ChangeKind kind, int node)
{
    need(change_count < MAX_CHANGES, "too many changes");
    Change *change = &changes[change_count++];
    *change = (Change){.kind = kind, .node = node, .mark = ask_mark()};
    return change;
}

static void note_name(ChangeKind kind, int node, int dir_fd, const char *name)
{
    Change *change = add_change(kind, node);
    change->dir = node_of_fd(dir_fd);
    (void)snprintf(change->name, sizeof(change->name), "%s", name);
}

static ino_t ino_of(int dir_fd, const char *name)
{
    struct stat status;
    need(fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0, "fstatat");
    return status.st_ino;
}

static void note_open(const FakeEvent *event)
{
    if (event->created)
        note_name(CHANGE_ADD, new_node(ino_of(event->other_fd, event->name), false),
                  event->other_fd, event->name);
    else if (event->truncated)
        add_change(CHANGE_SIZE, node_of_fd(event->fd))->offset = 0;
}

static void note_write(const FakeEvent *event)
{
    Change *change = add_change(CHANGE_DATA, node_of_fd(event->fd));
    change->offset = (uint64_t)event->offset;
    change->bytes = malloc(event->length);
    need(change->bytes != NULL, "malloc");
    for (int i = 0; change->length < event->length; i++) {
        memcpy(change->bytes + change->length, event->parts[i].iov_base, event->parts[i].iov_len);
        change->length += event->parts[i].iov_len;
    }
}

/* The node behind a name as the running process sees it. */
static int named_now(int dir, const char *name)
{
    int node = -1;
    for (size_t i = 0; i < change_count; i++) {
        const Change *change = &changes[i];
        if (change->kind == CHANGE_ADD && change->dir == dir && strcmp(change->name, name) == 0)
            node = change->node;
        if (change->kind == CHANGE_MOVE && change->to_dir == dir &&
            strcmp(change->to_name, name) == 0)
            node = change->node;
    }
    need(node >= 0, "a name that was never seen");
    return node;
}

static void note(const FakeEvent *event)
{
    Change *change;
    switch (event->call) {
    case FAKE_OPENAT:
        note_open(event);
        break;
    case FAKE_PWRITEV:
        note_write(event);
        break;
    case FAKE_FDATASYNC:
    case FAKE_FSYNC:
        (void)add_change(CHANGE_SYNC, node_of_fd(event->fd));
        break;
    case FAKE_FALLOCATE:
    case FAKE_FTRUNCATE:
        add_change(CHANGE_SIZE, node_of_fd(event->fd))->offset = (uint64_t)event->offset;
        break;
    case FAKE_RENAME:
        change = add_change(CHANGE_MOVE, node_of(ino_of(event->other_fd, event->other_name)));
        change->dir = node_of_fd(event->fd);
        change->to_dir = node_of_fd(event->other_fd);
        (void)snprintf(change->name, sizeof(change->name), "%s", event->name);
        (void)snprintf(change->to_name, sizeof(change->to_name), "%s", event->other_name);
        break;
    case FAKE_UNLINK:
        note_name(CHANGE_REMOVE, named_now(node_of_fd(event->fd), event->name), event->fd,
                  event->name);
        break;
    case FAKE_MKDIR:
        note_name(CHANGE_ADD, new_node(ino_of(event->fd, event->name), true), event->fd,
                  event->name);
        break;
    case FAKE_CLOSE:
    case FAKE_PREAD:
    case FAKE_STAT:
    case FAKE_CHMOD:
    case FAKE_TIMES:
    case FAKE_READDIR:
    case FAKE_ANY:
        break;
    }
}

void power_begin(const char *path, uint64_t (*mark)(void))
{
    struct stat status;
    need(stat(path, &status) == 0, path);
    power_end();
    ask_mark = mark;
    (void)new_node(status.st_ino, true);
    fake_files_observe(note);
}

void power_end(void)
{
    for (size_t i = 0; i < change_count; i++)
        free(changes[i].bytes);
    change_count = 0;
    node_count = 0;
    fake_files_observe(NULL);
}

size_t power_changes(void)
{
    return change_count;
}

uint64_t power_mark(size_t at)
{
    return changes[at].mark;
}

static bool coin(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 33 & 1) != 0;
}

/* The first change behind the last sync of a node that came before `at`. */
static size_t first_unsure(int node, size_t at)
{
    for (size_t i = at; i > 0; i--) {
        if (changes[i - 1].kind == CHANGE_SYNC && changes[i - 1].node == node)
            return i;
    }
    return 0;
}

static bool keeps_name(int dir, size_t index, size_t at, PowerVariant variant)
{
    if (index < first_unsure(dir, at))
        return true;
    return variant == POWER_MIXES ? coin() : variant != POWER_LOSES_ALL;
}

static Name *find_name(int dir, const char *name)
{
    for (size_t i = 0; i < name_count; i++) {
        if (names[i].dir == dir && strcmp(names[i].name, name) == 0)
            return &names[i];
    }
    return NULL;
}

static void set_name(int dir, const char *name, int node)
{
    Name *place = find_name(dir, name);
    if (place == NULL) {
        need(name_count < MAX_NAMES, "too many names");
        place = &names[name_count++];
        place->dir = dir;
        (void)snprintf(place->name, sizeof(place->name), "%s", name);
    }
    place->node = node;
}

static void drop_name(int dir, const char *name, int node)
{
    Name *place = find_name(dir, name);
    if (place != NULL && place->node == node)
        *place = names[--name_count];
}

static void build_names(size_t at, PowerVariant variant)
{
    name_count = 0;
    for (size_t i = 0; i < at; i++) {
        const Change *change = &changes[i];
        switch (change->kind) {
        case CHANGE_ADD:
            if (keeps_name(change->dir, i, at, variant))
                set_name(change->dir, change->name, change->node);
            break;
        case CHANGE_REMOVE:
            if (keeps_name(change->dir, i, at, variant))
                drop_name(change->dir, change->name, change->node);
            break;
        case CHANGE_MOVE: {
            bool arrives = keeps_name(change->to_dir, i, at, variant);
            bool leaves = change->dir == change->to_dir
                              ? arrives
                              : keeps_name(change->dir, i, at, variant) && arrives;
            if (arrives)
                set_name(change->to_dir, change->to_name, change->node);
            if (leaves)
                drop_name(change->dir, change->name, change->node);
            break;
        }
        case CHANGE_DATA:
        case CHANGE_SIZE:
        case CHANGE_SYNC:
            break;
        }
    }
}

typedef struct Content {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
} Content;

static void set_size(Content *content, size_t size)
{
    if (size > content->capacity) {
        content->bytes = realloc(content->bytes, size);
        need(content->bytes != NULL, "realloc");
        content->capacity = size;
    }
    if (size > content->size)
        memset(content->bytes + content->size, 0, size - content->size);
    content->size = size;
}

static void apply_data(Content *content, const Change *change, bool torn)
{
    for (size_t done = 0; done < change->length;) {
        size_t to_edge = SECTOR - (size_t)((change->offset + done) % SECTOR);
        size_t piece = torn ? to_edge : change->length;
        if (piece > change->length - done)
            piece = change->length - done;
        if (!torn || coin()) {
            size_t begin = (size_t)change->offset + done;
            if (begin + piece > content->size)
                set_size(content, begin + piece);
            memcpy(content->bytes + begin, change->bytes + done, piece);
        }
        done += piece;
    }
}

static Content build_content(int node, size_t at, PowerVariant variant)
{
    Content content = {.bytes = NULL};
    size_t unsure = first_unsure(node, at);
    for (size_t i = 0; i < at; i++) {
        const Change *change = &changes[i];
        bool sure = i < unsure;
        bool maybe = variant == POWER_MIXES;
        if (change->node != node || (!sure && !maybe && variant != POWER_KEEPS_ALL))
            continue;
        if (change->kind == CHANGE_DATA)
            apply_data(&content, change, !sure && maybe);
        else if (change->kind == CHANGE_SIZE && (sure || !maybe || coin()))
            set_size(&content, (size_t)change->offset);
    }
    return content;
}

static void build_directory(int dir, size_t at, PowerVariant variant, const char *path)
{
    for (size_t i = 0; i < name_count; i++) {
        if (names[i].dir != dir)
            continue;
        if (nodes[names[i].node].is_dir) {
            char inside[SCRATCH_PATH_SIZE];
            int written = snprintf(inside, sizeof(inside), "%s/%s", path, names[i].name);
            need(written > 0 && (size_t)written < sizeof(inside), "path too long");
            scratch_mkdir(path, names[i].name);
            build_directory(names[i].node, at, variant, inside);
            continue;
        }
        Content content = build_content(names[i].node, at, variant);
        scratch_write(path, names[i].name, content.bytes, content.size);
        free(content.bytes);
    }
}

void power_build(size_t at, PowerVariant variant, uint64_t seed, const char *path)
{
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    build_names(at, variant);
    build_directory(0, at, variant, path);
}
