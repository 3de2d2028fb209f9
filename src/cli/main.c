/* SPDX-License-Identifier: PostgreSQL
 *
 * Which program this is: the name it was called by decides.
 */
#include "commands.h"

#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    const char *path = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(path, '/');
    /* Files come out with the modes they are created with, 0600 or 0640, whatever the caller's. */
    (void)umask(0027);
    if (strcmp(slash != NULL ? slash + 1 : path, "pg_receivewal") == 0)
        return front_pg_receivewal(argc, argv);
    return walrx_main(argc, argv);
}
