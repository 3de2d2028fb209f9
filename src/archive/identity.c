/* SPDX-License-Identifier: PostgreSQL
 *
 * See identity.h. The file is text, one "key = value" a line, with the format's version first.
 */
#include "walrx/archive/identity.h"

#include "walrx/archive/archive.h"
#include "walrx/archive/segment_file.h"
#include "walrx/base/parse.h"
#include "walrx/os/durable.h"
#include "walrx/proto/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IDENTITY_VERSION 1
#define IDENTITY_MAX_BYTES 512

/* Copies the value behind "key = " of the line that starts with key. */
static bool find_value(const char *text, const char *key, char *value, size_t capacity)
{
    size_t key_length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t length = end != NULL ? (size_t)(end - line) : strlen(line);
        if (length > key_length + 3 && strncmp(line, key, key_length) == 0 &&
            strncmp(line + key_length, " = ", 3) == 0 && length - key_length - 3 < capacity) {
            memcpy(value, line + key_length + 3, length - key_length - 3);
            value[length - key_length - 3] = '\0';
            return true;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static bool identity_parse(const char *text, Identity *ret)
{
    char value[32];
    uint64_t version;
    uint64_t size;
    Identity identity;
    if (!find_value(text, "version", value, sizeof(value)) ||
        !parse_u64(value, IDENTITY_VERSION, IDENTITY_VERSION, &version) ||
        !find_value(text, "system_identifier", value, sizeof(value)) ||
        !parse_u64(value, 1, UINT64_MAX, &identity.system_identifier) ||
        !find_value(text, "segment_size", value, sizeof(value)) ||
        !parse_u64(value, SEGMENT_SIZE_MIN, SEGMENT_SIZE_MAX, &size) || !segment_size_valid(size))
        return false;
    identity.segment_size = (uint32_t)size;
    *ret = identity;
    return true;
}

bool identity_load(const Dir *private_dir, bool *ret_known, Identity *ret, Error *err)
{
    bool exists;
    uint64_t size;
    if (!file_status(private_dir, IDENTITY_FILE, &exists, &size, err))
        return false;
    if (!exists) {
        *ret_known = false;
        return true;
    }
    int fd;
    if (!file_open(private_dir, IDENTITY_FILE, FILE_READ, &fd, err))
        return false;
    char text[IDENTITY_MAX_BYTES + 1];
    size_t length;
    bool ok =
        file_read_at(private_dir, IDENTITY_FILE, fd, text, IDENTITY_MAX_BYTES, 0, &length, err);
    file_close(private_dir, fd);
    if (!ok)
        return false;
    text[length] = '\0';
    if (!identity_parse(text, ret)) {
        error_set(err, ERROR_ARCHIVE, "could not understand \"%s/%s\"", private_dir->path,
                  IDENTITY_FILE);
        return error_hint(err, "It was written by a later version of walrx, or damaged. When it is "
                               "removed, the identity is read from the archived WAL again.");
    }
    *ret_known = true;
    return true;
}

/* The few newest segments by position, newest first. */
#define CANDIDATES 8

typedef struct Candidate {
    char name[WAL_FILE_NAME_SIZE];
    WalFileName file;
} Candidate;

typedef struct CandidateList {
    Candidate items[CANDIDATES];
    size_t count;
} CandidateList;

static bool is_newer(const WalFileName *a, const WalFileName *b)
{
    if (a->log != b->log)
        return a->log > b->log;
    if (a->seg != b->seg)
        return a->seg > b->seg;
    return a->timeline > b->timeline;
}

static bool consider_name(void *context, const char *name)
{
    CandidateList *list = context;
    Candidate candidate;
    if (!wal_file_parse(name, &candidate.file) || candidate.file.kind != WAL_FILE_SEGMENT)
        return true;
    (void)snprintf(candidate.name, sizeof(candidate.name), "%s", name); /* parsed, so it fits */
    size_t at = list->count;
    while (at > 0 && is_newer(&candidate.file, &list->items[at - 1].file))
        at--;
    if (at == CANDIDATES)
        return true;
    size_t moved = list->count < CANDIDATES ? list->count - at : CANDIDATES - 1 - at;
    memmove(&list->items[at + 1], &list->items[at], moved * sizeof(list->items[0]));
    list->items[at] = candidate;
    if (list->count < CANDIDATES)
        list->count++;
    return true;
}

bool identity_derive(const Dir *dir, bool *ret_known, Identity *ret, Error *err)
{
    CandidateList list = {.count = 0};
    if (!dir_visit(dir, consider_name, &list, err))
        return false;
    *ret_known = false;
    for (size_t i = 0; i < list.count && !*ret_known; i++) {
        WalPageHeader header;
        bool found;
        if (!segment_file_header(dir, list.items[i].name, list.items[i].file.compression, &found,
                                 &header, err))
            return false;
        if (!found)
            continue;
        ret->system_identifier = header.system_identifier;
        ret->segment_size = header.segment_size;
        *ret_known = true;
    }
    return true;
}

bool identity_save(const Dir *private_dir, const Identity *identity, Error *err)
{
    char text[IDENTITY_MAX_BYTES];
    int length = snprintf(text, sizeof(text),
                          "version = %d\nsystem_identifier = %" PRIu64 "\nsegment_size = %u\n",
                          IDENTITY_VERSION, identity->system_identifier, identity->segment_size);
    return durable_write_over(private_dir, IDENTITY_FILE ARCHIVE_TEMP_SUFFIX, private_dir,
                              IDENTITY_FILE, text, (size_t)length, err);
}
