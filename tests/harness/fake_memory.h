/* SPDX-License-Identifier: PostgreSQL
 *
 * Memory that runs out: the Nth allocation of our own code fails, or all from it on. Works by the
 * linker's --wrap (see fake_memory_args in meson.build), so it takes in what is linked into the
 * program, not what shared libraries allocate for themselves. Works under the sanitizers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The nth (1...) allocation from now on fails; `for_ever`: and all behind it. 0: none. */
void fake_memory_fail(unsigned nth, bool for_ever);
/* Since fake_memory_fail. */
unsigned fake_memory_count(void);
bool fake_memory_struck(void);

/* From now on what is allocated is remembered; fake_memory_drop frees what still is: the memory of
 * a process that was killed. For one thread, and few pieces. */
void fake_memory_remember(void);
void fake_memory_drop(void);
