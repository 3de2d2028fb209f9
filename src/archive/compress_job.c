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
#include <string.h>

#define JOB_CHUNK ((size_t)1024 * 1024)

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

/* Takes the next piece of the input: a view into memory, or a chunk of the file. */
static bool next_piece(const Archive *archive, const CompressInput *input, int fd, uint64_t offset,
                       uint8_t *chunk, const uint8_t **ret_piece, size_t *ret_length, Error *err)
{
    uint64_t left = input->length - offset;
    size_t wanted = left < JOB_CHUNK ? (size_t)left : JOB_CHUNK;
    size_t count;
    *ret_length = wanted;
    if (input->memory != NULL) {
        *ret_piece = input->memory + offset;
        return true;
    }
    *ret_piece = chunk;
    if (!file_read_at(&archive->dir, input->raw, fd, chunk, wanted, offset, &count, err))
        return false;
    return count == wanted ||
           error_set(err, ERROR_STORAGE,
                     "file \"%s/%s\" ends after %" PRIu64 " of %" PRIu64 " bytes",
                     archive->dir.path, input->raw, offset + count, input->length);
}

static bool go_on(const atomic_bool *abort, Error *err)
{
    return abort == NULL || !atomic_load(abort) ||
           error_set(err, ERROR_STOPPED, "compression was interrupted");
}

static bool encode_input(const Archive *archive, const CompressInput *input, int fd,
                         Encoder *encoder, Output *output, uint8_t *chunk, const atomic_bool *abort,
                         uint32_t *ret_crc, Error *err)
{
    uint32_t crc = CRC32C_INIT;
    for (uint64_t offset = 0; offset < input->length;) {
        const uint8_t *piece;
        size_t length;
        if (!go_on(abort, err) ||
            !next_piece(archive, input, fd, offset, chunk, &piece, &length, err))
            return false;
        if (input->memory == NULL)
            crc = crc32c_update(crc, piece, length);
        if (!encoder_write(encoder, piece, length, write_output, output, err))
            return false;
        offset += length;
    }
    *ret_crc = crc32c_final(crc);
    return go_on(abort, err) && encoder_finish(encoder, write_output, output, err);
}

static bool encode_file(const Archive *archive, CompressSpec spec, const CompressInput *input,
                        Output *output, const atomic_bool *abort, uint32_t *ret_crc, Error *err)
{
    int fd = -1;
    if (input->memory == NULL && !file_open(&archive->dir, input->raw, FILE_READ, &fd, err))
        return false;
    Encoder *encoder = encoder_new(spec, input->length, err);
    uint8_t *chunk = input->memory == NULL ? malloc(JOB_CHUNK) : NULL;
    bool ok = encoder != NULL;
    if (ok && chunk == NULL && input->memory == NULL)
        ok = error_set(err, ERROR_MEMORY, "out of memory while compressing \"%s\"", input->raw);
    ok = ok && encode_input(archive, input, fd, encoder, output, chunk, abort, ret_crc, err) &&
         durable_file(output->dir, output->name, output->fd, err);
    free(chunk);
    encoder_free(encoder);
    file_close(&archive->dir, fd);
    return ok;
}

typedef struct Comparison {
    const uint8_t *memory;
    uint64_t length;
    uint64_t position;
} Comparison;

static bool compare_piece(void *context, const void *data, size_t length, Error *err)
{
    Comparison *comparison = context;
    if (length > comparison->length - comparison->position ||
        memcmp(comparison->memory + comparison->position, data, length) != 0)
        return error_set(err, ERROR_STOPPED, "different");
    comparison->position += length;
    return true;
}

/* Does a compressed file hold exactly the bytes of the input? `crc`: of an input that is a file. */
static bool check_copy(const Dir *dir, const char *name, WalCompression form,
                       const CompressInput *input, uint32_t crc, bool *ret_same, Error *err)
{
    uint64_t copy_length;
    uint32_t copy_crc;
    if (input->memory != NULL) {
        Comparison comparison = {.memory = input->memory, .length = input->length};
        bool read = segment_file_read(dir, name, form, compare_piece, &comparison, err);
        *ret_same = read && comparison.position == input->length;
        return read || err->class == ERROR_STOPPED;
    }
    if (!segment_file_checksum(dir, name, form, &copy_length, &copy_crc, err))
        return false;
    *ret_same = copy_length == input->length && copy_crc == crc;
    return true;
}

void compress_job_temporary(const char *packed, char buffer[COMPRESS_TEMP_SIZE])
{
    (void)snprintf(buffer, COMPRESS_TEMP_SIZE, "%s%s", packed, ARCHIVE_TEMP_SUFFIX);
}

bool compress_job_write(const Archive *archive, CompressSpec spec, const CompressInput *input,
                        const char *packed, const atomic_bool *abort, uint32_t *ret_crc, Error *err)
{
    char temporary[COMPRESS_TEMP_SIZE];
    Output output = {.dir = &archive->private, .name = temporary, .fd = -1};
    bool same;
    compress_job_temporary(packed, temporary);
    bool ok = file_open(&archive->private, temporary, FILE_CREATE, &output.fd, err) &&
              encode_file(archive, spec, input, &output, abort, ret_crc, err);
    file_close(&archive->private, output.fd);
    if (!ok || !check_copy(&archive->private, temporary, spec.method, input, *ret_crc, &same, err))
        return false;
    return same || error_set(err, ERROR_STORAGE,
                             "the compressed copy \"%s/%s\" does not read back to the same bytes",
                             archive->private.path, temporary);
}

static bool publish_copy(const Archive *archive, CompressSpec spec, const CompressInput *input,
                         const char *packed, uint32_t crc, Error *err)
{
    char temporary[COMPRESS_TEMP_SIZE];
    bool exists;
    bool same;
    compress_job_temporary(packed, temporary);
    if (!durable_publish(&archive->private, temporary, &archive->dir, packed, &exists, err))
        return false;
    if (!exists)
        return true;
    if (!check_copy(&archive->dir, packed, spec.method, input, crc, &same, err))
        return false;
    if (!same) {
        error_set(err, ERROR_ARCHIVE, "\"%s/%s\" exists with other content than \"%s\"",
                  archive->dir.path, packed, input->raw);
        return error_hint(err, "Find out which of the two is right (pg_waldump shows the records) "
                               "and move the other one away.");
    }
    return durable_remove(&archive->private, temporary, err);
}

bool compress_job_run(const Archive *archive, CompressSpec spec, const CompressInput *input,
                      const char *packed, const atomic_bool *abort, Error *err)
{
    uint32_t crc;
    return compress_job_write(archive, spec, input, packed, abort, &crc, err) &&
           publish_copy(archive, spec, input, packed, crc, err) &&
           durable_remove(&archive->dir, input->raw, err);
}
