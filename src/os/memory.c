/* SPDX-License-Identifier: PostgreSQL
 *
 * See memory.h.
 */
#include "walrx/os/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *memory_for_disk(size_t size)
{
    void *memory;
    if (posix_memalign(&memory, HUGE_PAGE, size) != 0)
        return NULL;
    (void)madvise(memory, size, MADV_HUGEPAGE); /* without them it is slower, not wrong */
    return memory;
}
