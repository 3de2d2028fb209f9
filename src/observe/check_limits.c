/* SPDX-License-Identifier: PostgreSQL
 *
 * See check_limits.h.
 */
#include "walrx/observe/check_limits.h"

#include "walrx/base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MEGABYTE (UINT64_C(1) << 20)
#define GIGABYTE (UINT64_C(1) << 30)
#define NS_PER_MS UINT64_C(1000000)
#define MINUTE (60 * 1000 * NS_PER_MS)
#define MAX_MS (UINT64_MAX / NS_PER_MS)
#define VALUE_SIZE 64

#define AT(value)                                                                                  \
    {                                                                                              \
        CHECK_LIMIT_AT, value                                                                      \
    }
#define OFF                                                                                        \
    {                                                                                              \
        CHECK_LIMIT_OFF, 0                                                                         \
    }
#define DEPENDS                                                                                    \
    {                                                                                              \
        CHECK_LIMIT_DEFAULT, 0                                                                     \
    }

/* What is received and not durable is behind in flushed-lag, too: one threshold tells of both. */
const CheckFigureSpec check_figures[CHECK_FIGURE_COUNT] = {
    [CHECK_RECEIVED_LAG] = {"received-lag", CHECK_BYTES, false, OFF, OFF,
                            .help = "WAL of the server that was not received"},
    [CHECK_WRITTEN_LAG] = {"written-lag", CHECK_BYTES, false, OFF, OFF, .help = "not written"},
    [CHECK_FLUSHED_LAG] = {"flushed-lag", CHECK_BYTES, false, AT(100 * MEGABYTE), AT(GIGABYTE),
                           .help = "not durable here"},
    [CHECK_ARCHIVED_LAG] = {"archived-lag", CHECK_BYTES, false, OFF, OFF,
                            .help = "not compressed, if it is to be"},
    [CHECK_RECEIVED_LAG_TIME] = {"received-lag-time", CHECK_TIME, false, OFF, OFF,
                                 .help = "how long ago the server got the first of it"},
    [CHECK_WRITTEN_LAG_TIME] = {"written-lag-time", CHECK_TIME, false, OFF, OFF,
                                .help = "the same"},
    [CHECK_FLUSHED_LAG_TIME] = {"flushed-lag-time", CHECK_TIME, false, AT(5 * MINUTE),
                                AT(30 * MINUTE), .help = "the same"},
    [CHECK_ARCHIVED_LAG_TIME] = {"archived-lag-time", CHECK_TIME, false, OFF, OFF,
                                 .help = "the same"},
    [CHECK_MESSAGE_AGE] = {"message-age", CHECK_TIME, false, AT(2 * MINUTE), AT(5 * MINUTE),
                           .help = "since the server's last sign of life"},
    [CHECK_SLOT_RETAINED] = {"slot-retained", CHECK_BYTES, false, AT(50 * GIGABYTE), OFF,
                             .help = "WAL that the primary keeps for the slot"},
    [CHECK_SLOT_SAFE] = {"slot-safe", CHECK_BYTES, true, DEPENDS, DEPENDS, "half used", "4/5 used",
                         "safe_wal_size: what may come until the slot is in danger"},
    [CHECK_GAPS] = {"gaps", CHECK_COUNT, false, OFF, AT(0), .help = "recorded in the archive"},
    [CHECK_VERIFICATION_ERRORS] = {"verification-errors", CHECK_COUNT, false, OFF, AT(0),
                                   .help = "damaged places in WAL that arrived"},
    [CHECK_QUARANTINED] = {"quarantined", CHECK_COUNT, false, AT(0), OFF,
                           .help = "files in .walrx/quarantine"},
    [CHECK_FREE_DISK] = {"free-disk", CHECK_BYTES, true, DEPENDS, DEPENDS, "2GB*", "512MB*",
                         "on the archive's filesystem"},
    [CHECK_QUEUE] = {"queue", CHECK_COUNT, false, AT(64), OFF,
                     .help = "segments that wait to be compressed"},
};

static bool parse_value(CheckUnit unit, const char *text, uint64_t *ret)
{
    uint64_t ms;
    switch (unit) {
    case CHECK_BYTES:
        return parse_size(text, 1, ret);
    case CHECK_COUNT:
        return parse_u64(text, 0, UINT64_MAX, ret);
    case CHECK_TIME:
        if (!parse_duration(text, 1000, &ms) || ms > MAX_MS)
            return false;
        *ret = ms * NS_PER_MS;
        return true;
    }
    return false;
}

static bool refuse_name(const char *name, size_t length, Error *err)
{
    char list[ERROR_DETAIL_SIZE / 2] = "";
    size_t used = 0;
    for (size_t i = 0; i < CHECK_FIGURE_COUNT; i++) {
        int added = snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "",
                             check_figures[i].name);
        used += added > 0 && (size_t)added < sizeof(list) - used ? (size_t)added : 0;
    }
    error_set(err, ERROR_USAGE, "unknown threshold \"%.*s\"", (int)length, name);
    return error_detail(err, "Names are %s.", list);
}

static bool refuse_value(const CheckFigureSpec *spec, const char *text, Error *err)
{
    static const char *const looks[] = {"a size, as in 64MB", "a duration, as in 30s", "a number"};
    error_set(err, ERROR_USAGE, "invalid threshold \"%s\" for %s", text, spec->name);
    return error_detail(err, "It is %s, or off.", looks[spec->unit]);
}

/* One of the list: `length` bytes at `text`. */
static bool take_one(const char *text, size_t length, CheckLimits *limits, Error *err)
{
    char value[VALUE_SIZE];
    const char *sign = memchr(text, '=', length);
    size_t name_length = sign != NULL ? (size_t)(sign - text) : 0;
    size_t figure = sign != NULL ? 0 : CHECK_FLUSHED_LAG;
    size_t value_at = sign != NULL ? name_length + 1 : 0;
    while (sign != NULL && figure < CHECK_FIGURE_COUNT &&
           (strlen(check_figures[figure].name) != name_length ||
            memcmp(check_figures[figure].name, text, name_length) != 0))
        figure++;
    if (figure == CHECK_FIGURE_COUNT)
        return refuse_name(text, name_length < VALUE_SIZE ? name_length : VALUE_SIZE, err);
    const CheckFigureSpec *spec = &check_figures[figure];
    CheckLimit *limit = &limits->limit[figure];
    (void)snprintf(value, sizeof(value), "%.*s", (int)(length - value_at), text + value_at);
    if (length - value_at >= sizeof(value))
        return refuse_value(spec, value, err);
    if (strcmp(value, "off") == 0) {
        *limit = (CheckLimit){.kind = CHECK_LIMIT_OFF};
        return true;
    }
    if (!parse_value(spec->unit, value, &limit->value))
        return refuse_value(spec, value, err);
    limit->kind = CHECK_LIMIT_AT;
    return true;
}

bool check_limits_parse(const char *text, CheckLimits *limits, Error *err)
{
    CheckLimits parsed = *limits;
    for (;;) {
        size_t length = strcspn(text, ",");
        if (!take_one(text, length, &parsed, err))
            return false;
        if (text[length] == '\0')
            break;
        text += length + 1;
    }
    *limits = parsed;
    return true;
}

const char *check_limit_text(CheckFigure figure, bool critical, char buffer[CHECK_LIMIT_TEXT_SIZE])
{
    const CheckFigureSpec *spec = &check_figures[figure];
    CheckLimit limit = critical ? spec->critical : spec->warning;
    if (limit.kind == CHECK_LIMIT_DEFAULT)
        return critical ? spec->critical_help : spec->warning_help;
    if (limit.kind == CHECK_LIMIT_OFF)
        return "off";
    switch (spec->unit) {
    case CHECK_BYTES:
        return format_size(limit.value, buffer);
    case CHECK_TIME:
        return format_duration(limit.value / NS_PER_MS, buffer);
    case CHECK_COUNT:
        (void)snprintf(buffer, CHECK_LIMIT_TEXT_SIZE, "%" PRIu64, limit.value);
        break;
    }
    return buffer;
}
