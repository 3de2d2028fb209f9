/* SPDX-License-Identifier: PostgreSQL
 *
 * Timeline history files, line by line. As readTimeLineHistory (timeline.c, PostgreSQL 15) the text
 * behind the switchpoint is free; unlike it, numbers must be complete and a line cannot be cut.
 * Messages name the line's number, never its text: a hostile file cannot write into a log.
 */
#include "walrx/proto/timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LSN_FIELD_MAX (LSN_TEXT_SIZE - 1)

typedef struct LineReader {
    const char *text;
    size_t left;
} LineReader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(LineReader *line)
{
    while (line->left > 0 && is_blank(*line->text)) {
        line->text++;
        line->left--;
    }
}

/* The next run of characters that are no blanks. */
static size_t take_word(LineReader *line, const char **ret)
{
    size_t length = 0;

    while (length < line->left && !is_blank(line->text[length]))
        length++;
    *ret = line->text;
    line->text += length;
    line->left -= length;
    return length;
}

/* Cuts the next line off, without its newline. */
static LineReader take_line(LineReader *file)
{
    const char *newline = memchr(file->text, '\n', file->left);
    LineReader line = {file->text, file->left};

    if (newline != NULL)
        line.left = (size_t)(newline - file->text);
    file->text += line.left;
    file->left -= line.left;
    if (newline != NULL) {
        file->text++;
        file->left--;
    }
    return line;
}

static bool word_timeline(const char *word, size_t length, Timeline *ret)
{
    uint64_t value = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(word[i] - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *ret = (Timeline)value;
    return value > 0;
}

static bool word_lsn(const char *word, size_t length, Lsn *ret)
{
    char text[LSN_TEXT_SIZE];

    if (length > LSN_FIELD_MAX)
        return false;
    memcpy(text, word, length);
    text[length] = '\0';
    return lsn_parse(text, ret);
}

static bool line_error(Error *err, Timeline target, size_t number, const char *hint)
{
    (void)error_set(err, ERROR_PROTOCOL,
                    "invalid line %zu in the history file of timeline %" PRIu32, number, target);
    return error_hint(err, "%s", hint);
}

/* Reads one line that is neither blank nor a comment. */
static bool parse_switch(LineReader line, size_t number, Timeline target,
                         const TimelineSwitch *previous, TimelineSwitch *ret, Error *err)
{
    TimelineSwitch entry = {0};
    const char *word;
    size_t length = take_word(&line, &word);

    if (!word_timeline(word, length, &entry.timeline))
        return line_error(err, target, number, "A timeline ID is expected first.");
    skip_blanks(&line);
    length = take_word(&line, &word);
    if (!word_lsn(word, length, &entry.end) || entry.end == LSN_INVALID)
        return line_error(err, target, number, "A switchpoint like 0/3000000 is expected second.");
    if (entry.timeline >= target)
        return line_error(err, target, number,
                          "Timeline IDs must be below the ID of the file's own timeline.");
    if (previous != NULL && entry.timeline <= previous->timeline)
        return line_error(err, target, number, "Timeline IDs must ascend.");
    if (previous != NULL && entry.end < previous->end)
        return line_error(err, target, number, "Switchpoints must not go backwards.");
    *ret = entry;
    return true;
}

bool timeline_history_parse(const char *text, size_t length, Timeline target,
                            TimelineSwitch *switches, size_t capacity, TimelineHistory *ret,
                            Error *err)
{
    LineReader file = {text, length};
    size_t count = 0;

    if (target == 0)
        return error_set(err, ERROR_PROTOCOL, "timeline 0 has no history");
    if (length > TIMELINE_HISTORY_MAX_BYTES)
        return error_set(err, ERROR_PROTOCOL,
                         "history file of timeline %" PRIu32 " is too long: %zu bytes", target,
                         length);
    if (length > 0 && memchr(text, '\0', length) != NULL)
        return error_set(err, ERROR_PROTOCOL,
                         "history file of timeline %" PRIu32 " is not text: it holds a zero byte",
                         target);
    for (size_t number = 1; file.left > 0; number++) {
        LineReader line = take_line(&file);

        skip_blanks(&line);
        if (line.left == 0 || *line.text == '#')
            continue;
        if (count == capacity)
            return error_set(err, ERROR_PROTOCOL,
                             "history file of timeline %" PRIu32 " has more than %zu entries",
                             target, capacity);
        if (!parse_switch(line, number, target, count > 0 ? &switches[count - 1] : NULL,
                          &switches[count], err))
            return false;
        count++;
    }
    *ret = (TimelineHistory){.target = target, .count = count, .switches = switches};
    return true;
}

/* writeTimeLineHistory (timeline.c, PostgreSQL 15) puts an empty line before each line but the
 * first, and gives this reason when recovery had no target. */
bool timeline_history_format(const TimelineHistory *history, char *buffer, size_t capacity,
                             size_t *ret_length)
{
    size_t length = 0;
    char lsn[LSN_TEXT_SIZE];

    if (capacity == 0)
        return false;
    buffer[0] = '\0';
    for (size_t i = 0; i < history->count; i++) {
        int written =
            snprintf(buffer + length, capacity - length,
                     "%s%" PRIu32 "\t%s\tno recovery target specified\n", i == 0 ? "" : "\n",
                     history->switches[i].timeline, lsn_format(history->switches[i].end, lsn));

        if (written < 0 || (size_t)written >= capacity - length)
            return false;
        length += (size_t)written;
    }
    *ret_length = length;
    return true;
}

/* The index of `timeline`, history->count for the target, SIZE_MAX when it is not on the history.
 */
static size_t find_index(const TimelineHistory *history, Timeline timeline)
{
    if (timeline == history->target)
        return history->count;
    for (size_t i = 0; i < history->count; i++) {
        if (history->switches[i].timeline == timeline)
            return i;
    }
    return SIZE_MAX;
}

bool timeline_history_find(const TimelineHistory *history, Timeline timeline, Lsn *ret_end,
                           Timeline *ret_next)
{
    size_t index = find_index(history, timeline);
    bool is_target = index == history->count;

    if (index == SIZE_MAX)
        return false;
    if (ret_end != NULL)
        *ret_end = is_target ? UINT64_MAX : history->switches[index].end;
    if (ret_next != NULL) {
        if (is_target)
            *ret_next = 0;
        else if (index + 1 < history->count)
            *ret_next = history->switches[index + 1].timeline;
        else
            *ret_next = history->target;
    }
    return true;
}

Timeline timeline_history_at(const TimelineHistory *history, Lsn lsn)
{
    for (size_t i = 0; i < history->count; i++) {
        if (lsn < history->switches[i].end)
            return history->switches[i].timeline;
    }
    return history->target;
}

bool timeline_history_begin(const TimelineHistory *history, Timeline timeline, Lsn *ret_begin)
{
    size_t index = find_index(history, timeline);

    if (index == SIZE_MAX)
        return false;
    *ret_begin = index == 0 ? LSN_INVALID : history->switches[index - 1].end;
    return true;
}
