/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: sizes and durations are one grammar, NUMBER[.FRACTION][ ][UNIT], with two tables of
 * units. All arithmetic is in integers of the smallest unit, checked for overflow; a fraction that
 * is not a whole number of them is refused rather than rounded.
 */
#include "walrx/base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct Unit {
    const char *name;
    uint64_t factor;
} Unit;

/* Largest first: format_* take the first that divides. */
static const Unit size_units[] = {
    {"TB", UINT64_C(1) << 40},
    {"GB", UINT64_C(1) << 30},
    {"MB", UINT64_C(1) << 20},
    {"kB", UINT64_C(1) << 10},
    {"B", 1},
    {NULL, 0},
};
static const Unit duration_units[] = {
    {"d", UINT64_C(86400000000)},
    {"h", UINT64_C(3600000000)},
    {"min", UINT64_C(60000000)},
    {"s", UINT64_C(1000000)},
    {"ms", UINT64_C(1000)},
    {"us", 1},
    {NULL, 0},
};
#define US_PER_MS 1000

/* Six digits after the point: a fraction below 10^6 times the largest factor (2^40) fits 64 bits.
 */
#define FRACTION_SCALE_MAX 1000000

/* Reads one or more digits and moves *text behind them. */
static bool take_digits(const char **text, uint64_t *ret)
{
    const char *at = *text;
    uint64_t value = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *ret = value;
    return true;
}

bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value;

    if (!take_digits(&text, &value) || *text != '\0' || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

/* The optional ".FRACTION": the digits as an integer, and the power of ten they are divided by. */
static bool take_fraction(const char **text, uint64_t *ret_digits, uint64_t *ret_scale)
{
    uint64_t digits = 0;
    uint64_t scale = 1;

    if (**text == '.') {
        const char *first = ++*text;
        if (!take_digits(text, &digits))
            return false;
        for (const char *at = first; at < *text; at++) {
            scale *= 10;
            if (scale > FRACTION_SCALE_MAX)
                return false;
        }
    }
    *ret_digits = digits;
    *ret_scale = scale;
    return true;
}

/* The optional unit, after at most one blank. */
static bool find_factor(const char *text, const Unit *units, uint64_t default_factor, uint64_t *ret)
{
    if (*text == '\0') {
        *ret = default_factor;
        return true;
    }
    if (*text == ' ')
        text++;
    for (; units->name; units++) {
        if (strcmp(units->name, text) == 0) {
            *ret = units->factor;
            return true;
        }
    }
    return false;
}

static bool parse_quantity(const char *text, const Unit *units, uint64_t default_factor,
                           uint64_t *ret)
{
    uint64_t whole;
    uint64_t digits;
    uint64_t scale;
    uint64_t factor;
    uint64_t part;

    if (!take_digits(&text, &whole) || !take_fraction(&text, &digits, &scale) ||
        !find_factor(text, units, default_factor, &factor))
        return false;
    if (__builtin_mul_overflow(whole, factor, &whole) ||
        __builtin_mul_overflow(digits, factor, &part) || part % scale != 0 ||
        __builtin_add_overflow(whole, part / scale, &whole))
        return false;
    *ret = whole;
    return true;
}

bool parse_size(const char *text, uint64_t default_unit, uint64_t *ret_bytes)
{
    return parse_quantity(text, size_units, default_unit, ret_bytes);
}

bool parse_duration(const char *text, uint64_t default_unit_ms, uint64_t *ret_ms)
{
    uint64_t default_unit_us;
    uint64_t us;

    if (__builtin_mul_overflow(default_unit_ms, (uint64_t)US_PER_MS, &default_unit_us) ||
        !parse_quantity(text, duration_units, default_unit_us, &us) || us % US_PER_MS != 0)
        return false;
    *ret_ms = us / US_PER_MS;
    return true;
}

bool parse_bool(const char *text, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        {"on", true},  {"off", false}, {"true", true}, {"false", false},
        {"yes", true}, {"no", false},  {"1", true},    {"0", false},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *ret = words[i].value;
            return true;
        }
    }
    return false;
}

const char *format_size(uint64_t bytes, char buffer[PARSE_TEXT_SIZE])
{
    const Unit *unit = size_units;

    while (unit->factor > 1 && (bytes == 0 || bytes % unit->factor != 0))
        unit++;
    (void)snprintf(buffer, PARSE_TEXT_SIZE, "%" PRIu64 "%s", bytes / unit->factor, unit->name);
    return buffer;
}

const char *format_duration(uint64_t ms, char buffer[PARSE_TEXT_SIZE])
{
    const Unit *unit = duration_units;

    while (unit->factor > US_PER_MS && (ms == 0 || ms % (unit->factor / US_PER_MS) != 0))
        unit++;
    (void)snprintf(buffer, PARSE_TEXT_SIZE, "%" PRIu64 "%s", ms / (unit->factor / US_PER_MS),
                   unit->name);
    return buffer;
}
