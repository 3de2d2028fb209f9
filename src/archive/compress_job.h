/* SPDX-License-Identifier: PostgreSQL
 *
 * One compression: a raw file becomes a durable compressed one that was read back. Private to
 * src/archive.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"
#include "walrx/codec/codec.h"

#include <stdatomic.h>
#include <stdint.h>

/* Compresses the first `length` bytes of `raw` into `packed`, both names in the archive; then
 * removes `raw`. When `packed` exists: equal content, only raw goes; other content, ERROR_ARCHIVE
 * and both stay. *abort set by another thread ends the work with ERROR_STOPPED and raw in place. */
bool compress_job_run(const Archive *archive, CompressSpec spec, const char *raw,
                      const char *packed, uint64_t length, const atomic_bool *abort,
                      Error *err) MUST_CHECK;
