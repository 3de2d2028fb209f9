/* SPDX-License-Identifier: PostgreSQL
 *
 * See base_backup_manifest.h. The keys are looked for as text: inside a JSON string (a file's name)
 * a quote has a backslash before it, so `"WAL-Ranges"` is nothing but the key. What follows is read
 * by the JSON library.
 */
#include "base_backup_manifest.h"

#include "walrx/base/parse.h"

#include <jansson.h>
#include <string.h>

#define KEY_SYSTEM "\"System-Identifier\""
#define KEY_FILES "\"Files\""
#define KEY_RANGES "\"WAL-Ranges\""
#define KEY_CHECKSUM "\"Manifest-Checksum\""

static bool refuse(Error *err, const char *problem)
{
    error_set(err, ERROR_ARCHIVE, "could not understand the backup manifest: %s", problem);
    return error_hint(err, "pg_verifybackup tells whether the backup is whole.");
}

/* Behind the last `key` and its colon; NULL: it is not there. */
static const char *behind_key(const char *text, size_t length, const char *key)
{
    const char *found = NULL;
    size_t key_length = strlen(key);
    const char *end = text + length;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), key, key_length)) != NULL;) {
        at += key_length;
        found = at;
    }
    while (found != NULL && found < end && (*found == ' ' || *found == ':' || *found == '\n'))
        found++;
    return found;
}

/* As it is since 17; before, the manifest says nothing. */
static bool read_system(const char *head, size_t length, uint64_t *ret, Error *err)
{
    const char *files = memmem(head, length, KEY_FILES, strlen(KEY_FILES));
    size_t before = files != NULL ? (size_t)(files - head) : length;
    const char *value = behind_key(head, before, KEY_SYSTEM);
    char digits[24];
    size_t count = 0;
    *ret = 0;
    if (value == NULL)
        return true;
    while (value < head + before && *value >= '0' && *value <= '9' && count + 1 < sizeof(digits))
        digits[count++] = *value++;
    digits[count] = '\0';
    return parse_u64(digits, 1, UINT64_MAX, ret) || refuse(err, "its system identifier is odd");
}

typedef struct Range {
    Timeline timeline;
    Lsn start;
    Lsn end;
} Range;

static bool read_range(const json_t *item, Range *ret)
{
    const json_t *timeline = json_object_get(item, "Timeline");
    const char *start = json_string_value(json_object_get(item, "Start-LSN"));
    const char *end = json_string_value(json_object_get(item, "End-LSN"));
    json_int_t number = json_is_integer(timeline) ? json_integer_value(timeline) : 0;
    if (number < 1 || number > UINT32_MAX || start == NULL || end == NULL ||
        !lsn_parse(start, &ret->start) || !lsn_parse(end, &ret->end) || ret->start == LSN_INVALID ||
        ret->end < ret->start || ret->end > LSN_LAST)
        return false;
    ret->timeline = (Timeline)number;
    return true;
}

/* The newest timeline is the first, and each begins where the next in the list ends. */
static bool join_ranges(const json_t *list, BackupManifest *ret, Error *err)
{
    size_t count = json_array_size(list);
    Range range;
    if (count == 0)
        return refuse(err, "it has no WAL ranges");
    for (size_t i = 0; i < count; i++) {
        if (!read_range(json_array_get(list, i), &range))
            return refuse(err, "a WAL range is odd");
        if (i > 0 && (range.end != ret->start || range.timeline >= ret->timeline))
            return refuse(err, "its WAL ranges do not join");
        if (i == 0) {
            ret->stop = range.end;
            ret->stop_timeline = range.timeline;
        }
        ret->start = range.start;
        ret->timeline = range.timeline;
    }
    return true;
}

static bool read_ranges(const char *tail, size_t length, BackupManifest *ret, Error *err)
{
    const char *value = behind_key(tail, length, KEY_RANGES);
    if (value == NULL)
        return refuse(err, "it does not end with WAL ranges");
    size_t left = length - (size_t)(value - tail);
    if (memmem(value, left, KEY_CHECKSUM, strlen(KEY_CHECKSUM)) == NULL)
        return refuse(err, "its end is missing");
    json_t *list = json_loadb(value, left, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_is_array(list) ? join_ranges(list, ret, err)
                                  : refuse(err, "its WAL ranges are no list");
    json_decref(list);
    return ok;
}

bool backup_manifest_parse(const char *head, size_t head_length, const char *tail,
                           size_t tail_length, BackupManifest *ret, Error *err)
{
    static const char version[] = "\"PostgreSQL-Backup-Manifest-Version\"";
    BackupManifest manifest;
    if (memmem(head, head_length, version, strlen(version)) == NULL)
        return refuse(err, "it does not begin as one");
    if (!read_system(head, head_length, &manifest.system_identifier, err) ||
        !read_ranges(tail, tail_length, &manifest, err))
        return false;
    *ret = manifest;
    return true;
}
