/* SPDX-License-Identifier: PostgreSQL
 *
 * See sqlstate.h.
 */
#include "walrx/stream/sqlstate.h"

#include <stddef.h>
#include <string.h>

/* The first matching prefix decides. */
static const struct {
    const char *prefix;
    ErrorClass class;
} classes[] = {
    {"08", ERROR_RETRY},       /* connection exceptions */
    {"22", ERROR_OPERATOR},    /* a parameter the server cannot use */
    {"28", ERROR_OPERATOR},    /* invalid authorization: password, pg_hba.conf */
    {"3D000", ERROR_OPERATOR}, /* no such database */
    {"42704", ERROR_OPERATOR}, /* undefined object: the slot does not exist */
    {"42", ERROR_OPERATOR},    /* privileges, syntax, duplicate object */
    {"53400", ERROR_OPERATOR}, /* no slot is free: max_replication_slots */
    {"53", ERROR_RETRY},       /* too many connections, out of memory, disk full over there */
    {"55006", ERROR_RETRY},    /* object in use: the slot is active for another process */
    {"55", ERROR_OPERATOR},    /* not in prerequisite state: slot lost (18), wal_level */
    {"57", ERROR_RETRY},       /* shutting down, starting up, cancelled */
    {"58P01", ERROR_ARCHIVE},  /* the WAL that was asked for is gone */
    {"58", ERROR_RETRY},       /* system error over there */
    {"0A", ERROR_OPERATOR},    /* feature not supported */
    {"F0", ERROR_OPERATOR},    /* the server's configuration is at fault */
};

ErrorClass sqlstate_class(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
            return classes[i].class;
    }
    return ERROR_RETRY;
}
