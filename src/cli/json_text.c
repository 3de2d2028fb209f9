/* SPDX-License-Identifier: PostgreSQL
 *
 * See json_text.h.
 */
#include "json_text.h"

#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *clean = strdup(text);
    if (clean == NULL)
        return NULL;
    for (char *c = clean; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
    value = json_string(clean);
    free(clean);
    return value;
}

json_t *json_whole(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *json_lsn(Lsn lsn)
{
    char text[LSN_TEXT_SIZE];
    return json_string(lsn_format(lsn, text));
}

bool json_print(FILE *out, json_t *object, Error *err)
{
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the result");
    (void)json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
