/* SPDX-License-Identifier: PostgreSQL
 *
 * Running other programs, as another user where this one is root: PostgreSQL's server refuses root.
 * Never through a shell. A child begins in "/", in a session of its own (so that Ctrl-C at the
 * terminal is not for it), with no signal blocked and no descriptor but the first three.
 *
 * For programs with one thread only: it forks.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_GROUPS_MAX 128
#define PROCESS_NAME_SIZE 64

typedef struct ProcessUser {
    bool change; /* false: this process's own */
    uid_t uid;
    gid_t gid;
    gid_t groups[PROCESS_GROUPS_MAX];
    size_t group_count;
    char name[PROCESS_NAME_SIZE]; /* "uid 123" when it has no name */
    bool named;
} ProcessUser;

/* Who a program has to run as to be `uid`. ERROR_USAGE: this process may not become that user. */
bool process_user(uid_t uid, ProcessUser *ret, Error *err) MUST_CHECK;

/* May the user access a file in this way (access(2): R_OK, X_OK, W_OK)? *ret_errno 0: yes. */
bool process_access(const ProcessUser *user, const char *path, int how, int *ret_errno,
                    Error *err) MUST_CHECK;

/* Runs a program (argv[0] is its path) to its end. What it writes to standard output and standard
 * error goes into `output` as far as that has room. *ret_status as of waitpid. ERROR_OPERATOR: it
 * could not be run. */
bool process_run(const char *const argv[], const ProcessUser *user, char *output, size_t capacity,
                 int *ret_status, Error *err) MUST_CHECK;

/* Starts a program that goes on when this one ends; its output is added to `log`. */
bool process_start(const char *const argv[], const ProcessUser *user, const char *log, pid_t *ret,
                   Error *err) MUST_CHECK;
/* Has a child ended? Then *ret_status is as of waitpid. */
bool process_ended(pid_t pid, int *ret_status);
void process_signal(pid_t pid, int signal);
/* Does any process have this number? Also somebody else's. */
bool process_exists(pid_t pid);

/* Where this program's file is, to call it again. ERROR_OPERATOR: it is not there any more. */
bool process_own_path(char *buffer, size_t capacity, Error *err) MUST_CHECK;
/* A path that does not depend on the current directory; links stay. */
bool process_absolute(const char *path, char *buffer, size_t capacity, Error *err) MUST_CHECK;
