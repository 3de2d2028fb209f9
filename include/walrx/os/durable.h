/* SPDX-License-Identifier: PostgreSQL
 *
 * The durable steps, the only place that orders sync and rename (DESIGN 3):
 *   write under another name -> fdatasync -> rename -> fsync of the directory.
 * What a function promises holds after a power cut. With dir->sync false nothing is promised beyond
 * a crash of the process.
 *
 * A sync that failed is never tried again: the error is ERROR_STORAGE and the process must end,
 * because the kernel may have dropped the pages (see PostgreSQL's fsync_fname in file_utils.c,
 * version 12 on).
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stddef.h>

/* On return the file's data and size are durable (its name need not be). */
bool durable_file(const Dir *dir, const char *name, int fd, Error *err) MUST_CHECK;

/* On return every name created, renamed or removed in the directory before is durable. */
bool durable_directory(const Dir *dir, Error *err) MUST_CHECK;

/* Gives a file whose data is durable its final name, never over an existing one: then *ret_exists
 * is true, nothing was changed, and true is returned. Otherwise the new name is durable on return.
 */
bool durable_publish(const Dir *from_dir, const char *from, const Dir *to_dir, const char *to,
                     bool *ret_exists, Error *err) MUST_CHECK;

/* As durable_publish, but the new name is durable only after durable_directory(to_dir). */
bool durable_publish_unsynced(const Dir *from_dir, const char *from, const Dir *to_dir,
                              const char *to, bool *ret_exists, Error *err) MUST_CHECK;

/* As durable_publish, but takes the place of an existing file: only for names in .walrx/ and for a
 * `.partial` that is rebuilt, and for what a server asked to have restored. */
bool durable_replace(const Dir *from_dir, const char *from, const Dir *to_dir, const char *to,
                     Error *err) MUST_CHECK;

/* Removes a name; a missing one is fine. The removal is durable on return. */
bool durable_remove(const Dir *dir, const char *name, Error *err) MUST_CHECK;

/* A whole small file by way of `temporary` in temp_dir, published or put in place of an old one. */
bool durable_write_new(const Dir *temp_dir, const char *temporary, const Dir *to_dir,
                       const char *name, const void *data, size_t length, bool *ret_exists,
                       Error *err) MUST_CHECK;
bool durable_write_over(const Dir *temp_dir, const char *temporary, const Dir *to_dir,
                        const char *name, const void *data, size_t length, Error *err) MUST_CHECK;
