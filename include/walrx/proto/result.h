/* SPDX-License-Identifier: PostgreSQL
 *
 * The answers to replication commands: rows of text columns, both directions. A row is given as
 * values and lengths so that this module needs no client library; NULL pointers are SQL NULLs.
 * Source: src/backend/replication/walsender.c (IdentifySystem, ReadReplicationSlot,
 * SendTimeLineHistory, StartReplication), PostgreSQL 15.
 *
 * All decoders refuse with ERROR_PROTOCOL: missing columns, NULL where none may be, text that is
 * not the value. More columns than known are accepted (newer servers). Pure.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/command.h"
#include "walrx/proto/lsn.h"
#include "walrx/proto/segment.h"

#include <stddef.h>
#include <stdint.h>

#define RESULT_MAX_COLUMNS 8

/* Borrowed. values[i] NULL = SQL NULL; lengths[i] without a final NUL (values may lack one). */
typedef struct ResultRow {
    size_t count;
    const char *values[RESULT_MAX_COLUMNS];
    size_t lengths[RESULT_MAX_COLUMNS];
} ResultRow;

typedef struct IdentifySystemResult {
    uint64_t system_identifier;
    Timeline timeline;
    Lsn flush_lsn;     /* xlogpos: flushed end of WAL; on a standby, replayed/received */
    bool has_database; /* dbname not NULL: a connection that is database specific */
} IdentifySystemResult;

/* READ_REPLICATION_SLOT: all columns NULL when there is no such slot. */
typedef struct ReadSlotResult {
    bool exists;
    bool physical;
    Lsn restart_lsn;           /* LSN_INVALID: no WAL reserved yet */
    Timeline restart_timeline; /* 0 with LSN_INVALID */
} ReadSlotResult;

/* What pg_replication_slots says about the WAL behind a slot (wal_status, PostgreSQL 13 and up). */
typedef enum SlotWal {
    SLOT_WAL_NONE, /* null: nothing reserved; always so before PostgreSQL 13 */
    SLOT_WAL_RESERVED,
    SLOT_WAL_EXTENDED,   /* beyond max_wal_size, kept by the slot or wal_keep_size */
    SLOT_WAL_UNRESERVED, /* the next checkpoint may remove it */
    SLOT_WAL_LOST,
    SLOT_WAL_OTHER, /* a word of a newer server */
} SlotWal;

/* The row of result_slot_view: slot_name, slot_type, restart_lsn::text, active_pid, wal_status,
 * safe_wal_size. */
#define SLOT_VIEW_COLUMNS 6
typedef struct SlotViewResult {
    char name[SLOT_NAME_SIZE];
    bool physical;
    Lsn restart_lsn;     /* LSN_INVALID: null */
    uint32_t active_pid; /* 0: not in use */
    SlotWal wal;
    bool limited;      /* safe_wal_size is not null */
    int64_t safe_size; /* bytes of WAL until the slot is in danger; below 0 when it is */
} SlotViewResult;

typedef struct TimelineHistoryResult {
    const char *file_name; /* borrowed, not terminated */
    size_t file_name_length;
    const char *content; /* borrowed, not terminated */
    size_t content_length;
} TimelineHistoryResult;

typedef struct EndOfTimelineResult {
    Timeline next_timeline;
    Lsn next_start;
} EndOfTimelineResult;

bool result_identify_system(const ResultRow *row, IdentifySystemResult *ret, Error *err) MUST_CHECK;
bool result_read_slot(const ResultRow *row, ReadSlotResult *ret, Error *err) MUST_CHECK;
bool result_slot_view(const ResultRow *row, SlotViewResult *ret, Error *err) MUST_CHECK;
/* "reserved", "lost", ...; NULL for SLOT_WAL_NONE. */
const char *slot_wal_name(SlotWal wal);
/* Refuses a file name that is not the one of `timeline`, and content above
 * TIMELINE_HISTORY_MAX_BYTES. */
bool result_timeline_history(const ResultRow *row, Timeline timeline, TimelineHistoryResult *ret,
                             Error *err) MUST_CHECK;
bool result_end_of_timeline(const ResultRow *row, EndOfTimelineResult *ret, Error *err) MUST_CHECK;
/* SHOW wal_segment_size: "16MB", "1GB". */
bool result_segment_size(const ResultRow *row, uint32_t *ret, Error *err) MUST_CHECK;
/* SHOW data_directory_mode: octal "0700" or "0750" (server >= 11). */
bool result_directory_mode(const ResultRow *row, unsigned *ret, Error *err) MUST_CHECK;

/* The sender's side: text for a row. `row` points into `text`. False when it does not fit. */
typedef struct ResultText {
    ResultRow row;
    char buffer[512];
} ResultText;
void result_identify_system_encode(const IdentifySystemResult *value, ResultText *ret);
void result_read_slot_encode(const ReadSlotResult *value, ResultText *ret);
void result_end_of_timeline_encode(const EndOfTimelineResult *value, ResultText *ret);
void result_segment_size_encode(uint32_t segment_size, ResultText *ret);
