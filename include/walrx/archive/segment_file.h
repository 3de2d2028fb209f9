/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading segments of any form: their content through a decoder, the page header of their first
 * page, and whether two hold the same bytes.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/codec/codec.h"
#include "walrx/os/files.h"
#include "walrx/proto/walpage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decompresses `name` into the sink. ERROR_ARCHIVE when damaged, ERROR_STORAGE when unreadable. */
bool segment_file_read(const Dir *dir, const char *name, WalCompression form, CodecSink sink,
                       void *context, Error *err) MUST_CHECK;

/* The header of the first page. *ret_found false when the file is too short, damaged, or its first
 * bytes are no long WAL page header: nothing is known then, which is no error. */
bool segment_file_header(const Dir *dir, const char *name, WalCompression form, bool *ret_found,
                         WalPageHeader *ret, Error *err) MUST_CHECK;

/* Length and CRC-32C of the content. */
bool segment_file_checksum(const Dir *dir, const char *name, WalCompression form,
                           uint64_t *ret_length, uint32_t *ret_crc, Error *err) MUST_CHECK;

/* Finds a complete file of the segment in any form; *ret_form says which. */
bool segment_file_find(const Dir *dir, Timeline timeline, SegNo segno, uint32_t segment_size,
                       bool *ret_found, WalCompression *ret_form, Error *err) MUST_CHECK;
