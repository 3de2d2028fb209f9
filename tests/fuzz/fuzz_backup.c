/* SPDX-License-Identifier: PostgreSQL
 *
 * What a base backup says of itself. The first byte chooses: a backup_label (or backup history
 * file), or the two ends of a manifest, which overlap by as much as the byte says. What is accepted
 * keeps what the headers promise, and a label survives being written again.
 */
#include "base_backup_manifest.h"
#include "fuzz.h"

#include "walrx/proto/backup_label.h"

#include <string.h>

#define CHOICE_MANIFEST 0x80
#define SEGMENT_SIZE ((uint32_t)1 << 24)

static void check_label(const BackupLabel *label)
{
    require(label->start != LSN_INVALID && label->start <= LSN_LAST && label->timeline > 0);
    require(label->checkpoint == LSN_INVALID || label->checkpoint >= label->start);
    require((label->stop == LSN_INVALID) == (label->stop_timeline == 0));
    require(label->stop == LSN_INVALID ||
            (label->stop >= label->start && label->stop_timeline >= label->timeline));
    for (const char *c = label->label; *c != '\0'; c++)
        require((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_round_trip(const BackupLabel *label)
{
    static char text[4 * BACKUP_LABEL_NAME_SIZE];
    char name[WAL_FILE_NAME_SIZE];
    BackupLabel back;
    size_t length;
    Error err;
    WalFileName file;
    require(backup_history_format(label, SEGMENT_SIZE, text, sizeof(text), &length));
    require(backup_label_parse(text, length, &back, &err));
    require(back.start == label->start && back.timeline == label->timeline);
    require(back.stop == label->stop && back.stop_timeline == label->stop_timeline);
    require(back.checkpoint == label->checkpoint && back.from_standby == label->from_standby);
    require(back.incremental_from == label->incremental_from);
    require(strcmp(back.label, label->label) == 0);
    require(strcmp(back.start_time, label->start_time) == 0);
    require(strcmp(back.stop_time, label->stop_time) == 0);
    require(wal_file_parse(backup_history_name(label, SEGMENT_SIZE, name), &file));
    require(file.kind == WAL_FILE_BACKUP_HISTORY);
}

static void try_manifest(const char *text, size_t length, size_t overlap)
{
    BackupManifest manifest;
    Error err;
    size_t head = length < MANIFEST_HEAD_BYTES ? length : MANIFEST_HEAD_BYTES;
    size_t cut = head > overlap ? head - overlap : 0;
    if (!backup_manifest_parse(text, head, text + cut, length - cut, &manifest, &err)) {
        require(err.class == ERROR_ARCHIVE && err.message[0] != '\0');
        return;
    }
    require(manifest.start != LSN_INVALID && manifest.start <= manifest.stop);
    require(manifest.stop <= LSN_LAST);
    require(manifest.timeline > 0 && manifest.timeline <= manifest.stop_timeline);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BackupLabel label;
    Error err;
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    if ((data[0] & CHOICE_MANIFEST) != 0) {
        try_manifest(text, size - 1, (size_t)(data[0] & ~CHOICE_MANIFEST) * 64);
        return 0;
    }
    if (!backup_label_parse(text, size - 1, &label, &err)) {
        require(err.class == ERROR_PROTOCOL && err.message[0] != '\0');
        return 0;
    }
    check_label(&label);
    check_round_trip(&label);
    return 0;
}
