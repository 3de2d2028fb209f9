/* SPDX-License-Identifier: PostgreSQL
 *
 * A server that plays a script against the receiver, in a thread behind a unix socket. Each byte of
 * the script chooses a step: the good answer to the last command, a message or bytes of the
 * script's own, WAL, a change to what is sent next, waiting, closing. It remembers which WAL it
 * sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct MutantServer MutantServer;

/* Listens in `folder`. Once per process. */
MutantServer *mutant_listen(const char *folder);
/* Plays a script; stop_fd: where a stop is written to, as a signalfd would give it. */
void mutant_begin(MutantServer *server, const uint8_t *script, size_t length, int stop_fd);
/* Is some of the script left? */
bool mutant_has_more(MutantServer *server);
void mutant_end(MutantServer *server);

/* Was this sent as WAL for this position? True too where different bytes were sent for it, or more
 * than is remembered. */
bool mutant_sent(const MutantServer *server, uint64_t lsn, const uint8_t *bytes, size_t length);
