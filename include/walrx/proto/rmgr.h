/* SPDX-License-Identifier: PostgreSQL
 *
 * Names of resource managers, as pg_waldump prints them.
 * Source: src/include/access/rmgrlist.h of PostgreSQL 10 to 19 (the list only grew, by XLOG2 in
 * 19); GetRmgrDesc in rmgrdesc.c for those of extensions, 128 to 255, since 15.
 *
 * Pure.
 */
#pragma once

#include <stdint.h>

#define RMGR_NAME_SIZE 24

/* `major`: of the server that wrote the WAL, 0 when unknown. One that such a server does not have
 * is called by its number: "rmgr 22". */
const char *rmgr_name(uint8_t rmgr, int major, char buffer[RMGR_NAME_SIZE]);
