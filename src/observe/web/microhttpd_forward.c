/* SPDX-License-Identifier: PostgreSQL
 *
 * libmicrohttpd, loaded with --http: every function of it that is called anywhere. Those that take
 * what they like are called with what they need.
 */
#include "walrx/os/library.h"

#include <microhttpd.h>
#include <stdarg.h>

#define MICROHTTPD "libmicrohttpd.so.12"
#define FORWARD(type, name, params, arguments)                                                     \
    LIBRARY_FORWARD(MICROHTTPD, type, name, params, arguments)
#define FORWARD_VOID(name, params, arguments)                                                      \
    LIBRARY_FORWARD_VOID(MICROHTTPD, name, params, arguments)

FORWARD(struct MHD_Daemon *, MHD_start_daemon_va,
        (unsigned flags, uint16_t port, MHD_AcceptPolicyCallback accept, void *accept_context,
         MHD_AccessHandlerCallback answer, void *answer_context, va_list options),
        (flags, port, accept, accept_context, answer, answer_context, options))

__attribute__((weak)) struct MHD_Daemon *
MHD_start_daemon(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback accept,
                 void *accept_context, MHD_AccessHandlerCallback answer, void *answer_context, ...)
{
    va_list options;
    va_start(options, answer_context);
    struct MHD_Daemon *daemon =
        MHD_start_daemon_va(flags, port, accept, accept_context, answer, answer_context, options);
    va_end(options);
    return daemon;
}

FORWARD_VOID(MHD_stop_daemon, (struct MHD_Daemon * daemon), (daemon))
FORWARD(enum MHD_Result, MHD_run, (struct MHD_Daemon * daemon), (daemon))
FORWARD(enum MHD_Result, MHD_get_timeout, (struct MHD_Daemon * daemon, MHD_UNSIGNED_LONG_LONG *ret),
        (daemon, ret))
FORWARD(const union MHD_DaemonInfo *, MHD_get_daemon_info,
        (struct MHD_Daemon * daemon, enum MHD_DaemonInfoType what, ...), (daemon, what))
FORWARD(const union MHD_ConnectionInfo *, MHD_get_connection_info,
        (struct MHD_Connection * connection, enum MHD_ConnectionInfoType what, ...),
        (connection, what))
FORWARD(const char *, MHD_lookup_connection_value,
        (struct MHD_Connection * connection, enum MHD_ValueKind kind, const char *key),
        (connection, kind, key))
FORWARD(struct MHD_Response *, MHD_create_response_from_buffer,
        (size_t size, void *buffer, enum MHD_ResponseMemoryMode mode), (size, buffer, mode))
FORWARD(enum MHD_Result, MHD_add_response_header,
        (struct MHD_Response * response, const char *header, const char *content),
        (response, header, content))
FORWARD(enum MHD_Result, MHD_queue_response,
        (struct MHD_Connection * connection, unsigned status, struct MHD_Response *response),
        (connection, status, response))
FORWARD_VOID(MHD_destroy_response, (struct MHD_Response * response), (response))
