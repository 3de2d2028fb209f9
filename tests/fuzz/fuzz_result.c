/* SPDX-License-Identifier: PostgreSQL
 *
 * Rows of results. Input: one byte per column with its length (255 = NULL) and then that many
 * bytes, up to the end. Each decoder gets the row; what it accepts survives encoding and decoding
 * again.
 */
#include "fuzz.h"
#include "walrx/proto/result.h"
#include "walrx/proto/timeline.h"

static ResultRow make_row(const uint8_t *data, size_t size)
{
    ResultRow row;
    size_t at = 0;

    memset(&row, 0, sizeof(row));
    while (at < size && row.count < RESULT_MAX_COLUMNS) {
        size_t length = data[at++];

        if (length == 255) {
            row.count++;
            continue;
        }
        length = length < size - at ? length : size - at;
        row.values[row.count] = (const char *)data + at;
        row.lengths[row.count] = length;
        row.count++;
        at += length;
    }
    return row;
}

static void check_refusal(const Error *err)
{
    require(err->class == ERROR_PROTOCOL && err->message[0] != '\0');
}

static void check_identify_system(const ResultRow *row)
{
    IdentifySystemResult value;
    IdentifySystemResult back;
    ResultText text;
    Error err;

    if (!result_identify_system(row, &value, &err)) {
        check_refusal(&err);
        return;
    }
    require(value.system_identifier > 0 && value.timeline > 0);
    result_identify_system_encode(&value, &text);
    require(result_identify_system(&text.row, &back, &err));
    require(back.system_identifier == value.system_identifier && back.timeline == value.timeline);
    require(back.flush_lsn == value.flush_lsn && back.has_database == value.has_database);
}

static void check_read_slot(const ResultRow *row)
{
    ReadSlotResult value;
    ReadSlotResult back;
    ResultText text;
    Error err;

    if (!result_read_slot(row, &value, &err)) {
        check_refusal(&err);
        return;
    }
    require(value.exists || (!value.physical && value.restart_lsn == LSN_INVALID));
    require((value.restart_lsn == LSN_INVALID) == (value.restart_timeline == 0));
    result_read_slot_encode(&value, &text);
    require(result_read_slot(&text.row, &back, &err));
    require(back.exists == value.exists && back.physical == value.physical);
    require(back.restart_lsn == value.restart_lsn);
    require(back.restart_timeline == value.restart_timeline);
}

static void check_slot_view(const ResultRow *row)
{
    SlotViewResult value;
    Error err;

    if (!result_slot_view(row, &value, &err)) {
        check_refusal(&err);
        return;
    }
    require(value.name[0] != '\0' && strlen(value.name) < SLOT_NAME_SIZE);
    require(value.wal >= SLOT_WAL_NONE && value.wal <= SLOT_WAL_OTHER);
    require(value.limited || value.safe_size == 0);
}

static void check_end_of_timeline(const ResultRow *row)
{
    EndOfTimelineResult value;
    EndOfTimelineResult back;
    ResultText text;
    Error err;

    if (!result_end_of_timeline(row, &value, &err)) {
        check_refusal(&err);
        return;
    }
    result_end_of_timeline_encode(&value, &text);
    require(result_end_of_timeline(&text.row, &back, &err));
    require(back.next_timeline == value.next_timeline && back.next_start == value.next_start);
}

static void check_timeline_history(const ResultRow *row)
{
    TimelineHistoryResult value;
    char name[WAL_FILE_NAME_SIZE];
    Error err;

    if (!result_timeline_history(row, 2, &value, &err)) {
        check_refusal(&err);
        return;
    }
    (void)wal_history_name(2, name);
    require(value.file_name_length == strlen(name));
    require(memcmp(value.file_name, name, value.file_name_length) == 0);
    require(value.content != NULL && value.content_length <= TIMELINE_HISTORY_MAX_BYTES);
}

static void check_settings(const ResultRow *row)
{
    ResultText text;
    uint32_t size;
    uint32_t back;
    unsigned mode;
    Error err;

    if (result_segment_size(row, &size, &err)) {
        require(segment_size_valid(size));
        result_segment_size_encode(size, &text);
        require(result_segment_size(&text.row, &back, &err) && back == size);
    } else {
        check_refusal(&err);
    }
    if (result_directory_mode(row, &mode, &err))
        require(mode <= 0777);
    else
        check_refusal(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ResultRow row = make_row(data, size);

    check_identify_system(&row);
    check_read_slot(&row);
    check_slot_view(&row);
    check_end_of_timeline(&row);
    check_timeline_history(&row);
    check_settings(&row);
    return 0;
}
