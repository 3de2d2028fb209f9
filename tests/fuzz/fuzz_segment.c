/* SPDX-License-Identifier: PostgreSQL
 *
 * File names: a name that is accepted is, letter for letter, the one that is written for what was
 * read.
 */
#include "fuzz.h"
#include "walrx/proto/segment.h"

#define TEXT_SIZE 128

static void check_segment(const char *name, const WalFileName *file)
{
    char again[WAL_FILE_NAME_SIZE];

    for (uint32_t size = SEGMENT_SIZE_MIN; size <= SEGMENT_SIZE_MAX; size *= 2) {
        SegNo segno;

        require(segment_size_valid(size));
        if (!wal_file_segno(file, size, &segno)) {
            require(file->seg >= (UINT64_C(1) << 32) / size);
            continue;
        }
        require(segno <= segment_last(size));
        require(segment_of(segment_start(segno, size), size) == segno);
        if (file->kind != WAL_FILE_SEGMENT)
            continue;
        (void)wal_segment_name(file->timeline, segno, size, file->compression, file->partial,
                               again);
        require(strcmp(name, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[TEXT_SIZE];
    char again[WAL_FILE_NAME_SIZE];
    WalFileName file;

    memset(&file, 0, sizeof(file));
    fuzz_text(data, size, name, sizeof(name));
    if (!wal_file_parse(name, &file)) {
        require(file.timeline == 0);
        return 0;
    }
    require(file.timeline > 0);
    require(strlen(name) < WAL_FILE_NAME_SIZE);
    if (file.kind == WAL_FILE_HISTORY) {
        require(!file.partial);
        require(strlen(name) == 16 + strlen(wal_compression_suffix(file.compression)));
        require(strncmp(name, wal_history_name(file.timeline, again), 16) == 0);
        return 0;
    }
    check_segment(name, &file);
    return 0;
}
