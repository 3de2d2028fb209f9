/* SPDX-License-Identifier: PostgreSQL
 *
 * Which program this is: the name it was called by decides.
 */
#include "commands.h"

#include "walrx/stream/connection.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *path = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(path, '/');
    /* Files come out with the modes they are created with, 0600 or 0640, whatever the caller's. */
    (void)umask(0027);
    bool front = strcmp(slash != NULL ? slash + 1 : path, "pg_receivewal") == 0;
    int status = front ? front_pg_receivewal(argc, argv) : walrx_main(argc, argv);
    if (connection_attempts_left()) {
        /* A thread that never came back is inside of a library; exit would pull that down. */
        (void)fflush(stdout);
        _exit(status);
    }
    return status;
}
