/* SPDX-License-Identifier: PostgreSQL
 *
 * See timestamp.h. Offsets are ISO's and PostgreSQL's: east of Greenwich is positive.
 */
#include "walrx/os/timestamp.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MICROS 1000000
#define YEAR_MIN 1970
#define YEAR_MAX 9999
#define OFFSET_HOURS_MAX 15        /* MAX_TZDISP_HOUR */
#define AROUND_SECONDS (36 * 3600) /* more than any offset, less than between two changes */

typedef struct Parts {
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int micros;
    bool has_zone;
    int offset; /* seconds east */
} Parts;

/* So many digits, no more and no fewer. */
static bool take_digits(const char **at, int count, int *ret)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*at)[i]))
            return false;
        value = value * 10 + ((*at)[i] - '0');
    }
    if (isdigit((unsigned char)(*at)[count]))
        return false;
    *at += count;
    *ret = value;
    return true;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_fraction(const char **at, int *ret_micros)
{
    int digits = 0;
    *ret_micros = 0;
    for (; isdigit((unsigned char)**at); (*at)++, digits++) {
        if (digits == 6)
            return false;
        *ret_micros = *ret_micros * 10 + (**at - '0');
    }
    for (int i = digits; i < 6; i++)
        *ret_micros *= 10;
    return digits > 0;
}

/* "+01", "+0130", "+01:30" */
static bool take_offset(const char **at, int *ret)
{
    int sign = **at == '-' ? -1 : 1;
    int hours;
    int minutes = 0;
    (*at)++;
    if (take_digits(at, 4, &minutes)) {
        hours = minutes / 100;
        minutes %= 100;
    } else if (!take_digits(at, 2, &hours)) {
        return false;
    } else if (take_char(at, ':') && !take_digits(at, 2, &minutes)) {
        return false;
    }
    *ret = sign * (hours * 3600 + minutes * 60);
    return hours <= OFFSET_HOURS_MAX && minutes < 60;
}

static bool take_zone(const char **at, Parts *parts)
{
    if (**at == '\0')
        return true;
    (void)take_char(at, ' ');
    parts->has_zone = true;
    if (strcasecmp(*at, "z") == 0 || strcasecmp(*at, "utc") == 0 || strcasecmp(*at, "gmt") == 0) {
        *at += strlen(*at);
        return true;
    }
    return (**at == '+' || **at == '-') && take_offset(at, &parts->offset);
}

static bool take_time(const char **at, Parts *parts)
{
    if (!take_digits(at, 2, &parts->hour) || !take_char(at, ':') ||
        !take_digits(at, 2, &parts->minute))
        return false;
    if (take_char(at, ':')) {
        if (!take_digits(at, 2, &parts->second))
            return false;
        if (take_char(at, '.') && !take_fraction(at, &parts->micros))
            return false;
    }
    return take_zone(at, parts);
}

static bool take_all(const char *text, Parts *ret)
{
    const char *at = text;
    *ret = (Parts){.hour = 0};
    if (!take_digits(&at, 4, &ret->year) || !take_char(&at, '-') ||
        !take_digits(&at, 2, &ret->month) || !take_char(&at, '-') ||
        !take_digits(&at, 2, &ret->day))
        return false;
    if (*at == '\0')
        return true;
    if (*at != ' ' && *at != 'T' && *at != 't')
        return false;
    at++;
    return take_time(&at, ret) && *at == '\0';
}

static struct tm broken_down(const Parts *parts)
{
    return (struct tm){
        .tm_year = parts->year - 1900,
        .tm_mon = parts->month - 1,
        .tm_mday = parts->day,
        .tm_hour = parts->hour,
        .tm_min = parts->minute,
        .tm_sec = parts->second,
    };
}

static bool in_range(const Parts *parts)
{
    struct tm day = broken_down(parts);
    int month = day.tm_mon;
    bool fine = parts->year >= YEAR_MIN && parts->year <= YEAR_MAX && parts->month >= 1 &&
                parts->month <= 12 && parts->day >= 1 && parts->day <= 31 && parts->hour < 24 &&
                parts->minute < 60 && parts->second < 60;
    (void)timegm(&day);
    return fine && day.tm_mon == month; /* no 30th of February */
}

/* Is it that local time, `offset` being in force? */
static bool try_offset(time_t wall, long offset, time_t *ret)
{
    struct tm local;
    *ret = wall - offset;
    return localtime_r(ret, &local) != NULL && timegm(&local) == wall;
}

/* The offset that is in force at `seconds` of UTC. */
static long offset_at(time_t seconds)
{
    struct tm local;
    return localtime_r(&seconds, &local) != NULL ? local.tm_gmtoff : 0;
}

/* By the offsets before and after, not by mktime's summer and winter: clocks also change when a
 * country changes its mind. */
static bool local_seconds(const char *text, const Parts *parts, time_t *ret, Error *err)
{
    struct tm zulu = broken_down(parts);
    time_t wall = timegm(&zulu);
    time_t one;
    time_t other;
    tzset();
    bool has_one = try_offset(wall, offset_at(wall - AROUND_SECONDS), &one);
    bool has_other = try_offset(wall, offset_at(wall + AROUND_SECONDS), &other);
    if (has_one && has_other && one != other) {
        error_set(err, ERROR_USAGE, "local time \"%s\" occurs twice", text);
        error_detail(err, "Clocks are set back then.");
        return error_hint(err, "Add a zone, as in \"%s+00\".", text);
    }
    if (!has_one && !has_other) {
        error_set(err, ERROR_USAGE, "local time \"%s\" does not exist", text);
        error_detail(err, "Clocks are set forward then.");
        return error_hint(err, "Add a zone, as in \"%s+00\".", text);
    }
    *ret = has_one ? one : other;
    return true;
}

bool timestamp_parse(const char *text, PgTime *ret, Error *err)
{
    Parts parts;
    time_t seconds = 0;
    if (!take_all(text, &parts)) {
        error_set(err, ERROR_USAGE, "invalid time \"%s\"", text);
        return error_detail(err, "A time looks like \"2026-03-01 12:00:00.5+01\"; without a zone "
                                 "it is a local time.");
    }
    if (!in_range(&parts)) {
        error_set(err, ERROR_USAGE, "time \"%s\" is out of range", text);
        return error_detail(err, "There is no such day or hour.");
    }
    if (parts.has_zone) {
        struct tm zulu = broken_down(&parts);
        seconds = timegm(&zulu) - parts.offset;
    } else if (!local_seconds(text, &parts, &seconds, err)) {
        return false;
    }
    *ret = ((int64_t)seconds - PG_EPOCH_UNIX_SECONDS) * MICROS + parts.micros;
    return true;
}
