/* SPDX-License-Identifier: PostgreSQL
 *
 * See target_options.h.
 */
#include "target_options.h"

#include "walrx/base/parse.h"
#include "walrx/cli/option_parse.h"
#include "walrx/os/timestamp.h"

#include <inttypes.h>
#include <string.h>

#define FIRST_NORMAL_XID 3 /* transam.h */

typedef struct Given {
    const char *name;
    bool given;
    FindKind kind;
} Given;

#define TARGETS 5

/* Commands call the same thing by different names. */
static const char *name_of(CommandBit command, size_t offset)
{
    for (size_t i = 0; i < option_spec_count; i++) {
        if ((option_specs[i].commands & command) != 0 && option_specs[i].offset == offset)
            return option_specs[i].name;
    }
    return "";
}

static void given_targets(CommandBit command, const Options *options, Given ret[TARGETS])
{
    ret[0] = (Given){name_of(command, offsetof(Options, target_time)), options->target_time != NULL,
                     FIND_TIME};
    ret[1] = (Given){name_of(command, offsetof(Options, target_point)),
                     options->target_point != NULL, FIND_POINT};
    ret[2] =
        (Given){name_of(command, offsetof(Options, lsn)), options->lsn != LSN_INVALID, FIND_LSN};
    ret[3] = (Given){name_of(command, offsetof(Options, target_xid)), options->target_xid != 0,
                     FIND_XID};
    ret[4] = (Given){name_of(command, offsetof(Options, target_latest)), options->target_latest,
                     FIND_LATEST};
}

/* NULL: none. */
static const Given *first_target(const Given targets[TARGETS], size_t from)
{
    for (size_t i = from; i < TARGETS; i++) {
        if (targets[i].given)
            return &targets[i];
    }
    return NULL;
}

bool target_check(CommandBit command, const Options *options, Error *err)
{
    Given targets[TARGETS];
    given_targets(command, options, targets);
    const Given *target = first_target(targets, 0);
    if (target == NULL)
        return options_refuse(command, err, "no target specified: --%s, --%s, --%s, --%s or --%s",
                              targets[0].name, targets[1].name, targets[2].name, targets[3].name,
                              targets[4].name);
    const Given *other = first_target(targets, (size_t)(target - targets) + 1);
    if (other != NULL)
        return options_refuse(command, err, "cannot use --%s together with --%s", target->name,
                              other->name);
    if (options->exclusive && (target->kind == FIND_POINT || target->kind == FIND_LATEST))
        return options_refuse(command, err, "cannot use --exclusive together with --%s",
                              target->name);
    return true;
}

static bool read_xid(CommandBit command, uint64_t xid, uint32_t *ret, Error *err)
{
    if (xid > UINT32_MAX) {
        (void)options_refuse(command, err, "XID %" PRIu64 " has more than 32 bits", xid);
        return error_hint(err,
                          "Functions such as pg_current_xact_id() tell it with the epoch in "
                          "front; in the WAL it is %" PRIu32 ".",
                          (uint32_t)xid);
    }
    if (xid < FIRST_NORMAL_XID)
        return options_refuse(command, err, "no transaction has the XID %" PRIu64, xid);
    *ret = (uint32_t)xid;
    return true;
}

bool target_timeline(CommandBit command, const char *text, Timeline *ret, Error *err)
{
    uint64_t value = 0;
    if (strcmp(text, "latest") != 0 && !parse_u64(text, 1, UINT32_MAX, &value)) {
        (void)options_refuse(command, err, "invalid value \"%s\" for option --%s", text,
                             name_of(command, offsetof(Options, target_timeline)));
        return error_detail(err, "It is a number from 1 on, or latest.");
    }
    *ret = (Timeline)value;
    return true;
}

static bool read_point(CommandBit command, const char *name, Error *err)
{
    if (name[0] == '\0')
        return options_refuse(command, err, "the name of a restore point is not empty");
    if (strlen(name) < WAL_RESTORE_POINT_NAME_SIZE)
        return true;
    return options_refuse(command, err, "a restore point's name has at most %d bytes",
                          WAL_RESTORE_POINT_NAME_SIZE - 1);
}

bool target_read(CommandBit command, const Options *options, FindTarget *ret, Error *err)
{
    Given targets[TARGETS];
    FindTarget target = {
        .lsn = options->lsn,
        .name = options->target_point,
        .exclusive = options->exclusive,
        .from = options->from,
        .before = (size_t)options->before,
        .after = (size_t)options->after,
    };
    given_targets(command, options, targets);
    const Given *given = first_target(targets, 0);
    target.kind = given != NULL ? given->kind : FIND_LATEST;
    if (!target_timeline(command, options->target_timeline, &target.timeline, err))
        return false;
    if (target.kind == FIND_TIME && !timestamp_parse(options->target_time, &target.time, err))
        return false;
    if (target.kind == FIND_XID && !read_xid(command, options->target_xid, &target.xid, err))
        return false;
    if (target.kind == FIND_POINT && !read_point(command, target.name, err))
        return false;
    *ret = target;
    return true;
}
