/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading proto/vectors in tests. VECTORS_DIR comes from the build. A vector that cannot be read
 * fails the test that asks for it.
 */
#pragma once

#include "walrx/proto/result.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define VECTOR_MAX_BYTES 65536

typedef struct Vector {
    size_t length;
    uint8_t data[VECTOR_MAX_BYTES + 1]; /* a NUL behind the last byte, for text */
} Vector;

static inline void vector_read(const char *name, Vector *ret)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/%s", VECTORS_DIR, name);
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        fail_msg("could not open vector \"%s\"", path);
    ret->length = fread(ret->data, 1, VECTOR_MAX_BYTES, file);
    assert_int_equal(ferror(file), 0);
    assert_true(ret->length < VECTOR_MAX_BYTES);
    ret->data[ret->length] = 0;
    (void)fclose(file);
}

/* A row file taken apart in place: one line per column, COPY's escapes, \N is NULL. */
static inline void vector_read_row(const char *name, Vector *storage, ResultRow *ret)
{
    vector_read(name, storage);
    char *cursor = (char *)storage->data;
    char *out = cursor;

    memset(ret, 0, sizeof(*ret));
    while (*cursor != '\0') {
        size_t index = ret->count++;

        assert_true(index < RESULT_MAX_COLUMNS);
        if (strncmp(cursor, "\\N\n", 3) == 0) {
            cursor += 3;
            continue;
        }
        ret->values[index] = out;
        for (; *cursor != '\n'; cursor++) {
            if (*cursor == '\\') {
                cursor++;
                *out++ = *cursor == 'n' ? '\n' : *cursor == 't' ? '\t' : *cursor;
            } else {
                *out++ = *cursor;
            }
        }
        cursor++;
        ret->lengths[index] = (size_t)(out - ret->values[index]);
    }
}
