/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx slot show` prints, for people and for programs.
 */
#pragma once

#include "walrx/stream/slot.h"

#include <jansson.h>
#include <stdio.h>

/* One slot, a line for each property. */
void slot_print_one(FILE *out, const char *name, const SlotStatus *status);

/* A line for each slot. */
void slot_print_heading(FILE *out);
void slot_print_line(FILE *out, const SlotStatus *status);

/* One object of the list; NULL when memory is short. */
json_t *slot_to_json(const char *name, const SlotStatus *status);
/* Takes the list over, which may be NULL. */
bool slot_print_json(FILE *out, json_t *slots, Error *err) MUST_CHECK;
