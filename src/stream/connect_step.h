/* SPDX-License-Identifier: PostgreSQL
 *
 * One step of libpq's connecting, in a thread of its own: PQconnectStartParams and PQconnectPoll
 * look up names, work through as many rounds of SCRAM as the server asks for, and may ask a
 * Kerberos server, all without a limit. A step that does not come back in time is left to itself.
 * Private to src/stream.
 */
#pragma once

#include "parameters.h"
#include "receive_meter.h"

#include "walrx/base/error.h"
#include "walrx/stream/control.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* So many steps may be under way or left to themselves before no further one is begun. */
#define CONNECT_STEPS_MAX 8

typedef struct ConnectStep {
    const Parameters *parameters; /* to start with; NULL: PQconnectPoll on *pg */
    Control *control;
    ReceiveMeter *meter;
    uint64_t deadline_ms; /* UINT64_MAX: none */
} ConnectStep;

typedef struct ConnectStepResult {
    PostgresPollingStatusType state;
    bool name_unknown; /* starting failed, and some host has no address right now */
} ConnectStepResult;

/* CONTROL_READY: *pg is what libpq made of it (NULL: out of memory). Else *pg is NULL, the
 * connection goes when the step comes back, and *err is set on a stop or when there are too many
 * such steps; then the answer is CONTROL_STOP. CONTROL_TIMEOUT: the deadline passed. */
ControlWait connect_step(const ConnectStep *step, PGconn **pg, ConnectStepResult *ret, Error *err);
