/* SPDX-License-Identifier: PostgreSQL
 *
 * What a receiver shows by HTTP:
 *
 * /          the page
 * /status    the snapshot as JSON (docs/status.md)
 * /metrics   for Prometheus (docs/metrics.md)
 * /healthz, /readyz   200 while it streams within limits, else 503; the reason as text
 * /livez     200 unless it is ending
 * /history   the last hour, for the page
 * /events    what happened, for the page
 *
 * With a token, the page and the three about health are open, the latter without their reasons.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/observe/http_address.h"
#include "walrx/observe/observer.h"

#include <stdint.h>

typedef struct WebOptions {
    Observer *observer;         /* borrowed until web_close */
    const Telemetry *telemetry; /* the same; its histograms */
    HttpAddress address;
    const char *token_file;  /* NULL: no token is needed */
    const char *certificate; /* files, PEM; NULL: no TLS */
    const char *key;
    uint64_t max_lag_ms; /* of /healthz and /readyz; 0: any */
} WebOptions;

typedef struct Web Web;

/* Both files or none. Reads the files, and serves when this returns. */
bool web_open(const WebOptions *options, Web **ret, Error *err) MUST_CHECK;
void web_close(Web *web); /* NULL is fine */
