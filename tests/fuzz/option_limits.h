/* SPDX-License-Identifier: PostgreSQL
 *
 * Whatever was read: the numbers of `walrx receive` lie within the limits of the table, or were not
 * given. (For other commands a default may lie outside.)
 */
#pragma once

#include "fuzz.h"

#include "walrx/cli/option_value.h"

static inline void require_within_limits(const Options *options)
{
    Options defaults;
    options_init(&defaults);
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        bool number = spec->kind == OPTION_NUMBER || spec->kind == OPTION_SIZE ||
                      spec->kind == OPTION_DURATION || spec->kind == OPTION_SECONDS;
        if ((spec->commands & COMMAND_RECEIVE) == 0 || !number ||
            option_same(spec, options, &defaults))
            continue;
        uint64_t value = *(const uint64_t *)(const void *)((const char *)options + spec->offset);
        require(value >= spec->minimum && value <= spec->maximum);
    }
}
