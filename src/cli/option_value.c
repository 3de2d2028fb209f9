/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: a value's place is an offset in Options, its type the option's kind. Each kind reads into
 * a local first, so that a refusal changes nothing.
 */
#include "walrx/cli/option_value.h"

#include "walrx/base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_PER_SECOND 1000

static void *member(const OptionSpec *spec, Options *options)
{
    return (char *)options + spec->offset;
}

static const void *const_member(const OptionSpec *spec, const Options *options)
{
    return (const char *)options + spec->offset;
}

/* How messages name the option: those about pg_receivewal's integers name both forms. */
static const char *label(const OptionSpec *spec, char buffer[OPTION_TEXT_SIZE])
{
    if (spec->kind == OPTION_SECONDS)
        (void)snprintf(buffer, OPTION_TEXT_SIZE, "-%c/--%s", spec->short_name, spec->name);
    else
        (void)snprintf(buffer, OPTION_TEXT_SIZE, "--%s", spec->name);
    return buffer;
}

static bool refuse_value(const OptionSpec *spec, const char *text, Error *err)
{
    char name[OPTION_TEXT_SIZE];
    return error_set(err, ERROR_USAGE, "invalid value \"%s\" for option %s", text,
                     label(spec, name));
}

static bool refuse_range(const OptionSpec *spec, const char *least, const char *most, Error *err)
{
    char name[OPTION_TEXT_SIZE];
    return error_set(err, ERROR_USAGE, "%s must be in range %s..%s", label(spec, name), least,
                     most);
}

static bool store_flag(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    bool value;
    if (!parse_bool(text, &value)) {
        /* The text is not repeated: behind "password" it may be one. */
        error_set(err, ERROR_USAGE, "invalid value for option --%s: it is on or off", spec->name);
        if (spec->offset == offsetof(Options, password))
            error_detail(err, "Passwords belong into a password file or the connection string.");
        return false;
    }
    *(bool *)member(spec, options) = value;
    /* The later of these two counts, as with pg_receivewal. */
    if (value && spec->offset == offsetof(Options, password))
        options->no_password = false;
    if (value && spec->offset == offsetof(Options, no_password))
        options->password = false;
    return true;
}

static bool store_number(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    uint64_t value;
    char least[OPTION_TEXT_SIZE];
    char most[OPTION_TEXT_SIZE];
    if (!parse_u64(text, 0, UINT64_MAX, &value))
        return refuse_value(spec, text, err);
    if (value < spec->minimum || value > spec->maximum) {
        (void)snprintf(least, sizeof(least), "%" PRIu64, spec->minimum);
        (void)snprintf(most, sizeof(most), "%" PRIu64, spec->maximum);
        return refuse_range(spec, least, most, err);
    }
    *(uint64_t *)member(spec, options) = value;
    return true;
}

static bool store_size(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    uint64_t value;
    char least[PARSE_TEXT_SIZE];
    char most[PARSE_TEXT_SIZE];
    if (!parse_size(text, 1, &value)) {
        refuse_value(spec, text, err);
        return error_detail(err, "Units are B, kB, MB, GB and TB, as in 64MB.");
    }
    if (value < spec->minimum || value > spec->maximum)
        return refuse_range(spec, format_size(spec->minimum, least),
                            format_size(spec->maximum, most), err);
    *(uint64_t *)member(spec, options) = value;
    return true;
}

/* Who writes --keep-time=30 means days; seconds would cost nearly all the WAL there is. */
static bool lacks_unit(const OptionSpec *spec, const char *text)
{
    return spec->offset == offsetof(Options, keep_time_ms) && strcmp(text, "0") != 0 &&
           text[strspn(text, " 0123456789.")] == '\0';
}

static bool store_duration(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    uint64_t value;
    char least[PARSE_TEXT_SIZE];
    char most[PARSE_TEXT_SIZE];
    if (lacks_unit(spec, text)) {
        refuse_value(spec, text, err);
        return error_detail(err, "It needs a unit, as in 30d: ms, s, min, h or d.");
    }
    if (!parse_duration(text, MS_PER_SECOND, &value)) {
        refuse_value(spec, text, err);
        return error_detail(err,
                            "Units are ms, s, min, h and d, as in 500ms; a number alone counts "
                            "seconds.");
    }
    if (value < spec->minimum || value > spec->maximum)
        return refuse_range(spec, format_duration(spec->minimum, least),
                            format_duration(spec->maximum, most), err);
    *(uint64_t *)member(spec, options) = value;
    return true;
}

/* As option_parse_int in src/fe_utils/option_utils.c, PostgreSQL 15: blanks around the number and a
 * sign are fine, an empty text is 0. */
static bool store_seconds(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    char *end;
    char least[OPTION_TEXT_SIZE];
    char most[OPTION_TEXT_SIZE];
    uint64_t low = spec->minimum / MS_PER_SECOND;
    uint64_t high = spec->maximum / MS_PER_SECOND;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool overflow = errno == ERANGE;
    while (isspace((unsigned char)*end))
        end++;
    if (*end != '\0')
        return refuse_value(spec, text, err);
    if (overflow || value < 0 || (uint64_t)value < low || (uint64_t)value > high) {
        (void)snprintf(least, sizeof(least), "%" PRIu64, low);
        (void)snprintf(most, sizeof(most), "%" PRIu64, high);
        return refuse_range(spec, least, most, err);
    }
    *(uint64_t *)member(spec, options) = (uint64_t)value * MS_PER_SECOND;
    return true;
}

static bool store_lsn(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    Lsn value;
    if (!lsn_parse(text, &value)) {
        error_set(err, ERROR_USAGE, "could not parse %sposition \"%s\"",
                  spec->offset == offsetof(Options, endpos) ? "end "
                  : spec->offset == offsetof(Options, lsn)  ? ""
                                                            : "start ",
                  text);
        return error_detail(err, "Positions look like 16/B374D848.");
    }
    *(Lsn *)member(spec, options) = value;
    return true;
}

static bool store_choice(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    char list[ERROR_DETAIL_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; spec->choices[i] != NULL; i++) {
        if (strcmp(spec->choices[i], text) == 0) {
            /* The table's own text, not the given one: it lives for ever. */
            *(const char **)member(spec, options) = spec->choices[i];
            return true;
        }
        int added =
            snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", spec->choices[i]);
        used += added > 0 && (size_t)added < sizeof(list) - used ? (size_t)added : 0;
    }
    refuse_value(spec, text, err);
    return error_detail(err, "Choices are %s.", list);
}

static bool store_compress(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    CompressSpec value;
    if (!compress_spec_parse(text, &value, err))
        return false;
    *(CompressSpec *)member(spec, options) = value;
    return true;
}

static bool store_list(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    OptionList *list = member(spec, options);
    if (list->count == OPTION_LIST_MAX)
        return error_set(err, ERROR_USAGE, "option --%s is given more than %d times", spec->name,
                         OPTION_LIST_MAX);
    list->items[list->count++] = text;
    return true;
}

bool option_store(const OptionSpec *spec, const char *text, Options *options, Error *err)
{
    switch (spec->kind) {
    case OPTION_FLAG:
        return store_flag(spec, text, options, err);
    case OPTION_TEXT:
        *(const char **)member(spec, options) = text;
        return true;
    case OPTION_NUMBER:
        return store_number(spec, text, options, err);
    case OPTION_SIZE:
        return store_size(spec, text, options, err);
    case OPTION_DURATION:
        return store_duration(spec, text, options, err);
    case OPTION_SECONDS:
        return store_seconds(spec, text, options, err);
    case OPTION_LSN:
        return store_lsn(spec, text, options, err);
    case OPTION_COMPRESS:
        return store_compress(spec, text, options, err);
    case OPTION_CHOICE:
        return store_choice(spec, text, options, err);
    case OPTION_LIMITS:
        return check_limits_parse(text, member(spec, options), err);
    case OPTION_LIST:
        return store_list(spec, text, options, err);
    }
    return error_set(err, ERROR_USAGE, "option --%s cannot be set", spec->name);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_limits(const CheckLimits *a, const CheckLimits *b)
{
    for (size_t i = 0; i < CHECK_FIGURE_COUNT; i++) {
        if (a->limit[i].kind != b->limit[i].kind || a->limit[i].value != b->limit[i].value)
            return false;
    }
    return true;
}

static bool same_list(const OptionList *a, const OptionList *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (!same_text(a->items[i], b->items[i]))
            return false;
    }
    return a->count == b->count;
}

bool option_same(const OptionSpec *spec, const Options *a, const Options *b)
{
    const void *x = const_member(spec, a);
    const void *y = const_member(spec, b);
    switch (spec->kind) {
    case OPTION_FLAG:
        return *(const bool *)x == *(const bool *)y;
    case OPTION_TEXT:
    case OPTION_CHOICE:
        return same_text(*(const char *const *)x, *(const char *const *)y);
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_DURATION:
    case OPTION_SECONDS:
    case OPTION_LSN:
        return *(const uint64_t *)x == *(const uint64_t *)y;
    case OPTION_COMPRESS: {
        const CompressSpec *one = x;
        const CompressSpec *two = y;
        return one->method == two->method && one->level == two->level;
    }
    case OPTION_LIMITS:
        return same_limits(x, y);
    case OPTION_LIST:
        return same_list(x, y);
    }
    return false;
}

const char *option_format(const OptionSpec *spec, const Options *options,
                          char buffer[OPTION_TEXT_SIZE])
{
    const void *value = const_member(spec, options);
    const char *text = NULL;
    buffer[0] = '\0';
    switch (spec->kind) {
    case OPTION_FLAG:
    case OPTION_LSN:
    case OPTION_LIMITS:
    case OPTION_LIST:
        break;
    case OPTION_NUMBER:
        if (*(const uint64_t *)value >= spec->minimum) /* below: stands for not given */
            (void)snprintf(buffer, OPTION_TEXT_SIZE, "%" PRIu64, *(const uint64_t *)value);
        break;
    case OPTION_TEXT:
    case OPTION_CHOICE:
        text = *(const char *const *)value;
        (void)snprintf(buffer, OPTION_TEXT_SIZE, "%s", text != NULL ? text : "");
        break;
    case OPTION_SIZE:
        if (*(const uint64_t *)value >= spec->minimum && /* outside: stands for not given */
            *(const uint64_t *)value <= spec->maximum)
            (void)format_size(*(const uint64_t *)value, buffer);
        break;
    case OPTION_DURATION:
        if (*(const uint64_t *)value >= spec->minimum) /* below: stands for not given */
            (void)format_duration(*(const uint64_t *)value, buffer);
        break;
    case OPTION_SECONDS:
        (void)snprintf(buffer, OPTION_TEXT_SIZE, "%" PRIu64,
                       *(const uint64_t *)value / MS_PER_SECOND);
        break;
    case OPTION_COMPRESS:
        (void)compress_spec_format(*(const CompressSpec *)value, buffer);
        break;
    }
    return buffer;
}
