/* SPDX-License-Identifier: PostgreSQL
 *
 * The page, as page/assemble.py puts it together at build time.
 */
#pragma once

#include <stddef.h>

extern const char web_page_policy[];
extern const char web_page_tag[];
extern const size_t web_page_length;
extern const unsigned char web_page[];
