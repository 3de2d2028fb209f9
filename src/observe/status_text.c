/* SPDX-License-Identifier: PostgreSQL
 *
 * See status_text.h.
 */
#include "walrx/observe/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)

const char *status_bytes(uint64_t bytes, char buffer[STATUS_SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    if (bytes == SNAPSHOT_UNKNOWN) {
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "-");
        return buffer;
    }
    while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(buffer, STATUS_SIZE_TEXT, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
    return buffer;
}

const char *status_time(uint64_t ns, char buffer[STATUS_SIZE_TEXT])
{
    uint64_t seconds = ns / NS_PER_SECOND;
    if (ns == SNAPSHOT_UNKNOWN)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "-");
    else if (ns == 0)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "0 s");
    else if (ns < 1000000)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%" PRIu64 " us", ns / 1000);
    else if (ns < NS_PER_SECOND)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%.1f ms", (double)ns / 1e6);
    else if (seconds < 60)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%.1f s", (double)ns / 1e9);
    else if (seconds < 3600)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%" PRIu64 " min %" PRIu64 " s", seconds / 60,
                       seconds % 60);
    else if (seconds < 86400)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                       seconds / 60 % 60);
    else
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400,
                       seconds / 3600 % 24);
    return buffer;
}

const char *status_moment(PgTime time, char buffer[CLOCK_TEXT_SIZE])
{
    if (time == PG_TIME_NONE)
        return "-";
    (void)clock_pg_text(time, buffer);
    char *point = strchr(buffer, '.');
    if (point != NULL)
        (void)snprintf(point, CLOCK_TEXT_SIZE - (size_t)(point - buffer), "Z");
    return buffer;
}
