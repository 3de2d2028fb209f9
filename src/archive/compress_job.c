/* SPDX-License-Identifier: PostgreSQL
 *
 * See compress_job.h. Order: temporary copy, fdatasync, read back and compare, final name,
 * directory, and only then the raw file goes.
 */
#include "compress_job.h"

#include "walrx/archive/segment_file.h"
#include "walrx/os/durable.h"
#include "walrx/proto/crc32c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define JOB_CHUNK ((size_t)256 * 1024)

typedef struct Output {
    const Dir *dir;
    const char *name;
    int fd;
    uint64_t offset;
} Output;

static bool write_output(void *context, const void *data, size_t length, Error *err)
{
    Output *output = context;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    if (length > 0 &&
        !file_write_at(output->dir, output->name, output->fd, &part, 1, output->offset, err))
        return false;
    output->offset += length;
    return true;
}

typedef struct Input {
    const Dir *dir;
    const char *name;
    int fd;
    uint64_t length;
    uint32_t crc;
} Input;

static bool encode_input(Input *input, Encoder *encoder, Output *output, char *chunk,
                         const atomic_bool *abort, Error *err)
{
    uint32_t crc = CRC32C_INIT;
    for (uint64_t offset = 0; offset < input->length;) {
        uint64_t left = input->length - offset;
        size_t wanted = left < JOB_CHUNK ? (size_t)left : JOB_CHUNK;
        size_t count;
        if (abort != NULL && atomic_load(abort))
            return error_set(err, ERROR_STOPPED, "compression was interrupted");
        if (!file_read_at(input->dir, input->name, input->fd, chunk, wanted, offset, &count, err))
            return false;
        if (count != wanted)
            return error_set(err, ERROR_STORAGE,
                             "file \"%s/%s\" ends after %" PRIu64 " of %" PRIu64 " bytes",
                             input->dir->path, input->name, offset + count, input->length);
        crc = crc32c_update(crc, chunk, count);
        if (!encoder_write(encoder, chunk, count, write_output, output, err))
            return false;
        offset += count;
    }
    input->crc = crc32c_final(crc);
    return encoder_finish(encoder, write_output, output, err);
}

static bool encode_file(Input *input, CompressSpec spec, Output *output, const atomic_bool *abort,
                        Error *err)
{
    Encoder *encoder = encoder_new(spec, input->length, err);
    char *chunk = malloc(JOB_CHUNK);
    bool ok = encoder != NULL;
    if (ok && chunk == NULL)
        ok = error_set(err, ERROR_MEMORY, "out of memory while compressing \"%s\"", input->name);
    ok = ok && encode_input(input, encoder, output, chunk, abort, err) &&
         durable_file(output->dir, output->name, output->fd, err);
    free(chunk);
    encoder_free(encoder);
    return ok;
}

/* Does a compressed file hold exactly the bytes that were read? */
static bool check_copy(const Dir *dir, const char *name, WalCompression form, const Input *input,
                       bool *ret_same, Error *err)
{
    uint64_t length;
    uint32_t crc;
    if (!segment_file_checksum(dir, name, form, &length, &crc, err))
        return false;
    *ret_same = length == input->length && crc == input->crc;
    return true;
}

static bool publish_copy(const Archive *archive, CompressSpec spec, const char *temporary,
                         const char *packed, const Input *input, Error *err)
{
    bool exists;
    bool same;
    if (!check_copy(&archive->private, temporary, spec.method, input, &same, err))
        return false;
    if (!same)
        return error_set(err, ERROR_STORAGE,
                         "the compressed copy of \"%s/%s\" does not read back to the same bytes",
                         archive->dir.path, input->name);
    if (!durable_publish(&archive->private, temporary, &archive->dir, packed, &exists, err))
        return false;
    if (!exists)
        return true;
    if (!check_copy(&archive->dir, packed, spec.method, input, &same, err))
        return false;
    if (!same) {
        error_set(err, ERROR_ARCHIVE, "\"%s/%s\" exists with other content than \"%s\"",
                  archive->dir.path, packed, input->name);
        return error_hint(err, "Find out which of the two is right (pg_waldump shows the records) "
                               "and move the other one away.");
    }
    return durable_remove(&archive->private, temporary, err);
}

bool compress_job_run(const Archive *archive, CompressSpec spec, const char *raw,
                      const char *packed, uint64_t length, const atomic_bool *abort, Error *err)
{
    char temporary[WAL_FILE_NAME_SIZE + 8];
    Input input = {.dir = &archive->dir, .name = raw, .fd = -1, .length = length};
    Output output = {.dir = &archive->private, .name = temporary, .fd = -1};
    (void)snprintf(temporary, sizeof(temporary), "%s%s", packed, ARCHIVE_TEMP_SUFFIX);
    if (!file_open(&archive->dir, raw, FILE_READ, &input.fd, err))
        return false;
    bool ok = file_open(&archive->private, temporary, FILE_CREATE, &output.fd, err) &&
              encode_file(&input, spec, &output, abort, err);
    file_close(&archive->private, output.fd);
    file_close(&archive->dir, input.fd);
    return ok && publish_copy(archive, spec, temporary, packed, &input, err) &&
           durable_remove(&archive->dir, raw, err);
}
