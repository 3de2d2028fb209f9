/* SPDX-License-Identifier: PostgreSQL
 *
 * A branch of made-up records, without files: what the search sees of an archive. Entries are made
 * by the index's own builder.
 */
#pragma once

#include "find_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FAKE_SEGMENT ((uint32_t)1 << 20)
#define FAKE_MAX 256
#define FAKE_LENGTH 64 /* of each record */
#define MINUTE INT64_C(60000000)

typedef struct FakeRecord {
    Lsn lsn;
    WalEventKind kind;
    uint32_t xid;
    PgTime time;
    bool prepared;
    char name[WAL_RESTORE_POINT_NAME_SIZE];
} FakeRecord;

typedef struct Fake {
    FakeRecord records[FAKE_MAX]; /* in order */
    size_t count;
    BranchSpan spans[16];
    Branch branch;
    FindSource source;
    size_t read;    /* segments whose records were asked for */
    size_t entries; /* handed out */
} Fake;

static inline SegNo fake_segno(const FakeRecord *record)
{
    return segment_of(record->lsn + FAKE_LENGTH - 1, FAKE_SEGMENT);
}

static inline void fake_hand_out(const Fake *fake, const FakeRecord *one, const WalkVisit *visit,
                                 bool *ret_go_on)
{
    static uint8_t body[80];
    WalRecordHeader header = {.total_length = WAL_RECORD_HEADER_SIZE + 10, .rmgr = 10};
    SegNo segno = fake_segno(one);
    WalkRecord record = {.lsn = one->lsn,
                         .end = one->lsn + FAKE_LENGTH,
                         .timeline = branch_find(&fake->branch, segno)->timeline,
                         .segno = segno,
                         .major = 15,
                         .header = &header,
                         .body = body,
                         .length = 10};
    memset(body, 0, sizeof(body));
    body[0] = 255;
    body[1] = 8;
    for (int i = 0; i < 8; i++)
        body[2 + i] = (uint8_t)((uint64_t)one->time >> (8 * i));
    if (one->kind == WAL_EVENT_RESTORE_POINT) {
        header.rmgr = 0;
        header.info = 0x70;
        record.length = 2 + 8 + WAL_RESTORE_POINT_NAME_SIZE;
        body[1] = (uint8_t)(record.length - 2);
        header.total_length = WAL_RECORD_HEADER_SIZE + (uint32_t)record.length;
        memcpy(body + 10, one->name, sizeof(one->name));
    } else if (one->kind != WAL_EVENT_NONE) {
        header.rmgr = 1;
        header.info = one->kind == WAL_EVENT_COMMIT ? 0x00 : 0x20;
        header.xid = one->prepared ? 0 : one->xid;
        header.inner_xid = one->prepared ? one->xid : 0;
        if (one->prepared)
            header.info = one->kind == WAL_EVENT_COMMIT ? 0x30 : 0x40;
    }
    if (visit->wants == NULL || !visit->wants(&header)) {
        record.body = NULL;
        record.length = 0;
    }
    *ret_go_on = visit->record(visit->context, &record);
}

static inline bool fake_records(const FindSource *source, SegNo from, SegNo to,
                                const WalkVisit *visit, Lsn *ret_end, Error *err)
{
    Fake *fake = (Fake *)(uintptr_t)source->context;
    bool go_on = true;
    (void)err;
    *ret_end = LSN_INVALID;
    fake->read += (size_t)(to - from + 1);
    for (size_t i = 0; go_on && i < fake->count; i++) {
        SegNo segno = fake_segno(&fake->records[i]);
        if (segno >= from && segno <= to && branch_find(&fake->branch, segno) != NULL)
            fake_hand_out(fake, &fake->records[i], visit, &go_on);
    }
    return true;
}

static inline bool fake_take(void *context, const WalkRecord *record)
{
    index_record(context, record);
    return true;
}

static inline bool fake_entries(const FindSource *source, SegNo from, SegNo to,
                                FindEntryVisit visit, void *context, Error *err)
{
    Fake *fake = (Fake *)(uintptr_t)source->context;
    for (SegNo segno = from; segno <= to; segno++) {
        const BranchSpan *span = branch_find(&fake->branch, segno);
        IndexBuilder *builder = malloc(sizeof(*builder));
        WalkVisit walk = {.wants = index_wants, .record = fake_take, .context = builder};
        Lsn end;
        assert_non_null(builder);
        bool go_on = true;
        if (span != NULL) {
            size_t read = fake->read;
            index_begin(builder, span->timeline, segno);
            assert_true(fake_records(source, segno, segno, &walk, &end, err));
            fake->read = read;
            fake->entries++;
            go_on = visit(context, &builder->entry);
        }
        free(builder);
        if (!go_on)
            break;
    }
    return true;
}

/* One timeline's segments first..last; further spans with fake_span. */
static inline void fake_init(Fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->branch = (Branch){.target = 1, .spans = fake->spans};
    fake->source = (FindSource){.branch = &fake->branch,
                                .segment_size = FAKE_SEGMENT,
                                .entries = fake_entries,
                                .records = fake_records,
                                .context = fake};
}

static inline void fake_span(Fake *fake, Timeline timeline, SegNo first, SegNo last, bool partial)
{
    size_t at = fake->branch.count++;
    assert_true(at < sizeof(fake->spans) / sizeof(fake->spans[0]));
    fake->spans[at] = (BranchSpan){.timeline = timeline,
                                   .first = first,
                                   .last = last,
                                   .joined = at > 0 && fake->spans[at - 1].last + 1 == first,
                                   .partial = partial};
    fake->branch.target = timeline;
}

static inline Lsn fake_lsn(SegNo segno, uint32_t place)
{
    return segment_start(segno, FAKE_SEGMENT) + 40 + (Lsn)place * FAKE_LENGTH;
}

static inline FakeRecord *fake_add(Fake *fake, SegNo segno, uint32_t place, WalEventKind kind,
                                   uint32_t xid, int64_t minute)
{
    assert_true(fake->count < FAKE_MAX);
    FakeRecord *record = &fake->records[fake->count++];
    *record = (FakeRecord){
        .lsn = fake_lsn(segno, place), .kind = kind, .xid = xid, .time = minute * MINUTE};
    return record;
}

static inline void fake_commit(Fake *fake, SegNo segno, uint32_t place, uint32_t xid,
                               int64_t minute)
{
    (void)fake_add(fake, segno, place, WAL_EVENT_COMMIT, xid, minute);
}

static inline void fake_abort(Fake *fake, SegNo segno, uint32_t place, uint32_t xid, int64_t minute)
{
    (void)fake_add(fake, segno, place, WAL_EVENT_ABORT, xid, minute);
}

static inline void fake_other(Fake *fake, SegNo segno, uint32_t place)
{
    (void)fake_add(fake, segno, place, WAL_EVENT_NONE, 0, 0);
}

static inline void fake_point(Fake *fake, SegNo segno, uint32_t place, const char *name,
                              int64_t minute)
{
    FakeRecord *record = fake_add(fake, segno, place, WAL_EVENT_RESTORE_POINT, 0, minute);
    (void)snprintf(record->name, sizeof(record->name), "%s", name);
}
