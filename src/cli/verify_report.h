/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx verify`, for people and for programs.
 */
#pragma once

#include "walrx/archive/verify.h"

#include <stdio.h>

void verify_print_text(FILE *out, const char *directory, const VerifyResult *result);
/* One object. ERROR_MEMORY when it cannot be built. */
bool verify_print_json(FILE *out, const char *directory, const VerifyResult *result,
                       Error *err) MUST_CHECK;
