/* SPDX-License-Identifier: PostgreSQL
 *
 * Preloaded into a receiver: holds it right before it syncs a directory, when the test asks for it
 * by making the file $HOLD_DIRECTORY_SYNC. The file is renamed to "....held"; the sync is made once
 * the test has removed that.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_US 1000

static void hold(const char *asked)
{
    char held[4096];
    int length = snprintf(held, sizeof(held), "%s.held", asked);
    if (length < 0 || (size_t)length >= sizeof(held) || rename(asked, held) != 0)
        return;
    while (access(held, F_OK) == 0)
        usleep(POLL_US);
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    const char *asked = getenv("HOLD_DIRECTORY_SYNC");
    struct stat status;
    if (asked != NULL && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
        hold(asked);
    return real(fd);
}
