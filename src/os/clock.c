/* SPDX-License-Identifier: PostgreSQL
 *
 * See clock.h.
 */
#include "walrx/os/clock.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

PgTime clock_pg_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((int64_t)now.tv_sec - PG_EPOCH_UNIX_SECONDS) * 1000000 + now.tv_nsec / 1000;
}

const char *clock_utc_text(char buffer[CLOCK_TEXT_SIZE])
{
    struct timespec now;
    struct tm parts;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(buffer, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(buffer + length, CLOCK_TEXT_SIZE - length, ".%03ldZ", now.tv_nsec / 1000000);
    return buffer;
}

const char *clock_pg_text(PgTime time, char buffer[CLOCK_TEXT_SIZE])
{
    int64_t micros = time % 1000000;
    time_t seconds = (time_t)(time / 1000000 + PG_EPOCH_UNIX_SECONDS);
    struct tm parts;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    (void)gmtime_r(&seconds, &parts); /* 64 bits of microseconds stay within its years */
    size_t length = strftime(buffer, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(buffer + length, CLOCK_TEXT_SIZE - length, ".%06dZ", (int)micros);
    return buffer;
}

uint64_t clock_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (uint64_t)now.tv_nsec * UINT64_C(0x9E3779B97F4A7C15);
    }
    return seed;
}
