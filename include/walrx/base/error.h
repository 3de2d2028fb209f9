/* SPDX-License-Identifier: PostgreSQL
 *
 * How every module reports a failure: a value filled by the function that met it, read by the
 * function that decides what to do. Nothing here allocates, prints or exits.
 *
 * Rules:
 * - A function that can fail returns bool (true = done) and takes `Error *err` last.
 *   On failure *err is filled and every other output is untouched, unless its header says more.
 * - The class decides what happens next (retry, give up, exit status); the text never does.
 * - Messages: lower case, object quoted, cause last, no full stop:
 *   could not open file "x": Permission denied
 * - `detail` adds facts, `hint` says what the user can do. Both may be empty.
 */
#pragma once

#include <stdbool.h>

#if defined(__GNUC__)
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#else
#define MUST_CHECK
#define PRINTF_LIKE(fmt_index, args_index)
#endif

typedef enum ErrorClass {
    ERROR_NONE = 0,
    ERROR_USAGE,    /* command line or file of options; exit status 1 */
    ERROR_RETRY,    /* network, server starting up, slot active: worth another try; else status 1 */
    ERROR_OPERATOR, /* authentication, missing slot, privileges: a person must act; exit status 1 */
    ERROR_PROTOCOL, /* the peer sent what the protocol does not allow; exit status 1 */
    ERROR_ARCHIVE,  /* identity, lock, divergence, gap: the archive refuses; exit status 2 */
    ERROR_STORAGE,  /* the disk failed; exit status 3 */
    ERROR_NO_ROOM,  /* the disk is full and nothing was lost: worth another try; else status 3 */
    ERROR_MEMORY,   /* an allocation failed; exit status 1 */
    ERROR_STOPPED   /* the user asked to stop while we waited; not a failure, exit status 0 */
} ErrorClass;

#define ERROR_MESSAGE_SIZE 768
#define ERROR_DETAIL_SIZE 768
#define ERROR_HINT_SIZE 512

typedef struct Error {
    ErrorClass class;
    int os_errno;     /* errno behind it, 0 when there is none */
    char sqlstate[6]; /* five characters when the server reported it, else "" */
    char message[ERROR_MESSAGE_SIZE];
    char detail[ERROR_DETAIL_SIZE];
    char hint[ERROR_HINT_SIZE];
} Error;

/* Forgets whatever *err held. */
void error_clear(Error *err);

/* Fills *err anew (detail, hint, sqlstate and os_errno become empty). Always returns false, so that
 * a caller can write `return error_set(err, ...)`. Text that is too long is cut. The arguments may
 * point into *err itself, to put words around a message. */
bool error_set(Error *err, ErrorClass class, const char *format, ...) PRINTF_LIKE(3, 4);

/* As error_set, and appends ": " and the text of errno value `os_errno`, which it also keeps. */
bool error_set_errno(Error *err, ErrorClass class, int os_errno, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Add to an error that error_set filled; each returns false. A later call replaces the earlier. */
bool error_detail(Error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_hint(Error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* The process exit status of a class: 0 for none/stopped, 1, 2 or 3. DESIGN: 0 clean,
 * 1 usage/connection/server, 2 archive refused, 3 storage. */
int error_exit_status(ErrorClass class);

/* A short lower-case word for logs: "usage", "retry", ... */
const char *error_class_name(ErrorClass class);
