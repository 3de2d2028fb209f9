/* SPDX-License-Identifier: PostgreSQL
 *
 * See quarantine.h.
 */
#include "walrx/archive/quarantine.h"

#include "walrx/os/durable.h"

#include <stdio.h>

/* A file that is refused again and again must not fill the disk unseen. */
#define QUARANTINE_MAX 100

bool quarantine_move(const Archive *archive, const Dir *from, const char *name, const char *as,
                     Error *err)
{
    Dir dir;
    if (!dir_open_inside(&archive->private, QUARANTINE_DIR, true, &dir, NULL, err))
        return false;
    bool ok = true;
    bool taken = true;
    for (int i = 0; ok && taken; i++) {
        char target[256];
        if (i == QUARANTINE_MAX) {
            ok = error_set(err, ERROR_STORAGE, "quarantine \"%s\" holds %d files of name \"%s\"",
                           dir.path, i, as);
            break;
        }
        if (i == 0)
            (void)snprintf(target, sizeof(target), "%s", as);
        else
            (void)snprintf(target, sizeof(target), "%s.%d", as, i);
        ok = durable_publish(from, name, &dir, target, &taken, err);
    }
    dir_close(&dir);
    return ok;
}
