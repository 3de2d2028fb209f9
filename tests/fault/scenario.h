/* SPDX-License-Identifier: PostgreSQL
 *
 * One run of a receiver without a server: opens and binds an archive, finds where to start, writes
 * three segments of 1 MB and a part of a fourth with flushes in between, stores a history file,
 * compresses with lz4 and two workers, and closes. On a directory of an earlier run it resumes.
 * Through fake_files_table, so that any of its calls can fail.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stdint.h>

/* How often a flush is asked for. */
typedef enum ScenarioPace {
    SCENARIO_OFTEN, /* so often that each segment turns raw */
    SCENARIO_ONCE,  /* in the second segment; the others are only stored compressed */
} ScenarioPace;

/* Makes the WAL. Once, before anything else. */
void scenario_prepare(void);
/* For the runs from now on. */
void scenario_pace(ScenarioPace pace);

/* True when everything was done. */
bool scenario_run(const char *path, Error *err);

/* The highest flush position that was visible, and whether the history file was promised: since
 * scenario_forget. As one number, for power_begin. */
uint64_t scenario_mark(void);
void scenario_forget(void);

/* Ends the test unless the archive holds what the mark promised, and nothing incomplete or wrong
 * under a final name. `what` tells which fault it was. */
void scenario_check(const char *path, uint64_t mark, const char *what);
/* The same after a run that succeeded: everything is there, and nothing is left over. */
void scenario_check_complete(const char *path, const char *what);

/* How many segments the index knew in all these checks. */
uint64_t scenario_index_known(void);
