/* SPDX-License-Identifier: PostgreSQL
 *
 * The class of a failed call that changes files. Not for syncs: what a failed one has lost, nobody
 * knows. Private to src/os.
 */
#pragma once

#include "walrx/base/error.h"

#include <errno.h>

static inline ErrorClass storage_class(int os_errno)
{
    return os_errno == ENOSPC || os_errno == EDQUOT ? ERROR_NO_ROOM : ERROR_STORAGE;
}
