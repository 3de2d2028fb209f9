/* SPDX-License-Identifier: PostgreSQL
 *
 * See fixture.h.
 */
#include "fixture.h"

#include "fake_files.h"

#include "../unit/proto/walmaker.h"
#include "walrx/archive/segment_file.h"
#include "walrx/codec/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RECORDS 10000

Fixture fixture;

static uint8_t wal[FIXTURE_LENGTH + MAKER_RECORD_MAX];
static Lsn begins[MAX_RECORDS];
static Lsn ends[MAX_RECORDS];
static size_t record_count;

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "fixture: %s\n", what);
    abort();
}

static void make_wal(void)
{
    WalMaker maker = maker_over(wal, sizeof(wal), FIXTURE_START, FIXTURE_SIZE);
    while (maker.length < FIXTURE_LENGTH) {
        uint32_t length = 60 + (uint32_t)record_count * 37 % 3000;
        need(record_count < MAX_RECORDS, "too many records");
        begins[record_count] = maker_record(&maker, length, 10, 0);
        ends[record_count++] = maker_end(&maker);
    }
}

int fixture_setup(void **state)
{
    (void)state;
    if (record_count == 0)
        make_wal();
    scratch_make(fixture.path);
    fake_files_reset();
    need(archive_open(fixture.path, true, fake_files_table(), &fixture.archive, &fixture.error) &&
             archive_bind(&fixture.archive, MAKER_SYSTEM, FIXTURE_SIZE, false, &fixture.error),
         fixture.error.message);
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    fake_files_reset();
    archive_close(&fixture.archive);
    scratch_remove(fixture.path);
    return 0;
}

const uint8_t *fixture_wal(Lsn lsn)
{
    return wal + (lsn - FIXTURE_START);
}

Lsn fixture_record_from(Lsn lsn)
{
    size_t i = 0;
    while (begins[i] < lsn)
        i++;
    return begins[i];
}

Lsn fixture_record_before(Lsn lsn)
{
    Lsn end = LSN_INVALID;
    for (size_t i = 0; i < record_count && ends[i] <= lsn; i++)
        end = ends[i];
    return end;
}

size_t fixture_records(Lsn begin, Lsn end)
{
    size_t count = 0;
    for (size_t i = 0; i < record_count; i++)
        count += begins[i] >= begin && ends[i] <= end;
    return count;
}

const char *fixture_name(SegNo segno, WalCompression form, bool partial)
{
    static char names[8][WAL_FILE_NAME_SIZE];
    static unsigned next;
    return wal_segment_name(1, segno, FIXTURE_SIZE, form, partial, names[next++ % 8]);
}

typedef struct Buffer {
    uint8_t *bytes;
    size_t length;
} Buffer;

static bool collect(void *context, const void *data, size_t length, Error *err)
{
    Buffer *buffer = context;
    (void)err;
    buffer->bytes = realloc(buffer->bytes, buffer->length + length + 1);
    need(buffer->bytes != NULL, "realloc");
    memcpy(buffer->bytes + buffer->length, data, length);
    buffer->length += length;
    return true;
}

void fixture_archive(SegNo segno, WalCompression form, bool partial, const void *data,
                     size_t length)
{
    const char *name = fixture_name(segno, form, partial);
    CompressSpec spec = {.method = form, .level = 1};
    Buffer packed = {.bytes = NULL};
    Error error;
    if (form == WAL_RAW) {
        scratch_write(fixture.path, name, data, length);
        return;
    }
    Encoder *encoder = encoder_new(spec, length, CODEC_MEMORY_ANY, &error);
    need(encoder != NULL && encoder_write(encoder, data, length, collect, &packed, &error) &&
             encoder_finish(encoder, collect, &packed, &error),
         "encoder");
    encoder_free(encoder);
    scratch_write(fixture.path, name, packed.bytes, packed.length);
    free(packed.bytes);
}

bool fixture_holds(SegNo segno, WalCompression form, bool partial, const void *data, size_t length)
{
    Buffer content = {.bytes = NULL};
    Error error;
    bool same = segment_file_read(&fixture.archive.dir, fixture_name(segno, form, partial), form,
                                  collect, &content, &error) &&
                content.length == length &&
                (length == 0 || memcmp(content.bytes, data, length) == 0);
    free(content.bytes);
    return same;
}
