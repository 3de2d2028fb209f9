/* SPDX-License-Identifier: PostgreSQL
 *
 * See slot_report.h. Sizes are bytes and names are those of pg_replication_slots, so that nobody
 * has to translate. "-" stands for what the server says is not there, "unknown" for what could not
 * be asked; in JSON both are null, and "viewed" tells which.
 */
#include "slot_report.h"

#include "walrx/os/log.h"

#include <inttypes.h>

#define FORMAT_VERSION 1
#define VALUE_SIZE 32

typedef struct SlotTexts {
    char restart_lsn[VALUE_SIZE];
    char retained[VALUE_SIZE];
    char pid[VALUE_SIZE];
    char safe_size[VALUE_SIZE];
    const char *wal_status;
} SlotTexts;

/* For a lost slot nothing is kept, whatever its position. */
static bool keeps_wal(const SlotStatus *status)
{
    return status->restart_lsn != LSN_INVALID && status->view.wal != SLOT_WAL_LOST;
}

/* WAL from the slot's position to the server's end. A standby's slot may be ahead of what it has.
 */
static uint64_t retained_bytes(const SlotStatus *status)
{
    return status->server_lsn > status->restart_lsn ? status->server_lsn - status->restart_lsn : 0;
}

static void fill_texts(const SlotStatus *status, SlotTexts *ret)
{
    const SlotViewResult *view = &status->view;
    const char *nothing = status->viewed ? "-" : "unknown";
    *ret = (SlotTexts){.restart_lsn = "-", .retained = "-", .wal_status = slot_wal_name(view->wal)};
    (void)snprintf(ret->pid, VALUE_SIZE, "%s", nothing);
    (void)snprintf(ret->safe_size, VALUE_SIZE, "%s", nothing);
    if (status->restart_lsn != LSN_INVALID)
        (void)lsn_format(status->restart_lsn, ret->restart_lsn);
    if (keeps_wal(status))
        (void)snprintf(ret->retained, VALUE_SIZE, "%" PRIu64, retained_bytes(status));
    if (!status->viewed || ret->wal_status == NULL)
        ret->wal_status = nothing;
    if (view->active_pid != 0)
        (void)snprintf(ret->pid, VALUE_SIZE, "%" PRIu32, view->active_pid);
    if (view->limited)
        (void)snprintf(ret->safe_size, VALUE_SIZE, "%" PRId64, view->safe_size);
}

void slot_print_one(FILE *out, const char *name, const SlotStatus *status)
{
    SlotTexts texts;
    fill_texts(status, &texts);
    (void)fprintf(out, "slot_name         %s\nexists            %s\n", name,
                  status->exists ? "yes" : "no");
    if (!status->exists)
        return;
    (void)fprintf(out, "slot_type         %s\nrestart_lsn       %s\n",
                  status->physical ? "physical" : "logical", texts.restart_lsn);
    if (status->restart_timeline != 0)
        (void)fprintf(out, "restart_timeline  %" PRIu32 "\n", status->restart_timeline);
    else
        (void)fprintf(out, "restart_timeline  -\n");
    (void)fprintf(out,
                  "retained_bytes    %s\nactive_pid        %s\nwal_status        %s\n"
                  "safe_wal_size     %s\n",
                  texts.retained, texts.pid, texts.wal_status, texts.safe_size);
}

void slot_print_heading(FILE *out)
{
    (void)fprintf(out, "%-24s  %-17s  %-14s  %-10s  %-10s  %s\n", "slot_name", "restart_lsn",
                  "retained_bytes", "active_pid", "wal_status", "safe_wal_size");
}

void slot_print_line(FILE *out, const SlotStatus *status)
{
    SlotTexts texts;
    fill_texts(status, &texts);
    (void)fprintf(out, "%-24s  %-17s  %-14s  %-10s  %-10s  %s\n", status->view.name,
                  texts.restart_lsn, texts.retained, texts.pid, texts.wal_status, texts.safe_size);
}

static json_t *number_or_null(bool known, int64_t value)
{
    return known ? json_integer(value) : json_null();
}

json_t *slot_to_json(const char *name, const SlotStatus *status)
{
    const SlotViewResult *view = &status->view;
    char text[LSN_TEXT_SIZE];
    bool positioned = status->restart_lsn != LSN_INVALID;
    const char *type = status->physical ? "physical" : "logical";
    return json_pack(
        "{s:s, s:b, s:s?, s:s?, s:o, s:o, s:s, s:b, s:o, s:s?, s:o}", "slot_name", name, "exists",
        status->exists, "slot_type", status->exists ? type : NULL, "restart_lsn",
        positioned ? lsn_format(status->restart_lsn, text) : NULL, "restart_timeline",
        number_or_null(status->restart_timeline != 0, status->restart_timeline), "retained_bytes",
        number_or_null(keeps_wal(status), (int64_t)retained_bytes(status)), "server_lsn",
        lsn_format(status->server_lsn, (char[LSN_TEXT_SIZE]){0}), "viewed", status->viewed,
        "active_pid", number_or_null(view->active_pid != 0, view->active_pid), "wal_status",
        status->viewed ? slot_wal_name(view->wal) : NULL, "safe_wal_size",
        number_or_null(view->limited, view->safe_size));
}

bool slot_print_json(FILE *out, json_t *slots, Error *err)
{
    json_t *object = json_pack("{s:i, s:o}", "format_version", FORMAT_VERSION, "slots", slots);
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the result");
    (void)json_dumpf(object, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
