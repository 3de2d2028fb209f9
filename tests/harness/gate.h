/* SPDX-License-Identifier: PostgreSQL
 *
 * Holds compression workers where they open their copy in .walrx/, so that a test decides who is
 * done first. The thread that publishes is never held.
 */
#pragma once

#include "walrx/archive/archive.h"

/* From now on files of .walrx/ are opened through the gate, which is open. The other calls are
 * those of fake_files. Before any worker is started. */
void gate_install(Archive *archive);
/* After all of them are gone. */
void gate_remove(Archive *archive);

/* Holds whoever creates a compressed copy whose name contains `part`; "" for all. One part at a
 * time. */
void gate_close(const char *part);
void gate_open(void);

/* Waits until so many stand at the gate. */
void gate_await(unsigned count);
