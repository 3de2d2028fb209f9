/* SPDX-License-Identifier: PostgreSQL
 *
 * Streaming messages: what is decoded encodes to the same bytes (but for a flag, of which only
 * whether it is zero is kept), and stays inside the message.
 */
#include "fuzz.h"
#include "walrx/proto/copydata.h"

#define MESSAGE_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t buffer[MESSAGE_MAX];
    CopyMessage message;
    size_t compared = size;
    Error err;

    if (size > sizeof(buffer))
        return 0;
    if (!copy_message_decode(data, size, &message, &err)) {
        require(err.class == ERROR_PROTOCOL && err.message[0] != '\0');
        return 0;
    }
    if (message.type == COPY_WAL_DATA) {
        require(message.as.wal.data == data + COPY_WAL_HEADER_SIZE);
        require(message.as.wal.length == size - COPY_WAL_HEADER_SIZE);
        require(message.as.wal.start <= UINT64_MAX - message.as.wal.length);
    }
    require(copy_message_encode(&message, buffer, size) == size);
    require(copy_message_encode(&message, buffer, size - 1) == 0);
    require(copy_message_encode(&message, buffer, sizeof(buffer)) == size);
    if (message.type == COPY_KEEPALIVE || message.type == COPY_STANDBY_STATUS) {
        compared--;
        require((buffer[compared] != 0) == (data[compared] != 0));
    }
    require(memcmp(buffer, data, compared) == 0);
    return 0;
}
