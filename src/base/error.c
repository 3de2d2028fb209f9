/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: a new error is built in a local value and assigned at the end. So the arguments of the
 * format may point into the very error that is replaced ("context: %s" around an older message).
 * A cut never splits a UTF-8 character: messages go into JSON.
 */
#include "walrx/base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CAUSE_SIZE 128 /* the texts of strerror are shorter */

/* Shortens text[0..length) by the character whose last bytes were cut off, if there is one. */
static void drop_half_character(char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && length - start < 3 && ((uint8_t)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    uint8_t lead = (uint8_t)text[start - 1];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (wanted > length - start + 1)
        text[start - 1] = '\0';
}

static void PRINTF_LIKE(3, 0)
    format_text(char *buffer, size_t size, const char *format, va_list args)
{
    int wanted = vsnprintf(buffer, size, format, args);
    if (wanted < 0)
        buffer[0] = '\0';
    else if ((size_t)wanted >= size)
        drop_half_character(buffer, size - 1);
}

void error_clear(Error *err)
{
    *err = (Error){.class = ERROR_NONE};
}

bool error_set(Error *err, ErrorClass class, const char *format, ...)
{
    Error fresh = {.class = class};
    va_list args;

    assert(class != ERROR_NONE);
    va_start(args, format);
    format_text(fresh.message, sizeof(fresh.message), format, args);
    va_end(args);
    *err = fresh;
    return false;
}

bool error_set_errno(Error *err, ErrorClass class, int os_errno, const char *format, ...)
{
    Error fresh = {.class = class, .os_errno = os_errno};
    char buffer[CAUSE_SIZE] = "";
    const char *cause = strerror_r(os_errno, buffer, sizeof(buffer)); /* the one of GNU */
    size_t cause_length = strnlen(cause, CAUSE_SIZE - 1);
    va_list args;

    assert(class != ERROR_NONE);
    va_start(args, format);
    /* The cause matters more than the end of a long text, so its room is set aside. */
    format_text(fresh.message, sizeof(fresh.message) - cause_length - strlen(": "), format, args);
    va_end(args);
    size_t used = strlen(fresh.message);
    (void)snprintf(fresh.message + used, sizeof(fresh.message) - used, ": %.*s", (int)cause_length,
                   cause);
    *err = fresh;
    return false;
}

bool error_detail(Error *err, const char *format, ...)
{
    char text[ERROR_DETAIL_SIZE] = "";
    va_list args;

    assert(err->class != ERROR_NONE);
    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->detail, text, sizeof(text));
    return false;
}

bool error_hint(Error *err, const char *format, ...)
{
    char text[ERROR_HINT_SIZE] = "";
    va_list args;

    assert(err->class != ERROR_NONE);
    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->hint, text, sizeof(text));
    return false;
}

int error_exit_status(ErrorClass class)
{
    switch (class) {
    case ERROR_NONE:
    case ERROR_STOPPED:
        return 0;
    case ERROR_ARCHIVE:
        return 2;
    case ERROR_STORAGE:
    case ERROR_NO_ROOM:
        return 3;
    case ERROR_USAGE:
    case ERROR_RETRY:
    case ERROR_OPERATOR:
    case ERROR_PROTOCOL:
    case ERROR_MEMORY:
        break;
    }
    return 1;
}

const char *error_class_name(ErrorClass class)
{
    switch (class) {
    case ERROR_NONE:
        return "none";
    case ERROR_USAGE:
        return "usage";
    case ERROR_RETRY:
        return "retry";
    case ERROR_OPERATOR:
        return "operator";
    case ERROR_PROTOCOL:
        return "protocol";
    case ERROR_ARCHIVE:
        return "archive";
    case ERROR_STORAGE:
        return "storage";
    case ERROR_NO_ROOM:
        return "no room";
    case ERROR_MEMORY:
        return "memory";
    case ERROR_STOPPED:
        return "stopped";
    }
    return "unknown";
}
