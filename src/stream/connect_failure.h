/* SPDX-License-Identifier: PostgreSQL
 *
 * The error of a connection attempt that failed. Private to src/stream.
 */
#pragma once

#include "walrx/base/error.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* Fills *err from a connection in state CONNECTION_BAD; returns false. at_once: it was so right
 * after PQconnectStartParams, before anything was sent: a setting is wrong, unless no address was
 * found or reached. */
bool connect_failed(PGconn *pg, bool at_once, Error *err);
