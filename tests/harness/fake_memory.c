/* SPDX-License-Identifier: PostgreSQL
 *
 * See fake_memory.h.
 */
#include "fake_memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define PIECES 256

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_posix_memalign(void **ret, size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t size);
void __wrap_free(void *memory);

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static struct {
    unsigned nth;
    bool for_ever;
    unsigned count;
    bool struck;
    bool remember;
    void *pieces[PIECES];
} fake;

void fake_memory_fail(unsigned nth, bool for_ever)
{
    (void)pthread_mutex_lock(&one_at_a_time);
    fake.nth = nth;
    fake.for_ever = for_ever;
    fake.count = 0;
    fake.struck = false;
    (void)pthread_mutex_unlock(&one_at_a_time);
}

unsigned fake_memory_count(void)
{
    (void)pthread_mutex_lock(&one_at_a_time);
    unsigned count = fake.count;
    (void)pthread_mutex_unlock(&one_at_a_time);
    return count;
}

bool fake_memory_struck(void)
{
    (void)pthread_mutex_lock(&one_at_a_time);
    bool struck = fake.struck;
    (void)pthread_mutex_unlock(&one_at_a_time);
    return struck;
}

static bool strikes(void)
{
    (void)pthread_mutex_lock(&one_at_a_time);
    fake.count++;
    bool struck =
        fake.nth > 0 && (fake.count == fake.nth || (fake.for_ever && fake.count > fake.nth));
    fake.struck = fake.struck || struck;
    (void)pthread_mutex_unlock(&one_at_a_time);
    if (struck)
        errno = ENOMEM;
    return struck;
}

static void replace(void *from, void *with)
{
    (void)pthread_mutex_lock(&one_at_a_time);
    for (size_t i = 0; fake.remember && i < PIECES; i++) {
        if (fake.pieces[i] == from) {
            fake.pieces[i] = with;
            break;
        }
    }
    (void)pthread_mutex_unlock(&one_at_a_time);
}

void fake_memory_remember(void)
{
    fake.remember = true;
}

void fake_memory_drop(void)
{
    for (size_t i = 0; i < PIECES; i++) {
        __real_free(fake.pieces[i]);
        fake.pieces[i] = NULL;
    }
}

void *__wrap_malloc(size_t size)
{
    void *memory = strikes() ? NULL : __real_malloc(size);
    if (memory != NULL)
        replace(NULL, memory);
    return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *memory = strikes() ? NULL : __real_calloc(count, size);
    if (memory != NULL)
        replace(NULL, memory);
    return memory;
}

void *__wrap_realloc(void *old, size_t size)
{
    if (strikes())
        return NULL;
    replace(old, NULL);
    void *memory = __real_realloc(old, size);
    if (memory != NULL)
        replace(NULL, memory);
    return memory;
}

int __wrap_posix_memalign(void **ret, size_t alignment, size_t size)
{
    int rc = strikes() ? ENOMEM : __real_posix_memalign(ret, alignment, size);
    if (rc == 0)
        replace(NULL, *ret);
    return rc;
}

void __wrap_free(void *memory)
{
    if (memory != NULL)
        replace(memory, NULL);
    __real_free(memory);
}
