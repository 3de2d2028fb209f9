/* SPDX-License-Identifier: PostgreSQL
 *
 * The order of the checks: what costs nothing first, what reads the archive last.
 */
#include "stage_internal.h"

#include <stdlib.h>
#include <string.h>

static bool check_settings(const StageRequest *request, Error *err)
{
    for (size_t i = 0; i < request->settings.count; i++) {
        const char *text = request->settings.items[i];
        size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_.");
        if (length == 0 || length > 63 || text[length] != '=' || strpbrk(text, "\n\r") != NULL) {
            error_set(err, ERROR_USAGE, "invalid setting \"%s\"", text);
            return error_hint(err, "It is NAME=VALUE, as --set=shared_buffers=1GB.");
        }
    }
    return true;
}

bool stage_check(const StageRequest *request, Stage *ret, Error *err)
{
    memset(ret, 0, sizeof(*ret));
    if (!check_settings(request, err) || !stage_place_check(request, ret, err) ||
        !stage_backup_check(request, ret, err) || !stage_tablespace_check(request, ret, err) ||
        !stage_place_owner(request, ret, err) || !stage_programs_find(request, ret, err) ||
        !stage_wal_check(request, ret, err))
        return false;
    ret->port = request->port != 0 ? request->port : stage_programs_port();
    return true;
}

void stage_free(Stage *stage)
{
    free(stage->tablespaces);
    stage->tablespaces = NULL;
    find_free(&stage->found);
}
