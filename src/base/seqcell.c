/* SPDX-License-Identifier: PostgreSQL
 *
 * See seqcell.h.
 */
#include "walrx/base/seqcell.h"

#include <assert.h>
#include <string.h>

static size_t words_of(size_t size)
{
    assert(size <= SEQCELL_MAX_SIZE);
    return (size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

void seqcell_write(SeqCell *cell, const void *data, size_t size)
{
    uint64_t words[SEQCELL_WORDS];
    size_t count = words_of(size);
    uint64_t sequence = atomic_load_explicit(&cell->sequence, memory_order_relaxed);
    words[count > 0 ? count - 1 : 0] = 0;
    memcpy(words, data, size);
    atomic_store_explicit(&cell->sequence, sequence + 1, memory_order_relaxed);
    /* Nothing of the new words is seen before the odd sequence. Stores that release do the same as
     * a fence here, and ThreadSanitizer understands them. */
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
    atomic_store_explicit(&cell->sequence, sequence + 2, memory_order_release);
}

void seqcell_read(const SeqCell *cell, void *ret, size_t size)
{
    uint64_t words[SEQCELL_WORDS];
    size_t count = words_of(size);
    uint64_t before;
    uint64_t after;
    do {
        before = atomic_load_explicit(&cell->sequence, memory_order_acquire);
        /* A word of a newer write brings that write's odd sequence along. */
        for (size_t i = 0; i < count; i++)
            words[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
        after = atomic_load_explicit(&cell->sequence, memory_order_relaxed);
    } while (before != after || (before & 1) != 0);
    /* cppcheck-suppress uninitvar ; all that is copied was read, size is never 0 */
    memcpy(ret, words, size);
}
