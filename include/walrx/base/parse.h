/* SPDX-License-Identifier: PostgreSQL
 *
 * Strict reading of what people write: the whole text must be the value, no leading or trailing
 * blanks, no sign where none belongs, no silent overflow. All return false and leave *ret untouched
 * when the text is not acceptable; the caller, who knows the option's name, makes the error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, min <= value <= max. */
bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* "64MB", "1 GB", "512kB", "4096B": PostgreSQL's units (multiples of 1024, case-sensitive as in
 * guc.c of PostgreSQL 15: B, kB, MB, GB, TB), one optional blank before the unit. A number without
 * a unit counts `default_unit` bytes. "1.5GB" is accepted, a fraction of a byte is not; up to six
 * digits after the point. Fails on overflow of 64 bits. */
bool parse_size(const char *text, uint64_t default_unit, uint64_t *ret_bytes);

/* "500ms", "10s", "5min", "1h", "2d": PostgreSQL's units (us is refused below 1 ms). A number
 * without a unit counts `default_unit_ms` milliseconds. "1.5s" is accepted, a fraction of a
 * millisecond is not. */
bool parse_duration(const char *text, uint64_t default_unit_ms, uint64_t *ret_ms);

/* on/off, true/false, yes/no, 1/0, in any case, whole words only. */
bool parse_bool(const char *text, bool *ret);

/* The reverse of the two above, for help and messages: "64MB", "1500ms", "10s". */
#define PARSE_TEXT_SIZE 32
const char *format_size(uint64_t bytes, char buffer[PARSE_TEXT_SIZE]);
const char *format_duration(uint64_t ms, char buffer[PARSE_TEXT_SIZE]);
