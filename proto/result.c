/* SPDX-License-Identifier: PostgreSQL
 *
 * Rows of text to values and back. Each column is first copied, bounded, into a terminated buffer,
 * so that the strict readers of numbers and LSNs see exactly what the server sent and nothing
 * behind. Source: walsender.c, PostgreSQL 15.
 */
#include "walrx/proto/result.h"

#include "walrx/base/parse.h"
#include "walrx/proto/timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMN_TEXT_SIZE 64 /* longer than any value that is not free text */

typedef struct ColumnText {
    char text[COLUMN_TEXT_SIZE];
} ColumnText;

/* Decoding --------------------------------------------------------------------------------------
 */

static bool check_columns(const ResultRow *row, size_t needed, const char *command, Error *err)
{
    if (row->count >= needed)
        return true;
    return error_set(err, ERROR_PROTOCOL, "invalid answer to %s: %zu columns instead of %zu",
                     command, row->count, needed);
}

static bool column_error(Error *err, const char *command, const char *column, const char *problem)
{
    return error_set(err, ERROR_PROTOCOL, "invalid answer to %s: column \"%s\" %s", command, column,
                     problem);
}

/* False (and *err filled) when the column is NULL, too long for a value or holds a zero byte. */
static bool take_column(const ResultRow *row, size_t index, const char *command, const char *column,
                        ColumnText *ret, Error *err)
{
    const char *value = row->values[index];
    size_t length = row->lengths[index];

    if (value == NULL)
        return column_error(err, command, column, "is null");
    if (length >= COLUMN_TEXT_SIZE)
        return column_error(err, command, column, "is too long");
    if (length > 0 && memchr(value, '\0', length) != NULL)
        return column_error(err, command, column, "holds a zero byte");
    if (length > 0)
        memcpy(ret->text, value, length);
    ret->text[length] = '\0';
    return true;
}

static bool take_number(const ResultRow *row, size_t index, const char *command, const char *column,
                        uint64_t max, uint64_t *ret, Error *err)
{
    ColumnText value;

    if (!take_column(row, index, command, column, &value, err))
        return false;
    if (!parse_u64(value.text, 1, max, ret))
        return column_error(err, command, column, "is not a positive number in range");
    return true;
}

static bool take_timeline(const ResultRow *row, size_t index, const char *command,
                          const char *column, Timeline *ret, Error *err)
{
    uint64_t number;

    if (!take_number(row, index, command, column, UINT32_MAX, &number, err))
        return false;
    *ret = (Timeline)number;
    return true;
}

static bool take_lsn(const ResultRow *row, size_t index, const char *command, const char *column,
                     Lsn *ret, Error *err)
{
    ColumnText value;

    if (!take_column(row, index, command, column, &value, err))
        return false;
    if (!lsn_parse(value.text, ret))
        return column_error(err, command, column, "is not a WAL location");
    return true;
}

bool result_identify_system(const ResultRow *row, IdentifySystemResult *ret, Error *err)
{
    static const char COMMAND[] = "IDENTIFY_SYSTEM";
    IdentifySystemResult value = {0};

    if (!check_columns(row, 4, COMMAND, err) ||
        !take_number(row, 0, COMMAND, "systemid", UINT64_MAX, &value.system_identifier, err) ||
        !take_timeline(row, 1, COMMAND, "timeline", &value.timeline, err) ||
        !take_lsn(row, 2, COMMAND, "xlogpos", &value.flush_lsn, err))
        return false;
    value.has_database = row->values[3] != NULL;
    *ret = value;
    return true;
}

bool result_read_slot(const ResultRow *row, ReadSlotResult *ret, Error *err)
{
    static const char COMMAND[] = "READ_REPLICATION_SLOT";
    ReadSlotResult value = {0};
    ColumnText type;

    if (!check_columns(row, 3, COMMAND, err))
        return false;
    if (row->values[0] == NULL) {
        if (row->values[1] != NULL || row->values[2] != NULL)
            return column_error(err, COMMAND, "slot_type", "is null");
        *ret = value;
        return true;
    }
    if (!take_column(row, 0, COMMAND, "slot_type", &type, err))
        return false;
    value.exists = true;
    value.physical = strcmp(type.text, "physical") == 0;
    if (!value.physical && strcmp(type.text, "logical") != 0)
        return column_error(err, COMMAND, "slot_type", "is neither physical nor logical");
    if (row->values[1] == NULL && row->values[2] == NULL) {
        *ret = value;
        return true;
    }
    if (!take_lsn(row, 1, COMMAND, "restart_lsn", &value.restart_lsn, err) ||
        !take_timeline(row, 2, COMMAND, "restart_tli", &value.restart_timeline, err))
        return false;
    if (value.restart_lsn == LSN_INVALID)
        return column_error(err, COMMAND, "restart_lsn", "is 0/0");
    *ret = value;
    return true;
}

static const char *const SLOT_WAL_NAMES[] = {
    [SLOT_WAL_RESERVED] = "reserved",     [SLOT_WAL_EXTENDED] = "extended",
    [SLOT_WAL_UNRESERVED] = "unreserved", [SLOT_WAL_LOST] = "lost",
    [SLOT_WAL_OTHER] = "other",
};

const char *slot_wal_name(SlotWal wal)
{
    return SLOT_WAL_NAMES[wal];
}

static SlotWal slot_wal_of(const char *name)
{
    for (int wal = SLOT_WAL_RESERVED; wal < SLOT_WAL_OTHER; wal++) {
        if (strcmp(name, SLOT_WAL_NAMES[wal]) == 0)
            return (SlotWal)wal;
    }
    return SLOT_WAL_OTHER;
}

/* The columns that may be null. */
static bool take_slot_state(const ResultRow *row, const char *command, SlotViewResult *value,
                            Error *err)
{
    ColumnText text;
    uint64_t number = 0;

    if (row->values[2] != NULL &&
        !take_lsn(row, 2, command, "restart_lsn", &value->restart_lsn, err))
        return false;
    if (row->values[3] != NULL &&
        !take_number(row, 3, command, "active_pid", INT32_MAX, &number, err))
        return false;
    value->active_pid = (uint32_t)number;
    if (row->values[4] != NULL) {
        if (!take_column(row, 4, command, "wal_status", &text, err))
            return false;
        value->wal = slot_wal_of(text.text);
    }
    if (row->values[5] == NULL)
        return true;
    if (!take_column(row, 5, command, "safe_wal_size", &text, err))
        return false;
    bool negative = text.text[0] == '-';
    if (!parse_u64(text.text + (negative ? 1 : 0), 0, INT64_MAX, &number))
        return column_error(err, command, "safe_wal_size", "is not a number in range");
    value->limited = true;
    value->safe_size = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

bool result_slot_view(const ResultRow *row, SlotViewResult *ret, Error *err)
{
    static const char COMMAND[] = "pg_replication_slots";
    SlotViewResult value = {.wal = SLOT_WAL_NONE};
    ColumnText name;
    ColumnText type;

    if (!check_columns(row, SLOT_VIEW_COLUMNS, COMMAND, err) ||
        !take_column(row, 0, COMMAND, "slot_name", &name, err) ||
        !take_column(row, 1, COMMAND, "slot_type", &type, err) ||
        !take_slot_state(row, COMMAND, &value, err))
        return false;
    if (name.text[0] == '\0')
        return column_error(err, COMMAND, "slot_name", "is empty");
    (void)snprintf(value.name, sizeof(value.name), "%s", name.text);
    value.physical = strcmp(type.text, "physical") == 0;
    *ret = value;
    return true;
}

bool result_timeline_history(const ResultRow *row, Timeline timeline, TimelineHistoryResult *ret,
                             Error *err)
{
    static const char COMMAND[] = "TIMELINE_HISTORY";
    char expected[WAL_FILE_NAME_SIZE];
    ColumnText name;

    if (!check_columns(row, 2, COMMAND, err) ||
        !take_column(row, 0, COMMAND, "filename", &name, err))
        return false;
    if (strcmp(name.text, wal_history_name(timeline, expected)) != 0) {
        (void)column_error(err, COMMAND, "filename", "is not the name of that history file");
        return error_detail(err, "It should be \"%s\".", expected);
    }
    if (row->values[1] == NULL)
        return column_error(err, COMMAND, "content", "is null");
    if (row->lengths[1] > TIMELINE_HISTORY_MAX_BYTES)
        return column_error(err, COMMAND, "content", "is too long");
    *ret = (TimelineHistoryResult){
        .file_name = row->values[0],
        .file_name_length = row->lengths[0],
        .content = row->values[1],
        .content_length = row->lengths[1],
    };
    return true;
}

bool result_end_of_timeline(const ResultRow *row, EndOfTimelineResult *ret, Error *err)
{
    static const char COMMAND[] = "START_REPLICATION";
    EndOfTimelineResult value;

    if (!check_columns(row, 2, COMMAND, err) ||
        !take_timeline(row, 0, COMMAND, "next_tli", &value.next_timeline, err) ||
        !take_lsn(row, 1, COMMAND, "next_tli_startpos", &value.next_start, err))
        return false;
    *ret = value;
    return true;
}

bool result_segment_size(const ResultRow *row, uint32_t *ret, Error *err)
{
    static const char COMMAND[] = "SHOW";
    static const char COLUMN[] = "wal_segment_size";
    ColumnText text;
    uint64_t bytes;

    if (!check_columns(row, 1, COMMAND, err) || !take_column(row, 0, COMMAND, COLUMN, &text, err))
        return false;
    if (!parse_size(text.text, 1, &bytes) || !segment_size_valid(bytes))
        return column_error(err, COMMAND, COLUMN, "is not a power of two from 1MB to 1GB");
    *ret = (uint32_t)bytes;
    return true;
}

bool result_directory_mode(const ResultRow *row, unsigned *ret, Error *err)
{
    static const char COMMAND[] = "SHOW";
    static const char COLUMN[] = "data_directory_mode";
    ColumnText text;
    unsigned mode = 0;

    if (!check_columns(row, 1, COMMAND, err) || !take_column(row, 0, COMMAND, COLUMN, &text, err))
        return false;
    /* guc.c shows it by "%04o": a zero and one digit each for owner, group and others. */
    if (strlen(text.text) != 4 || text.text[0] != '0' || strspn(text.text, "01234567") != 4)
        return column_error(err, COMMAND, COLUMN, "is not an octal mode like 0700");
    for (size_t i = 1; i < 4; i++)
        mode = mode * 8 + (unsigned)(text.text[i] - '0');
    *ret = mode;
    return true;
}

/* Encoding --------------------------------------------------------------------------------------
 */

/* Appends a column whose text was just printed at buffer + used; the offset of the next one. Every
 * value of this module together is far shorter than the buffer. */
static size_t add_column(ResultText *ret, size_t used)
{
    size_t index = ret->row.count++;

    ret->row.values[index] = ret->buffer + used;
    ret->row.lengths[index] = strlen(ret->buffer + used);
    return used + ret->row.lengths[index] + 1;
}

static size_t add_number(ResultText *ret, size_t used, uint64_t value)
{
    (void)snprintf(ret->buffer + used, sizeof(ret->buffer) - used, "%" PRIu64, value);
    return add_column(ret, used);
}

static size_t add_lsn(ResultText *ret, size_t used, Lsn lsn)
{
    char text[LSN_TEXT_SIZE];

    (void)snprintf(ret->buffer + used, sizeof(ret->buffer) - used, "%s", lsn_format(lsn, text));
    return add_column(ret, used);
}

static size_t add_text(ResultText *ret, size_t used, const char *text)
{
    (void)snprintf(ret->buffer + used, sizeof(ret->buffer) - used, "%s", text);
    return add_column(ret, used);
}

static void add_null(ResultText *ret)
{
    ret->row.values[ret->row.count] = NULL;
    ret->row.lengths[ret->row.count] = 0;
    ret->row.count++;
}

void result_identify_system_encode(const IdentifySystemResult *value, ResultText *ret)
{
    ret->row.count = 0;
    size_t used = add_number(ret, 0, value->system_identifier);

    used = add_number(ret, used, value->timeline);
    used = add_lsn(ret, used, value->flush_lsn);
    if (value->has_database)
        (void)add_text(ret, used, "postgres");
    else
        add_null(ret);
}

void result_read_slot_encode(const ReadSlotResult *value, ResultText *ret)
{
    size_t used = 0;

    ret->row.count = 0;
    if (value->exists)
        used = add_text(ret, used, value->physical ? "physical" : "logical");
    else
        add_null(ret);
    if (value->exists && value->restart_lsn != LSN_INVALID) {
        used = add_lsn(ret, used, value->restart_lsn);
        (void)add_number(ret, used, value->restart_timeline);
    } else {
        add_null(ret);
        add_null(ret);
    }
}

void result_end_of_timeline_encode(const EndOfTimelineResult *value, ResultText *ret)
{
    ret->row.count = 0;
    size_t used = add_number(ret, 0, value->next_timeline);

    (void)add_lsn(ret, used, value->next_start);
}

void result_segment_size_encode(uint32_t segment_size, ResultText *ret)
{
    char text[PARSE_TEXT_SIZE];

    ret->row.count = 0;
    (void)add_text(ret, 0, format_size(segment_size, text));
}
