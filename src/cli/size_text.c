/* SPDX-License-Identifier: PostgreSQL
 *
 * See size_text.h.
 */
#include "size_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

const char *size_text(uint64_t bytes, char buffer[SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        value /= 1024;
        unit++;
    }
    bool whole = unit == 0 || value == (double)(uint64_t)value;
    (void)snprintf(buffer, SIZE_TEXT, "%.*f %s", whole ? 0 : 1, value, units[unit]);
    return buffer;
}
