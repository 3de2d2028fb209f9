/* SPDX-License-Identifier: PostgreSQL
 *
 * The segment to come: a file of full size in .walrx/, made while nothing else is to be done, that
 * gets its name when the stream comes to it. It never holds anything but zeros, so none that is
 * left behind is used again: start-up removes it with the other temporary files.
 *
 * Blocks that are only allocated are quick to make, but each first write into them changes the
 * file's block map, which every sync then has to put into the journal. Where syncs are many the
 * spare therefore gets real zeros beforehand. docs/decisions/0009 has the figures.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/direct_file.h"
#include "walrx/base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Spare {
    const Archive *archive;
    DirectMode *mode;
    int fd;          /* -1: there is none */
    uint64_t zeroed; /* so many bytes of it are zeros on the disk */
    bool given_up;   /* there was no room for it: not again before the next segment */
} Spare;

void spare_init(Spare *spare, const Archive *archive, DirectMode *mode);
/* Removes the file. */
void spare_deinit(Spare *spare);

/* Is something left for spare_prepare? */
bool spare_can_prepare(const Spare *spare, bool with_zeros);
/* A step of some 100 us towards a spare, one `with_zeros` if that is wanted; *ret_worked false when
 * nothing is left to do. A full disk is no error here. */
bool spare_prepare(Spare *spare, bool with_zeros, bool *ret_worked, Error *err) MUST_CHECK;

/* How much space spare_take and writing to the file will still take of the disk. */
bool spare_needs(const Spare *spare, uint64_t *ret, Error *err) MUST_CHECK;

/* Gives the spare, made now if there is none, its name in the archive, never over an existing file
 * (ERROR_ARCHIVE). *ret_fd is the caller's, as by direct_file_open; *ret_zeroed tells how many of
 * its bytes are more than allocated. The name is durable after the next durable_directory; the size
 * with the file's first sync. */
bool spare_take(Spare *spare, const char *name, int *ret_fd, uint64_t *ret_zeroed,
                Error *err) MUST_CHECK;
