/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx receive`, the front pg_receivewal and other commands share.
 */
#pragma once

#include "walrx/cli/options.h"
#include "walrx/observe/web.h"
#include "walrx/stream/connection.h"

/* Receives, or does the slot action asked for; returns the exit status. */
int receive_run(CommandBit command, int argc, char **argv);

ConnectOptions connect_options_from(CommandBit command, const Options *options);
/* How many threads compress. */
unsigned compress_workers_from(const Options *options);

/* Serves what --http asks for; *ret NULL when that is nothing. */
bool receive_web_open(const Options *options, Observer *observer, const Telemetry *telemetry,
                      Web **ret, Error *err) MUST_CHECK;
