/* SPDX-License-Identifier: PostgreSQL
 *
 * Directories and files for tests: made in memory where there is /dev/shm, else in TMPDIR or /tmp.
 * Whatever goes wrong here ends the process: no test can go on without its files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRATCH_PATH_SIZE 256

/* A new empty directory; its path stays valid in the buffer. */
void scratch_make(char path[SCRATCH_PATH_SIZE]);
/* Removes the directory with all that is in it. */
void scratch_remove(const char *path);

/* `name` is relative to the directory. */
void scratch_write(const char *path, const char *name, const void *data, size_t length);
/* The content, malloc'ed; NULL when there is no such file. */
uint8_t *scratch_read(const char *path, const char *name, size_t *ret_length);
bool scratch_exists(const char *path, const char *name);
size_t scratch_size(const char *path, const char *name);
bool scratch_holds(const char *path, const char *name, const void *data, size_t length);
/* How many entries a directory inside has; 0 when it is missing. */
size_t scratch_count(const char *path, const char *name);
void scratch_mkdir(const char *path, const char *name);
/* Every name below the directory, its size and a checksum of its content, in one number. */
uint64_t scratch_fingerprint(const char *path);
