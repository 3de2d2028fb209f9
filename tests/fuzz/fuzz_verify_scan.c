/* SPDX-License-Identifier: PostgreSQL
 *
 * The verifier's scan over arbitrary bytes, as a segment that is cut or as a partial. The first
 * byte chooses that, the pieces and the repair, as in fuzz_walscan. However the bytes are cut, the
 * same is found, and every problem lies where the bytes are.
 */
#include "fuzz.h"
#include "verify_internal.h"
#include "wal_repair.h"

#define INPUT_MAX (8 * WAL_PAGE_SIZE)
#define CHOICE_REPAIR 0x80
#define CHOICE_PARTIAL 0x40
#define SEGMENT_END (REPAIR_START + REPAIR_SEGMENT)

static uint8_t wal[INPUT_MAX];

static void check_problems(const VerifyFound *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const VerifyProblem *problem = &found->problems[i];

        require(problem->begin >= REPAIR_START && problem->begin <= problem->lsn);
        require(problem->lsn <= problem->end && problem->end <= SEGMENT_END);
        require(problem->offset == problem->lsn - REPAIR_START);
        require(problem->message[0] != '\0');
    }
}

static void scan(VerifyScan *scan, VerifyFound *found, size_t length, size_t piece, bool partial)
{
    static Archive archive = {.segment_size = REPAIR_SEGMENT, .system_identifier = REPAIR_SYSTEM};
    static VerifyLine line = {.timeline = 1, .known = true, .history = {.target = 1}};
    static VerifyPlan plan = {
        .archive = &archive, .lines = &line, .line_count = 1, .magic = 0xD110};

    verify_scan_begin(scan, &plan, found, REPAIR_START);
    verify_scan_file(scan, &line, "000000010000000000000005", REPAIR_START, partial);
    for (size_t at = 0; at < length; at += piece)
        verify_scan_feed(scan, wal + at, length - at < piece ? length - at : piece);
    if (partial)
        verify_scan_flush(scan);
    else
        verify_scan_cut(scan, "the file ends", "");
    verify_scan_end(scan);
    require(scan->tail.end >= REPAIR_START && scan->tail.end <= REPAIR_START + length + 7);
    require(partial || found->total > 0);
    check_problems(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static VerifyScan whole;
    static VerifyScan pieces;
    VerifyFound found[2] = {{.problems = NULL}, {.problems = NULL}};

    if (size < 2 || size - 1 > sizeof(wal))
        return 0;
    size_t length = size - 1;
    bool partial = (data[0] & CHOICE_PARTIAL) != 0;

    memcpy(wal, data + 1, length);
    if ((data[0] & CHOICE_REPAIR) != 0) {
        repair_pages(wal, length);
        repair_records(wal, length);
    }
    scan(&whole, &found[0], length, length, partial);
    scan(&pieces, &found[1], length, 1 + (data[0] & 0x3F) * 131U, partial);
    require(whole.records == pieces.records && whole.tail.end == pieces.tail.end);
    require(found[0].total == found[1].total);
    verify_found_free(&found[0]);
    verify_found_free(&found[1]);
    return 0;
}
