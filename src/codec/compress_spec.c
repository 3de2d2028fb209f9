/* SPDX-License-Identifier: PostgreSQL
 *
 * Reads what follows --compress. Accepts and refuses what pg_receivewal of PostgreSQL 15 does, with
 * the same text, because scripts rely on both. Checked against parse_compress_options in
 * src/bin/pg_basebackup/pg_receivewal.c and against src/common/compression.c, 15.18. So blanks and
 * a plus sign before a number are accepted, an empty text means none, and the last of several
 * levels counts. Only numbers beyond int differ: there they wrap around, here they are refused.
 */
#include "codec_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPEC_WRONG "invalid compression specification: "

/* DETAIL of METHOD:DETAIL, as far as it is read. */
typedef struct Detail {
    long level;
    bool has_workers;
} Detail;

static const char *method_name(WalCompression method)
{
    const CodecMethod *codec = codec_method(method);
    return codec ? codec->name : "none";
}

static bool find_method(const char *name, size_t length, WalCompression *ret)
{
    for (int i = 0; i < WAL_COMPRESSION_COUNT; i++) {
        const char *candidate = method_name((WalCompression)i);
        if (strlen(candidate) == length && strncmp(candidate, name, length) == 0) {
            *ret = (WalCompression)i;
            return true;
        }
    }
    return false;
}

/* An integer from `text` to exactly `end`. Too large ones become LONG_MAX, which no level is. */
static bool read_integer(const char *text, const char *end, long *ret)
{
    char *stop;
    long value = strtol(text, &stop, 10);

    if (stop == text || stop != end)
        return false;
    *ret = value;
    return true;
}

/* One KEYWORD[=VALUE] between `item` and `end`. */
static bool read_item(const char *item, const char *end, Detail *detail, Error *err)
{
    const char *equals = memchr(item, '=', (size_t)(end - item));
    const char *keyword_end = equals ? equals : end;
    size_t length = (size_t)(keyword_end - item);
    bool is_level = length == strlen("level") && memcmp(item, "level", length) == 0;
    bool is_workers = length == strlen("workers") && memcmp(item, "workers", length) == 0;
    long value;

    if (length == 0)
        return error_set(err, ERROR_USAGE,
                         SPEC_WRONG "found empty string where a compression option was expected");
    if (!is_level && !is_workers)
        return error_set(err, ERROR_USAGE, SPEC_WRONG "unrecognized compression option: \"%.*s\"",
                         (int)length, item);
    if (!equals)
        return error_set(err, ERROR_USAGE,
                         SPEC_WRONG "compression option \"%.*s\" requires a value", (int)length,
                         item);
    if (!read_integer(equals + 1, end, &value))
        return error_set(err, ERROR_USAGE,
                         SPEC_WRONG "value for compression option \"%.*s\" must be an integer",
                         (int)length, item);
    if (is_level)
        detail->level = value;
    else
        detail->has_workers = true;
    return true;
}

/* DETAIL: a bare integer, or items separated by commas. */
static bool read_detail(const char *text, Detail *detail, Error *err)
{
    if (read_integer(text, text + strlen(text), &detail->level))
        return true;
    for (;;) {
        const char *end = strchrnul(text, ',');
        if (!read_item(text, end, detail, err))
            return false;
        if (*end == '\0')
            return true;
        text = end + 1;
    }
}

/* Checks what was read against the method, in the order of pg_receivewal. */
static bool resolve_detail(WalCompression method, Detail detail, CompressSpec *ret, Error *err)
{
    const CodecMethod *codec = codec_method(method);
    int level = 0;

    if (!codec && detail.level != 0)
        return error_set(err, ERROR_USAGE,
                         SPEC_WRONG
                         "compression algorithm \"none\" does not accept a compression level");
    if (codec) {
        if (detail.level == codec->level_accepted)
            level = codec->level_default;
        else if (detail.level >= codec->level_min && detail.level <= codec->level_max)
            level = (int)detail.level;
        else
            return error_set(err, ERROR_USAGE,
                             SPEC_WRONG "compression algorithm \"%s\" expects a compression level "
                                        "between %d and %d (default at %d)",
                             codec->name, codec->level_min, codec->level_max,
                             codec->level_accepted);
    }
    if (detail.has_workers)
        return error_set(err, ERROR_USAGE,
                         SPEC_WRONG "compression algorithm \"%s\" does not accept a worker count",
                         method_name(method));
    *ret = (CompressSpec){.method = method, .level = level};
    return true;
}

bool compress_spec_parse(const char *text, CompressSpec *ret, Error *err)
{
    Detail detail = {0};
    WalCompression method;
    char *end;
    long bare = strtol(text, &end, 10);

    if (*end == '\0') { /* a bare integer, or nothing */
        detail.level = bare;
        return resolve_detail(bare == 0 ? WAL_RAW : WAL_GZIP, detail, ret, err);
    }
    const char *colon = strchrnul(text, ':');
    if (!find_method(text, (size_t)(colon - text), &method))
        return error_set(err, ERROR_USAGE, "unrecognized compression algorithm: \"%.*s\"",
                         (int)(colon - text), text);
    const CodecMethod *codec = codec_method(method);
    detail.level = codec ? codec->level_accepted : 0;
    if (*colon == ':' && !read_detail(colon + 1, &detail, err))
        return false;
    return resolve_detail(method, detail, ret, err);
}

const char *compress_spec_format(CompressSpec spec, char buffer[COMPRESS_SPEC_TEXT_SIZE])
{
    if (spec.method == WAL_RAW)
        (void)snprintf(buffer, COMPRESS_SPEC_TEXT_SIZE, "none");
    else
        (void)snprintf(buffer, COMPRESS_SPEC_TEXT_SIZE, "%s:%d", method_name(spec.method),
                       spec.level);
    return buffer;
}
