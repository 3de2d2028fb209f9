/* SPDX-License-Identifier: PostgreSQL
 *
 * Sizes for people: "1.9 GB", in powers of 1024 as PostgreSQL counts. Private to src/cli.
 */
#pragma once

#include <stdint.h>

#define SIZE_TEXT 32

const char *size_text(uint64_t bytes, char buffer[SIZE_TEXT]);
