/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts of staging. Private to src/restore.
 */
#pragma once

#include "walrx/restore/stage.h"

/* The beginning of names that a copy has and its backup has not. */
#define STAGE_CLAIM "walrx_stage_unfinished"

/* A text that grows in a buffer; `fits` false: it was cut. */
typedef struct StageText {
    char *buffer;
    size_t capacity;
    size_t used;
    bool fits;
} StageText;

void stage_text_begin(StageText *text, char *buffer, size_t capacity);
void stage_text_add(StageText *text, const char *format, ...) PRINTF_LIKE(2, 3);
/* NAME = 'VALUE' and a newline, as postgresql.conf and recovery.conf have it. */
void stage_text_setting(StageText *text, const char *name, const char *value);
/* One word for a shell. */
void stage_text_shell(StageText *text, const char *word);

/* restore_command for an archive, not yet quoted for a file of configuration. */
bool stage_restore_command(const char *program, const char *archive, char *buffer,
                           size_t capacity);

/* ---- stage_conf.c: what the copy takes over from the backup ---- */

/* The value that a file of configuration gives a setting, the last one; false: none. Files it
 * includes are not looked at. */
bool stage_conf_value(const char *text, const char *name, char *buffer, size_t capacity);
/* A list of libraries without those that would act on their own. `ret_dropped`: they, with commas. */
void stage_conf_libraries(const char *list, char *ret_kept, char *ret_dropped, size_t capacity);
/* From the beginning of global/pg_control. */
StageLimits stage_conf_limits(const uint8_t *control, size_t length, int major);

/* The whole text of the copy's configuration. */
bool stage_conf_main(const StageRequest *request, const Stage *stage, char *buffer,
                     size_t capacity);
/* recovery.conf, before 12. */
bool stage_conf_recovery(const StageRequest *request, const Stage *stage, char *buffer,
                         size_t capacity);
