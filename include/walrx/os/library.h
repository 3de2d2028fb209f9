/* SPDX-License-Identifier: PostgreSQL
 *
 * Libraries that are loaded where they are first used: libpq and libmicrohttpd pull in thirty
 * others, which costs more than the whole of a short command (docs/decisions/0019).
 *
 * A library's functions are defined once more under their own names (LIBRARY_FORWARD) and hand
 * on to the library. Callers do not see a difference. The definitions are weak, so that a test may
 * put its own in their place.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

/* The function of that name; loads the library. Where it is missing, the program says so and ends
 * with status 1, as it would end when it were linked: at its first use nothing has been done yet.
 */
void *library_function(const char *library, const char *name);

#define LIBRARY_TARGET(library, type, name, params)                                                \
    static void *_Atomic found;                                                                    \
    type(*target) params;                                                                          \
    void *at = atomic_load_explicit(&found, memory_order_relaxed);                                 \
    if (at == NULL) {                                                                              \
        at = library_function(library, #name);                                                     \
        atomic_store_explicit(&found, at, memory_order_relaxed);                                   \
    }                                                                                              \
    *(void **)&target = at

/* `name` hands on to the function of that name in `library`. */
#define LIBRARY_FORWARD(library, type, name, params, arguments)                                    \
    __attribute__((weak)) type name params                                                         \
    {                                                                                              \
        LIBRARY_TARGET(library, type, name, params);                                               \
        return target arguments;                                                                   \
    }

/* The same for one that returns nothing. */
#define LIBRARY_FORWARD_VOID(library, name, params, arguments)                                     \
    __attribute__((weak)) void name params                                                         \
    {                                                                                              \
        LIBRARY_TARGET(library, void, name, params);                                               \
        target arguments;                                                                          \
    }
