/* SPDX-License-Identifier: PostgreSQL
 *
 * Texts that others read: a shell, and files of configuration.
 */
#include "stage_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void stage_text_begin(StageText *text, char *buffer, size_t capacity)
{
    *text = (StageText){.buffer = buffer, .capacity = capacity, .fits = true};
    buffer[0] = '\0';
}

void stage_text_add(StageText *text, const char *format, ...)
{
    va_list args;
    size_t room = text->capacity - text->used;
    va_start(args, format);
    int written = vsnprintf(text->buffer + text->used, room, format, args);
    va_end(args);
    if (written < 0 || (size_t)written >= room)
        text->fits = false;
    else
        text->used += (size_t)written;
}

void stage_text_setting(StageText *text, const char *name, const char *value)
{
    char *at = text->buffer + text->used;
    if (find_setting(name, value, at, text->capacity - text->used))
        text->used += strlen(at);
    else
        text->fits = false;
}

bool stage_shell_word(const char *word, char *buffer, size_t capacity)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:,@";
    StageText text;
    stage_text_begin(&text, buffer, capacity);
    if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
        stage_text_add(&text, "%s", word);
        return text.fits;
    }
    stage_text_add(&text, "'");
    for (; *word != '\0'; word++)
        stage_text_add(&text, *word == '\'' ? "'\\''" : "%c", *word);
    stage_text_add(&text, "'");
    return text.fits;
}

/* The server replaces %f and %p, and makes % of %% (BuildRestoreCommand, archive.c, PostgreSQL 15).
 */
static void add_word(StageText *text, const char *word)
{
    char quoted[STAGE_SHELL_SIZE];
    if (!stage_shell_word(word, quoted, sizeof(quoted)))
        text->fits = false;
    for (const char *at = quoted; *at != '\0'; at++)
        stage_text_add(text, *at == '%' ? "%%%%" : "%c", *at);
}

bool stage_text_restore_command(const char *program, const char *archive, const char *more,
                                char *buffer, size_t capacity)
{
    StageText text;
    stage_text_begin(&text, buffer, capacity);
    add_word(&text, program);
    stage_text_add(&text, " restore -D ");
    add_word(&text, archive);
    stage_text_add(&text, "%s %%f %%p", more);
    return text.fits;
}
