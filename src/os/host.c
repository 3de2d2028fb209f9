/* SPDX-License-Identifier: PostgreSQL
 *
 * See host.h.
 */
#include "walrx/os/host.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

unsigned host_cores(void)
{
    cpu_set_t set;
    int cores = 0;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = CPU_COUNT(&set);
    return cores > 0 ? (unsigned)cores : 1;
}

uint64_t host_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

bool host_boot_id(char ret[BOOT_ID_SIZE])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, ret, BOOT_ID_SIZE - 1);
    (void)close(fd);
    if (length < 32)
        return false;
    ret[length] = '\0';
    return true;
}
