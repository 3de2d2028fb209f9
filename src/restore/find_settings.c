/* SPDX-License-Identifier: PostgreSQL
 *
 * The settings of a server that is to stop there. The values lie in single quotes as guc-file.l
 * (PostgreSQL 15) reads them: a quote is doubled, a backslash begins an escape.
 */
#include "walrx/restore/find.h"

#include "walrx/os/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Text {
    char *at;
    size_t left;
    bool fits;
} Text;

PRINTF_LIKE(2, 3) static void add(Text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text->at, text->left, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= text->left) {
        text->fits = false;
        return;
    }
    text->at += length;
    text->left -= (size_t)length;
}

/* The length of the character that begins here; 0: it is none of UTF-8 (RFC 3629). */
static size_t utf8_length(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (length == 1)
        return 1;
    if (at[0] < 0xC2 || at[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    }
    bool out_of_order = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
                        (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);
    return out_of_order ? 0 : length;
}

/* What JSON and terminals cannot show as it is becomes an escape, or a copied line would name
 * something else. */
static void add_quoted(Text *text, const char *value)
{
    for (size_t plain = 0; *value != '\0'; value++, plain -= plain > 0 ? 1 : 0) {
        unsigned char c = (unsigned char)*value;
        if (plain == 0)
            plain = utf8_length(value);
        if (c == '\'' || c == '\\')
            add(text, "%c%c", c, c);
        else if (c < 0x20 || c == 0x7F || plain == 0)
            add(text, "\\%03o", c);
        else
            add(text, "%c", c);
    }
}

bool find_setting(const char *name, const char *value, char *buffer, size_t capacity)
{
    Text text = {.at = buffer, .left = capacity, .fits = capacity > 0};
    add(&text, "%s = '", name);
    add_quoted(&text, value);
    add(&text, "'\n");
    return text.fits;
}

/* "2026-03-01 12:00:00.123456+00": as in clock_pg_text, with a zone that servers since 10 read. */
static void add_time(Text *text, PgTime time)
{
    char iso[CLOCK_TEXT_SIZE];
    size_t length = strlen(clock_pg_text(time, iso));
    add(text, "%.10s %.*s+00", iso, (int)length - 12, iso + 11);
}

bool find_settings(const FindTarget *target, const FindResult *result, char *buffer,
                   size_t capacity)
{
    Text text = {.at = buffer, .left = capacity, .fits = capacity > 0};
    char lsn[LSN_TEXT_SIZE];
    switch (target->kind) {
    case FIND_TIME:
        add(&text, "recovery_target_time = '");
        add_time(&text, target->time);
        add(&text, "'\n");
        break;
    case FIND_POINT:
        add(&text, "recovery_target_name = '");
        add_quoted(&text, target->name);
        add(&text, "'\n");
        break;
    case FIND_LSN:
        add(&text, "recovery_target_lsn = '%s'\n", lsn_format(target->lsn, lsn));
        break;
    case FIND_XID:
        add(&text, "recovery_target_xid = '%" PRIu32 "'\n", target->xid);
        break;
    case FIND_LATEST:
        break;
    }
    if (target->kind == FIND_TIME || target->kind == FIND_LSN || target->kind == FIND_XID)
        add(&text, "recovery_target_inclusive = '%s'\n", target->exclusive ? "off" : "on");
    add(&text, "recovery_target_timeline = '%" PRIu32 "'\n", result->timeline);
    return text.fits;
}

const char *find_restore_options(const FindTarget *target, const FindResult *result)
{
    bool partial = target->timeline != 0 && result->at.found && result->at.partial;
    if (result->gap_behind)
        return partial ? " --on-gap=continue --partial=always" : " --on-gap=continue";
    return partial ? " --partial=always" : "";
}
