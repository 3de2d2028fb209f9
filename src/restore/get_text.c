/* SPDX-License-Identifier: PostgreSQL
 *
 * History files: small, so they are read whole. That of a timeline must be one PostgreSQL can read,
 * for it stops at any other; that of a base backup is for people.
 */
#include "get_internal.h"

#include "walrx/archive/segment_file.h"
#include "walrx/proto/timeline.h"

#include <stdlib.h>
#include <string.h>

typedef struct Text {
    size_t length;
    char bytes[TIMELINE_HISTORY_MAX_BYTES];
    TimelineSwitch switches[TIMELINE_MAX_SWITCHES];
} Text;

static bool take_bytes(void *context, const void *data, size_t length, Error *err)
{
    Text *text = context;
    if (length > sizeof(text->bytes) - text->length)
        return error_set(err, ERROR_ARCHIVE, "it has more than %zu bytes", sizeof(text->bytes));
    memcpy(text->bytes + text->length, data, length);
    text->length += length;
    return true;
}

static bool check(const Get *get, Text *text, Error *err)
{
    TimelineHistory history;
    if (text->length == 0)
        return error_set(err, ERROR_ARCHIVE, "it is empty");
    return get->file.kind != WAL_FILE_HISTORY ||
           timeline_history_parse(text->bytes, text->length, get->file.timeline, text->switches,
                                  TIMELINE_MAX_SWITCHES, &history, err);
}

FillResult get_fill_text(Get *get, const char *name, WalCompression form, int fd, Error *err)
{
    FillResult result = FILL_DONE;
    Error why;
    Text *text = malloc(sizeof(*text));
    if (text == NULL) {
        error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
        return FILL_FAILED;
    }
    text->length = 0;
    if (!segment_file_read(&get->archive.dir, name, form, take_bytes, text, &why)) {
        *err = why;
        result = get_judge(&why);
    } else if (!check(get, text, &why)) {
        why.class = ERROR_ARCHIVE;
        *err = why;
        result = FILL_FAULTY;
    }
    if (result == FILL_FAULTY && why.class == ERROR_ARCHIVE)
        error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" is damaged: %s", get->archive.dir.path, name,
                  why.message);
    if (result == FILL_DONE && !get_append(get, fd, text->bytes, text->length, 0, err))
        result = FILL_FAILED;
    free(text);
    return result;
}
