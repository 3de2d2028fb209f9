/* SPDX-License-Identifier: PostgreSQL
 *
 * A receiver that removes old WAL by itself: --keep-time and --keep-size, done as `walrx prune`
 * does it (prune.h), from a thread of its own that nobody waits for. What fails there is told once,
 * and tried again later; it never ends the receiver.
 *
 * The thread opens the archive for itself: a sync that fails must be told to those who count on it,
 * and the kernel tells each open directory once.
 */
#pragma once

#include "walrx/observe/retention_view.h"
#include "walrx/stream/receiver.h"
#include "walrx/stream/telemetry.h"

#include <stdbool.h>
#include <stdint.h>

/* 0: not by that. Both 0: nothing is removed. */
typedef struct RetentionKeep {
    uint64_t time_ms;
    uint64_t size;
} RetentionKeep;

typedef struct RetentionOptions {
    const char *directory; /* borrowed until retention_close */
    bool sync;
    Telemetry *telemetry; /* the same: how far the receiver is */
    RetentionKeep keep;
    ReceiverWatch watch;                                    /* told what retention_watch is told */
    void (*show)(void *context, const RetentionView *view); /* by the thread */
    void *show_context;
} RetentionOptions;

typedef struct Retention Retention;

/* No thread runs before there is an archive and something to keep by. */
bool retention_open(const RetentionOptions *options, Retention **ret, Error *err) MUST_CHECK;
void retention_close(Retention *retention); /* NULL is fine */

/* For ReceiverOptions: tells when the archive can be worked on. */
ReceiverWatch retention_watch(Retention *retention);

/* From now on; by any thread. */
void retention_keep(Retention *retention, const RetentionKeep *keep);
