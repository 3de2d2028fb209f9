/* SPDX-License-Identifier: PostgreSQL
 *
 * Messages of the frontend/backend protocol, version 3.0, as a server that streams WAL needs them:
 * what a client sends is taken apart, what a server answers is put together. (The receiver itself
 * leaves all of this to libpq.) Source: PostgreSQL 15 documentation, "Message Formats";
 * src/include/libpq/pqcomm.h.
 *
 * Pure; messages are written into a Writer (base/cursor.h), which fails when they do not fit.
 */
#pragma once

#include "walrx/base/cursor.h"
#include "walrx/base/error.h"
#include "walrx/proto/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest message accepted from a client: MAX_STARTUP_PACKET_LENGTH is 10000 in the server. */
#define FRAME_MAX_CLIENT_MESSAGE 10000

typedef enum StartupKind {
    STARTUP_SESSION,
    STARTUP_SSL_REQUEST,    /* answer with the single byte 'N' (or 'S') */
    STARTUP_GSS_REQUEST,    /* the same */
    STARTUP_CANCEL_REQUEST, /* no answer */
} StartupKind;

/* Whole packets: the caller has read the four bytes of length first. ERROR_PROTOCOL when it is
 * none. */
bool frame_startup_decode(const void *packet, size_t length, StartupKind *ret,
                          Error *err) MUST_CHECK;

/* The length field of a startup packet or of a typed message (itself included, the type not).
 * ERROR_PROTOCOL when it is below 4 or above FRAME_MAX_CLIENT_MESSAGE. */
bool frame_length_decode(const uint8_t bytes[4], size_t *ret, Error *err) MUST_CHECK;

void frame_authentication_ok(Writer *writer);
void frame_parameter_status(Writer *writer, const char *name, const char *value);
void frame_backend_key(Writer *writer, uint32_t pid, uint32_t secret);
void frame_ready(Writer *writer);
/* RowDescription (every column text, named by `names`) and one DataRow. */
void frame_row(Writer *writer, const char *const *names, const ResultRow *row);
void frame_command_complete(Writer *writer, const char *tag);
void frame_error(Writer *writer, const char *severity, const char *sqlstate, const char *text);
void frame_copy_both(Writer *writer);
void frame_copy_done(Writer *writer);

/* The five bytes in front of `length` bytes of CopyData. */
#define FRAME_COPY_DATA_HEADER 5
void frame_copy_data_header(Writer *writer, size_t length);
