/* SPDX-License-Identifier: PostgreSQL
 *
 * The frames of a client: the first packet, and the length in front of each message. What is
 * accepted is within the limits; a refusal is one of the protocol.
 */
#include "fuzz.h"
#include "walrx/proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    StartupKind kind;
    size_t length;
    Error error;
    if (!frame_startup_decode(data, size, &kind, &error))
        require(error.class == ERROR_PROTOCOL && error.message[0] != '\0');
    else
        require(size >= 8 && kind <= STARTUP_CANCEL_REQUEST);
    if (size < 4)
        return 0;
    if (!frame_length_decode(data, &length, &error))
        require(error.class == ERROR_PROTOCOL && error.message[0] != '\0');
    else
        require(length >= 4 && length <= FRAME_MAX_CLIENT_MESSAGE);
    return 0;
}
