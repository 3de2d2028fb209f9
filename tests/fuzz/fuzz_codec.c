/* SPDX-License-Identifier: PostgreSQL
 *
 * Decoders over arbitrary bytes. The first byte chooses the codec, the second the size of the
 * pieces in which the rest is fed. When a decoder accepts its input, a second run in one piece must
 * accept it too and give the same. (libzstd refuses some odd empty frames only when they come in
 * one piece.)
 */
#include "walrx/codec/codec.h"

#include <stdlib.h>

#define OUTPUT_LIMIT ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Output {
    uint64_t length;
    uint64_t hash;
} Output;

static bool take_output(void *context, const void *data, size_t length, Error *err)
{
    Output *output = context;
    const uint8_t *bytes = data;

    if (length == 0)
        abort(); /* a sink is called with bytes or not at all */
    output->length += length;
    for (size_t i = 0; i < length; i++)
        output->hash = (output->hash ^ bytes[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
    return output->length <= OUTPUT_LIMIT || error_set(err, ERROR_STORAGE, "enough");
}

static bool decode(WalCompression method, const uint8_t *data, size_t size, size_t chunk,
                   Output *ret)
{
    Error err;
    Decoder *decoder = decoder_new(method, &err);
    bool good = decoder != NULL;

    *ret = (Output){0};
    error_clear(&err);
    for (size_t at = 0; good && at < size; at += chunk) {
        size_t count = size - at < chunk ? size - at : chunk;
        good = decoder_write(decoder, data + at, count, take_output, ret, &err);
    }
    good = good && decoder_finish(decoder, &err);
    if (good != (err.class == ERROR_NONE))
        abort();
    decoder_free(decoder);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Output pieces;
    Output whole;

    if (size < 2)
        return 0;
    WalCompression method = (WalCompression)(data[0] % WAL_COMPRESSION_COUNT);
    size_t chunk = (size_t)data[1] + 1;
    if (decode(method, data + 2, size - 2, chunk, &pieces) &&
        (decode(method, data + 2, size - 2, size, &whole)
             ? whole.length != pieces.length || whole.hash != pieces.hash
             : method != WAL_ZSTD))
        abort();
    return 0;
}
