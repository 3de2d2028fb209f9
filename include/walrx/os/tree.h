/* SPDX-License-Identifier: PostgreSQL
 *
 * Copying a whole directory into one that is new or empty, and taking the copy back. Symbolic links
 * are followed, so that a copy never shares anything with what it was made from; what is removed is
 * only ever what lies in the place itself.
 *
 * Nothing here is durable: a copy that a power cut spoils is made again.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Who owns what is made. */
typedef struct TreeOwner {
    bool change; /* false: the caller, as ever */
    uid_t uid;
    gid_t gid;
} TreeOwner;

/* A directory that is filled. While that goes on it holds a file of the name `claim`, so that
 * nobody else begins the same and a half copy can be told. */
typedef struct TreePlace {
    Dir dir;           /* its path is absolute */
    const char *claim; /* borrowed */
    bool made;         /* it did not exist */
    bool begun;
} TreePlace;

/* Would tree_place_begin take it? Nothing is changed; *ret_exists: there is such a directory. */
bool tree_place_check(const char *path, const char *claim, const FileTable *files, bool *ret_exists,
                      Error *err) MUST_CHECK;
/* Makes `path`, or takes it when it is an empty directory. Mode and owner are set in either case.
 * ERROR_USAGE: it is not empty, not absolute, or cannot be made. */
bool tree_place_begin(const char *path, const char *claim, mode_t mode, const TreeOwner *owner,
                      const FileTable *files, TreePlace *ret, Error *err) MUST_CHECK;
/* The claim goes. */
bool tree_place_finish(TreePlace *place, Error *err) MUST_CHECK;
/* All that lies in it goes, and it itself if it was made. Both close it; one that has not begun is
 * fine. */
void tree_place_undo(TreePlace *place);

typedef enum TreeChoice {
    TREE_COPY,
    TREE_LEAVE_OUT,
    TREE_EMPTY, /* a directory without what is in it */
} TreeChoice;

typedef struct TreeCopy {
    const FileTable *files;
    TreeOwner owner;
    /* `path` within the tree, as "base/1/1249"; `mode` of what it is, or of what a link leads to.
     */
    TreeChoice (*choose)(void *context, const char *path, mode_t mode, bool is_link);
    /* So many bytes more; false ends the copy with ERROR_STOPPED. */
    bool (*progress)(void *context, uint64_t bytes);
    void *context;
} TreeCopy;

typedef struct TreeSize {
    uint64_t files;
    uint64_t bytes;
} TreeSize;

/* What tree_copy would copy. */
bool tree_measure(const char *from, const TreeCopy *how, TreeSize *ret, Error *err) MUST_CHECK;
/* Files share their blocks with the originals until one of both changes, where the filesystem can.
 * Modes are kept. Sockets, pipes and devices are left out, and so are links at the top that lead
 * nowhere. */
bool tree_copy(const char *from, const Dir *to, const TreeCopy *how, Error *err) MUST_CHECK;
/* One file, to another name perhaps. */
bool tree_copy_file(const char *from, const char *path, const Dir *to, const char *to_path,
                    const TreeCopy *how, Error *err) MUST_CHECK;

/* A new directory, file or link within a place. */
bool tree_make_directory(const Dir *to, const char *path, mode_t mode, const TreeOwner *owner,
                         Error *err) MUST_CHECK;
bool tree_write(const Dir *to, const char *path, const void *data, size_t length,
                const TreeOwner *owner, Error *err) MUST_CHECK;
bool tree_link(const Dir *to, const char *path, const char *target, const TreeOwner *owner,
               Error *err) MUST_CHECK;

/* Can files of one directory be copied into the other without taking space? */
bool tree_can_share(const char *from, const char *file, const Dir *to);
