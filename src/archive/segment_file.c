/* SPDX-License-Identifier: PostgreSQL
 *
 * See segment_file.h.
 */
#include "walrx/archive/segment_file.h"

#include "walrx/proto/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define READ_CHUNK ((size_t)256 * 1024)

static bool decode_all(const Dir *dir, const char *name, int fd, Decoder *decoder, char *chunk,
                       CodecSink sink, void *context, Error *err)
{
    uint64_t offset = 0;
    for (;;) {
        size_t count;
        if (!file_read_at(dir, name, fd, chunk, READ_CHUNK, offset, &count, err))
            return false;
        if (count > 0 && !decoder_write(decoder, chunk, count, sink, context, err))
            return false;
        offset += count;
        if (count < READ_CHUNK)
            return decoder_finish(decoder, err);
    }
}

bool segment_file_read(const Dir *dir, const char *name, WalCompression form, CodecSink sink,
                       void *context, Error *err)
{
    int fd;
    if (!file_open(dir, name, FILE_READ, &fd, err))
        return false;
    Decoder *decoder = decoder_new(form, err);
    char *chunk = malloc(READ_CHUNK);
    bool ok = decoder != NULL;
    if (ok && chunk == NULL)
        ok = error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    if (ok && !decode_all(dir, name, fd, decoder, chunk, sink, context, err)) {
        ok = false;
        if (err->class == ERROR_ARCHIVE)
            error_detail(err, "File \"%s/%s\".", dir->path, name);
    }
    free(chunk);
    decoder_free(decoder);
    file_close(dir, fd);
    return ok;
}

typedef struct Head {
    uint8_t bytes[WAL_PAGE_LONG_HEADER];
    size_t length;
} Head;

/* Takes the first bytes, then ends the reading by failing. */
static bool take_head(void *context, const void *data, size_t length, Error *err)
{
    Head *head = context;
    size_t wanted = sizeof(head->bytes) - head->length;
    size_t taken = length < wanted ? length : wanted;
    memcpy(head->bytes + head->length, data, taken);
    head->length += taken;
    return head->length < sizeof(head->bytes) ? true
                                              : error_set(err, ERROR_STOPPED, "enough was read");
}

bool segment_file_header(const Dir *dir, const char *name, WalCompression form, bool *ret_found,
                         WalPageHeader *ret, Error *err)
{
    Head head = {.length = 0};
    Error why;
    *ret_found = false;
    if (!segment_file_read(dir, name, form, take_head, &head, &why) && why.class != ERROR_STOPPED &&
        why.class != ERROR_ARCHIVE) {
        *err = why;
        return false;
    }
    WalPageHeader header;
    if (head.length == sizeof(head.bytes) &&
        wal_page_decode(head.bytes, head.length, &header, &why) &&
        (header.info & WAL_PAGE_LONG) != 0) {
        *ret = header;
        *ret_found = true;
    }
    return true;
}

typedef struct Checksum {
    uint64_t length;
    uint32_t crc;
} Checksum;

static bool add_checksum(void *context, const void *data, size_t length, Error *err)
{
    Checksum *sum = context;
    (void)err;
    sum->crc = crc32c_update(sum->crc, data, length);
    sum->length += length;
    return true;
}

bool segment_file_checksum(const Dir *dir, const char *name, WalCompression form,
                           uint64_t *ret_length, uint32_t *ret_crc, Error *err)
{
    Checksum sum = {.length = 0, .crc = CRC32C_INIT};
    if (!segment_file_read(dir, name, form, add_checksum, &sum, err))
        return false;
    *ret_length = sum.length;
    *ret_crc = crc32c_final(sum.crc);
    return true;
}

bool segment_file_find(const Dir *dir, Timeline timeline, SegNo segno, uint32_t segment_size,
                       bool *ret_found, WalCompression *ret_form, Error *err)
{
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        bool exists;
        uint64_t size;
        wal_segment_name(timeline, segno, segment_size, (WalCompression)form, false, name);
        if (!file_status(dir, name, &exists, &size, err))
            return false;
        if (exists) {
            *ret_found = true;
            *ret_form = (WalCompression)form;
            return true;
        }
    }
    *ret_found = false;
    return true;
}
