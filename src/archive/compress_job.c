/* SPDX-License-Identifier: PostgreSQL
 *
 * See compress_job.h. Order: temporary copy, fdatasync, check, final name, directory, and only then
 * the raw file goes.
 *
 * What the check has to find: a codec that makes something else than the content, and memory that
 * changed on the way. Decoding the encoder's output right after it was handed to the file finds
 * both, while it is still in the processor's cache. A copy that replaces a durable file is held to
 * more: it is read from its file, which O_DIRECT makes a read from the disk.
 */
#include "compress_job.h"

#include "copy_file.h"
#include "pruned.h"

#include "walrx/archive/segment_file.h"
#include "walrx/os/durable.h"
#include "walrx/proto/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOB_CHUNK ((size_t)256 * 1024)

/* Decoded bytes that must be those of the memory. */
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

/* Where the encoder's output goes. */
typedef struct Output {
    const Archive *archive;
    const CompressWay *way;
    CopyFile copy;
    Decoder *decoder; /* NULL: the check comes later, from the file */
    Comparison comparison;
} Output;

static bool not_the_same(const Archive *archive, const char *temporary, Error *err)
{
    error_set(err, ERROR_STORAGE,
              "the compressed copy \"%s/%s\" does not read back to the same bytes",
              archive->private.path, temporary);
    return error_hint(err, "Check the memory and the disk of this machine. The copy is not used.");
}

static bool go_on(const CompressWay *way, Error *err)
{
    bool stop = (way->abort != NULL && atomic_load(way->abort)) ||
                (way->withdrawn != NULL && atomic_load(way->withdrawn));
    return !stop || error_set(err, ERROR_STOPPED, "compression was interrupted");
}

static bool take_output(void *context, const void *data, size_t length, Error *err)
{
    Output *output = context;
    if (!go_on(output->way, err) || !copy_write(&output->copy, data, length, err))
        return false;
    if (output->decoder == NULL ||
        decoder_write(output->decoder, data, length, compare_piece, &output->comparison, err))
        return true;
    return err->class == ERROR_MEMORY ? false
                                      : not_the_same(output->archive, output->copy.name, err);
}

/* The last of the check along the way: is the copy whole? */
static bool end_check(Output *output, Error *err)
{
    if (output->decoder == NULL || (decoder_finish(output->decoder, err) &&
                                    output->comparison.position == output->comparison.length))
        return true;
    return not_the_same(output->archive, output->copy.name, err);
}

static bool read_chunk(const Archive *archive, const CompressInput *input, int fd, uint64_t offset,
                       uint8_t *chunk, size_t wanted, Error *err)
{
    size_t count;
    if (!file_read_at(&archive->dir, input->raw, fd, chunk, wanted, offset, &count, err))
        return false;
    return count == wanted ||
           error_set(err, ERROR_STORAGE,
                     "file \"%s/%s\" ends after %" PRIu64 " of %" PRIu64 " bytes",
                     archive->dir.path, input->raw, offset + count, input->length);
}

static bool encode_chunks(const Archive *archive, const CompressInput *input, int fd,
                          Encoder *encoder, Output *output, uint8_t *chunk, uint32_t *ret_crc,
                          Error *err)
{
    uint32_t crc = CRC32C_INIT;
    for (uint64_t offset = 0; offset < input->length;) {
        uint64_t left = input->length - offset;
        size_t length = left < JOB_CHUNK ? (size_t)left : JOB_CHUNK;
        if (!go_on(output->way, err) || !read_chunk(archive, input, fd, offset, chunk, length, err))
            return false;
        crc = crc32c_update(crc, chunk, length);
        if (!encoder_write(encoder, chunk, length, take_output, output, err))
            return false;
        offset += length;
    }
    *ret_crc = crc32c_final(crc);
    return encoder_finish(encoder, take_output, output, err);
}

static bool encode_file(const Archive *archive, const CompressInput *input, Encoder *encoder,
                        Output *output, uint32_t *ret_crc, Error *err)
{
    int fd;
    if (!file_open(&archive->dir, input->raw, FILE_READ, &fd, err))
        return false;
    uint8_t *chunk = malloc(JOB_CHUNK);
    bool ok = chunk != NULL ||
              error_set(err, ERROR_MEMORY, "out of memory while compressing \"%s\"", input->raw);
    ok = ok && encode_chunks(archive, input, fd, encoder, output, chunk, ret_crc, err);
    free(chunk);
    file_close(&archive->dir, fd);
    return ok;
}

static bool encode(const Archive *archive, const CompressWay *way, const CompressInput *input,
                   Output *output, uint32_t *ret_crc, Error *err)
{
    bool check_now = input->raw == NULL;
    Encoder *encoder = encoder_new(way->spec, input->length, way->memory, err);
    if (encoder != NULL && check_now)
        output->decoder = decoder_new(way->spec.method, err);
    bool ok = encoder != NULL && (!check_now || output->decoder != NULL) && go_on(way, err);
    if (ok)
        ok = input->memory != NULL
                 ? encoder_write_whole(encoder, input->memory, take_output, output, err)
                 : encode_file(archive, input, encoder, output, ret_crc, err);
    encoder_free(encoder);
    ok = ok && end_check(output, err) && copy_finish(&output->copy, err);
    decoder_free(output->decoder);
    return ok;
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

/* The segment index knows the segment by it, as gzip does it too. */
static void keep_date(const Archive *archive, const char *raw, const CopyFile *copy)
{
    bool exists;
    int64_t modified;
    Error unknown;
    if (file_modified(&archive->dir, raw, &exists, &modified, &unknown) && exists)
        file_set_modified(copy->dir, copy->fd, modified);
}

void compress_job_temporary(const char *packed, char buffer[COMPRESS_TEMP_SIZE])
{
    (void)snprintf(buffer, COMPRESS_TEMP_SIZE, "%s%s", packed, ARCHIVE_TEMP_SUFFIX);
}

void compress_job_discard(const Archive *archive, const char *packed)
{
    char temporary[COMPRESS_TEMP_SIZE];
    bool existed;
    Error ignored;
    compress_job_temporary(packed, temporary);
    (void)!file_remove(&archive->private, temporary, &existed, &ignored);
}

bool compress_job_write(const Archive *archive, const CompressWay *way, const CompressInput *input,
                        const char *packed, uint32_t *ret_crc, Error *err)
{
    char temporary[COMPRESS_TEMP_SIZE];
    Output output = {
        .archive = archive,
        .way = way,
        .comparison = {.memory = input->memory, .length = input->length},
    };
    bool same;
    compress_job_temporary(packed, temporary);
    bool ok = copy_open(&output.copy, &archive->private, temporary, err) &&
              encode(archive, way, input, &output, ret_crc, err);
    if (ok && input->raw != NULL)
        keep_date(archive, input->raw, &output.copy);
    copy_close(&output.copy);
    if (!ok || input->raw == NULL)
        return ok;
    if (!check_copy(&archive->private, temporary, way->spec.method, input, *ret_crc, &same, err))
        return false;
    return same || not_the_same(archive, temporary, err);
}

static bool publish_copy(const Archive *archive, const CompressWay *way, const CompressInput *input,
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
    if (!check_copy(&archive->dir, packed, way->spec.method, input, crc, &same, err))
        return false;
    if (!same) {
        error_set(err, ERROR_ARCHIVE, "\"%s/%s\" exists with other content than \"%s\"",
                  archive->dir.path, packed, input->raw);
        return error_hint(err, "Find out which of the two is right (pg_waldump shows the records) "
                               "and move the other one away.");
    }
    return durable_remove(&archive->private, temporary, err);
}

/* Retention took the segment away meanwhile: its copy must not stay behind as a file before the
 * oldest WAL. */
static bool is_pruned(const Archive *archive, const CompressInput *input)
{
    bool exists;
    uint64_t size;
    Error ignored;
    return file_status(&archive->dir, input->raw, &exists, &size, &ignored) && !exists &&
           pruned_covers(archive, input->raw);
}

static bool remove_raw(const Archive *archive, const CompressInput *input, const char *packed,
                       Error *err)
{
    bool existed;
    if (!file_remove(&archive->dir, input->raw, &existed, err))
        return false;
    if (!existed && pruned_covers(archive, input->raw) &&
        !file_remove(&archive->dir, packed, &existed, err))
        return false;
    return durable_directory(&archive->dir, err);
}

bool compress_job_run(const Archive *archive, const CompressWay *way, const CompressInput *input,
                      const char *packed, Error *err)
{
    uint32_t crc = 0;
    if (compress_job_write(archive, way, input, packed, &crc, err) &&
        publish_copy(archive, way, input, packed, crc, err) &&
        remove_raw(archive, input, packed, err))
        return true;
    if (err->os_errno != ENOENT || !is_pruned(archive, input))
        return false;
    compress_job_discard(archive, packed);
    return true;
}
