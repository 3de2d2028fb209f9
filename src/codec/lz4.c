/* SPDX-License-Identifier: PostgreSQL
 *
 * lz4 in its frame format, through lz4frame, with content size, without content checksum
 * (docs/decisions/0007). Linked blocks: a block may refer to the 64 kB before it, which costs no
 * time and saves one to two percent.
 */
#include "codec_internal.h"

#define LZ4F_STATIC_LINKING_ONLY /* LZ4F_getErrorCode, which the shared library exports as well */
#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <stdlib.h>

/* Larger ones save nothing (0.01 % of WAL), and would fall out of the processor's cache before they
 * are checked. */
#define LZ4_BLOCK ((size_t)256 * 1024)
#define LZ4_WINDOW ((size_t)64 * 1024)
/* Output of one step: it takes at most a block, lz4frame may hold another one already, and headers,
 * checksums and the end mark come on top. Checked against the library when an encoder is made. */
#define LZ4_ROOM (2 * LZ4_BLOCK + 1024)

typedef struct Lz4Encoder {
    LZ4F_cctx *context;
    LZ4F_preferences_t preferences;
    LZ4F_compressOptions_t options;
    bool begun;
} Lz4Encoder;

/* The error of a result of lz4frame. */
static bool lz4_failure(size_t result, const char *what, Error *err)
{
    if (LZ4F_getErrorCode(result) == LZ4F_ERROR_allocation_failed) {
        (void)codec_out_of_memory(err);
        return false;
    }
    return error_set(err, ERROR_ARCHIVE, "%s%s", what, LZ4F_getErrorName(result));
}

static void lz4_encode_free(void *state)
{
    Lz4Encoder *encoder = state;

    (void)LZ4F_freeCompressionContext(encoder->context);
    free(encoder);
}

/* lz4frame 1.9.4: the hash table of the fast mode or tables of the others, a block and the 64 kB
 * before it; for decoding two blocks and the 64 kB. Nothing to choose. */
static size_t lz4_memory(int level, uint64_t content_size, size_t limit)
{
    size_t tables = level < LZ4HC_CLEVEL_MIN ? sizeof(LZ4_stream_t) : sizeof(LZ4_streamHC_t);
    (void)content_size;
    (void)limit;
    return tables + 3 * LZ4_BLOCK + 4 * LZ4_WINDOW;
}

static void *lz4_encode_new(int level, uint64_t content_size, size_t limit, Error *err)
{
    (void)limit;
    Lz4Encoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return codec_out_of_memory(err);
    encoder->preferences = (LZ4F_preferences_t){
        .frameInfo =
            {
                .blockSizeID = LZ4F_max256KB,
                .blockMode = LZ4F_blockLinked,
                .contentChecksumFlag = LZ4F_noContentChecksum,
                .contentSize = content_size,
            },
        .compressionLevel = level,
    };
    if (LZ4F_isError(LZ4F_createCompressionContext(&encoder->context, LZ4F_VERSION))) {
        lz4_encode_free(encoder);
        return codec_out_of_memory(err);
    }
    if (LZ4F_compressBound(LZ4_BLOCK, &encoder->preferences) > LZ4_ROOM) {
        lz4_encode_free(encoder);
        (void)error_set(err, ERROR_USAGE, "this version of lz4 needs larger buffers");
        return NULL;
    }
    return encoder;
}

/* The 64 kB before a block are then looked up where they are, not copied. */
static void lz4_encode_stable(void *state)
{
    ((Lz4Encoder *)state)->options.stableSrc = 1;
}

static bool lz4_encode(void *state, CodecInput *input, CodecOutput *output, bool end,
                       bool *ret_done, Error *err)
{
    Lz4Encoder *encoder = state;
    uint8_t *room = output->data + output->position;
    size_t room_size = output->capacity - output->position;
    size_t count = input->length - input->position;
    size_t made;

    if (count > LZ4_BLOCK)
        count = LZ4_BLOCK;
    if (!encoder->begun) {
        made = LZ4F_compressBegin(encoder->context, room, room_size, &encoder->preferences);
        encoder->begun = true;
        count = 0; /* the header alone: the room was reckoned for one call */
    } else if (end && count == 0) {
        made = LZ4F_compressEnd(encoder->context, room, room_size, &encoder->options);
        *ret_done = true;
    } else {
        made = LZ4F_compressUpdate(encoder->context, room, room_size, input->data + input->position,
                                   count, &encoder->options);
    }
    if (LZ4F_isError(made))
        return lz4_failure(made, "could not compress with lz4: ", err);
    input->position += count;
    output->position += made;
    return true;
}

static void *lz4_decode_new(Error *err)
{
    LZ4F_dctx *context;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return codec_out_of_memory(err);
    return context;
}

static bool lz4_decode(void *state, CodecInput *input, CodecOutput *output, bool *ret_done,
                       Error *err)
{
    static const uint8_t nothing[1] = {0};
    size_t taken = input->length - input->position;
    size_t made = output->capacity - output->position;
    const uint8_t *from = taken > 0 ? input->data + input->position : nothing;

    size_t result =
        LZ4F_decompress(state, output->data + output->position, &made, from, &taken, NULL);
    if (LZ4F_isError(result))
        return lz4_failure(result, "", err);
    input->position += taken;
    output->position += made;
    *ret_done = result == 0;
    return true;
}

static void lz4_decode_free(void *state)
{
    (void)LZ4F_freeDecompressionContext(state);
}

const CodecMethod codec_lz4 = {
    .name = "lz4",
    .level_min = 1,
    .level_max = 12,
    .level_default = 1,
    .level_accepted = 0,               /* lz4frame's fast mode, the same as level 1 */
    .magic = {0x04, 0x22, 0x4D, 0x18}, /* lz4_Frame_format.md: 0x184D2204, little-endian */
    .magic_size = 4,
    .encode_capacity = LZ4_ROOM,
    .encode_room = LZ4_ROOM,
    .memory = lz4_memory,
    .encode_new = lz4_encode_new,
    .encode_stable = lz4_encode_stable,
    .encode = lz4_encode,
    .encode_free = lz4_encode_free,
    .decode_new = lz4_decode_new,
    .decode = lz4_decode,
    .decode_free = lz4_decode_free,
};
