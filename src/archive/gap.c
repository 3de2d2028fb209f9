/* SPDX-License-Identifier: PostgreSQL
 *
 * See gap.h. The file is written anew as a whole: gaps are rare, and so a crash leaves the old or
 * the new list.
 */
#include "walrx/archive/gap.h"

#include "walrx/archive/leftover.h"
#include "walrx/base/parse.h"
#include "walrx/os/durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP_FILE_MAX (1024 * 1024)
#define GAP_LINE_MAX 160

static bool read_gaps(const Archive *archive, char *text, size_t capacity, size_t *ret_length,
                      Error *err)
{
    bool exists;
    uint64_t size;
    int fd;
    *ret_length = 0;
    if (!file_status(&archive->private, GAP_FILE, &exists, &size, err))
        return false;
    if (!exists)
        return true;
    if (size > capacity)
        return error_set(err, ERROR_ARCHIVE, "gap list \"%s/%s\" has grown beyond %d bytes",
                         archive->private.path, GAP_FILE, GAP_FILE_MAX);
    if (!file_open(&archive->private, GAP_FILE, FILE_READ, &fd, err))
        return false;
    bool ok = file_read_at(&archive->private, GAP_FILE, fd, text, capacity, 0, ret_length, err);
    file_close(&archive->private, fd);
    return ok;
}

/* Is the last line this gap, whenever it was seen? */
static bool told_last(const char *text, size_t length, const char *line, size_t line_length)
{
    size_t begin = length > 0 ? length - 1 : 0; /* its newline */
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    return length - begin > line_length && memcmp(text + begin, line, line_length) == 0;
}

bool gap_record(const Archive *archive, const Gap *gap, const char *when, Error *err)
{
    char *text = malloc(GAP_FILE_MAX + GAP_LINE_MAX);
    size_t length;
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while recording a gap");
    bool ok = read_gaps(archive, text, GAP_FILE_MAX, &length, err);
    if (ok) {
        char begin[LSN_TEXT_SIZE];
        char end[LSN_TEXT_SIZE];
        char line[GAP_LINE_MAX];
        int known = snprintf(line, sizeof(line), "timeline=%u begin=%s end=%s seen=", gap->timeline,
                             lsn_format(gap->begin, begin), lsn_format(gap->end, end));
        if (!told_last(text, length, line, (size_t)known)) {
            int added = snprintf(text + length, GAP_LINE_MAX, "%s%.32s\n", line, when);
            ok = durable_write_over(&archive->private, GAP_FILE ARCHIVE_TEMP_SUFFIX,
                                    &archive->private, GAP_FILE, text, length + (size_t)added, err);
        }
    }
    free(text);
    return ok;
}

/* The word behind `key` in a line. */
static bool word_of(const char *line, const char *key, char *word, size_t capacity)
{
    const char *at = strstr(line, key);
    if (at == NULL)
        return false;
    at += strlen(key);
    size_t length = strcspn(at, " \n");
    if (length >= capacity)
        return false;
    memcpy(word, at, length);
    word[length] = '\0';
    return true;
}

/* A line as gap_record writes it; what comes behind the end's position plays no part. */
static bool parse_line(const char *line, Gap *ret)
{
    char word[24];
    uint64_t number;
    if (!word_of(line, "timeline=", word, sizeof(word)) ||
        !parse_u64(word, 1, UINT32_MAX, &number) || !word_of(line, "begin=", word, sizeof(word)) ||
        !lsn_parse(word, &ret->begin) || !word_of(line, "end=", word, sizeof(word)) ||
        !lsn_parse(word, &ret->end))
        return false;
    ret->timeline = (Timeline)number;
    return true;
}

bool gap_visit(const Archive *archive, GapVisit visit, void *context, Error *err)
{
    if (archive->private.fd < 0)
        return true;
    char *text = malloc(GAP_FILE_MAX + 1);
    size_t length;
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading the list of gaps");
    bool ok = read_gaps(archive, text, GAP_FILE_MAX, &length, err);
    text[ok ? length : 0] = '\0';
    for (char *line = text, *next; *line != '\0'; line = next) {
        Gap gap;
        next = line + strcspn(line, "\n");
        if (*next != '\0')
            *next++ = '\0'; /* a line that is cut has nothing of the next one */
        if (parse_line(line, &gap) && !visit(context, &gap))
            break;
    }
    free(text);
    return ok;
}

/* The end of the gap that was recorded last at a place. */
typedef struct EndSearch {
    Timeline timeline;
    Lsn begin;
    Lsn end; /* LSN_INVALID when none was */
} EndSearch;

static bool take_end(void *context, const Gap *gap)
{
    EndSearch *search = context;
    if (gap->timeline == search->timeline && gap->begin == search->begin)
        search->end = gap->end;
    return true;
}

static bool find_end(const Archive *archive, Timeline timeline, Lsn begin, Lsn *ret_end, Error *err)
{
    EndSearch search = {.timeline = timeline, .begin = begin, .end = LSN_INVALID};
    bool ok = gap_visit(archive, take_end, &search, err);
    *ret_end = search.end;
    return ok;
}

bool gap_resume(const Archive *archive, TimelineInventory *timeline, Error *err)
{
    uint32_t size = archive->segment_size;
    for (;;) {
        Lsn next = segment_start(inventory_next(timeline, size), size);
        Lsn end;
        bool exists;
        if (!find_end(archive, timeline->timeline, next, &end, err))
            return false;
        if (end <= next)
            return true;
        if (!leftover_exists(archive, timeline->timeline, segment_of(end, size), &exists, err))
            return false;
        if (!exists)
            return true;
        timeline->resumed = segment_of(end, size); /* further each time, so this ends */
    }
}
