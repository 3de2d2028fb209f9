/* SPDX-License-Identifier: PostgreSQL
 *
 * The server behind a target: does it run, and does it recover from an archive? While it does,
 * there are postmaster.pid and one of the files that ask for recovery; it removes those when
 * recovery ends (StartupXLOG, xlog.c, PostgreSQL 15), and the first when it stops. pg_rewind and
 * calls by hand concern a server that is down.
 */
#include "prefetch_internal.h"

#include "walrx/base/parse.h"
#include "walrx/os/process.h"

#include <limits.h>
#include <string.h>

#define PID_FILE "postmaster.pid" /* its first line */

static bool exists(const GetTarget *target, const char *name)
{
    bool found;
    uint64_t size;
    Error ignored;
    return file_status(&target->data, name, &found, &size, &ignored) && found;
}

static bool runs(const GetTarget *target, uint64_t *ret_pid)
{
    char line[32];
    size_t length;
    Error ignored;
    if (!get_target_read(target, PID_FILE, line, sizeof(line) - 1, &length, &ignored))
        return false;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return parse_u64(line, 1, INT_MAX, ret_pid) && process_exists((pid_t)*ret_pid);
}

PrefetchServer prefetch_server_look(const GetTarget *target, uint64_t *ret_pid)
{
    *ret_pid = 0;
    if (target->data.fd < 0 || !exists(target, CONTROL_FILE))
        return PREFETCH_SERVER_UNKNOWN;
    if (!exists(target, "recovery.signal") && !exists(target, STANDBY_SIGNAL) &&
        !exists(target, RECOVERY_CONF))
        return PREFETCH_SERVER_DOWN;
    return runs(target, ret_pid) ? PREFETCH_SERVER_RECOVERS : PREFETCH_SERVER_DOWN;
}
