/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts of staging. Private to src/restore.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/restore/stage.h"

/* A file that only an unfinished copy has. */
#define STAGE_CLAIM "walrx_stage_unfinished"

#define STAGE_FIRST_MAJOR 10
#define STAGE_SIGNAL_MAJOR 12 /* recovery.signal instead of recovery.conf from here on */

/* ---- stage_text.c ---- */

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

/* restore_command for an archive, not yet quoted for a file of configuration. `more`: as
 * find_restore_options has it. */
bool stage_text_restore_command(const char *program, const char *archive, const char *more,
                                char *buffer, size_t capacity);

/* ---- stage_conf.c: the copy's configuration ---- */

/* The value that a file of configuration gives a setting, the last one; false: none. Files it
 * includes are not looked at. */
bool stage_conf_value(const char *text, const char *name, char *buffer, size_t capacity);
/* A list of libraries without those that would act on their own; `ret_dropped`: those. */
void stage_conf_libraries(const char *list, char *ret_kept, char *ret_dropped, size_t capacity);
/* From the beginning of global/pg_control. */
StageLimits stage_conf_limits(const uint8_t *control, size_t length, int major);

/* The whole text of postgresql.conf, and of recovery.conf (before 12). */
bool stage_conf_main(const StageRequest *request, const Stage *stage, char *buffer,
                     size_t capacity);
bool stage_conf_recovery(const StageRequest *request, const Stage *stage, char *buffer,
                         size_t capacity);

/* ---- the steps of the check; each fills its part of *stage ---- */

/* stage_place.c: paths, and whether the copy can lie where it is to. */
/* Is one of the two directories, links resolved, the other one or inside of it? They need not
 * exist. */
bool stage_place_overlap(const char *one, const char *other);
bool stage_place_check(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;
/* Whose the copy will be, and may that user do what it takes? */
bool stage_place_owner(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;

/* stage_backup.c: is it one that a server can start from, and what does it bring along? */
bool stage_backup_check(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;

/* stage_tablespace.c */
bool stage_tablespace_check(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;

/* stage_wal.c: can the archive take the backup to the target? */
bool stage_wal_check(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;

/* stage_wal_read.c: facts that only the records tell. Between the segments `first` and `last`. */
/* The end of the record that says the backup which began at `start` is complete; LSN_INVALID: there
 * is none. */
bool stage_wal_backup_end(const Archive *archive, const Branch *branch, Lsn start, SegNo first,
                          SegNo last, Lsn *ret, Error *err) MUST_CHECK;
/* Replaying CREATE TABLESPACE would use the directory that the primary uses. ERROR_OPERATOR naming
 * the first one, before `end`, that would do harm or cannot be replayed here. */
bool stage_wal_tablespaces(const Archive *archive, const Branch *branch, Lsn begin, Lsn end,
                           SegNo first, SegNo last, Error *err) MUST_CHECK;

/* stage_programs.c: the server's programs of the backup's version, and a port. */
bool stage_programs_find(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;
uint16_t stage_programs_port(void);

/* stage_copy.c: which files of a backup go into the copy. */
TreeChoice stage_copy_choose(void *context, const char *path, mode_t mode, bool is_link);
