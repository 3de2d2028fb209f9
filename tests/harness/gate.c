/* SPDX-License-Identifier: PostgreSQL
 *
 * See gate.h.
 */
#include "gate.h"

#include "fake_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool closed;
static char held[64];
static unsigned standing;
static FileTable table;

static bool is_held(const char *name)
{
    return closed && strstr(name, ".partial") == NULL && strstr(name, held) != NULL;
}

static int openat_through(int dir_fd, const char *name, int flags, mode_t mode)
{
    (void)pthread_mutex_lock(&mutex);
    if ((flags & O_CREAT) != 0 && is_held(name)) {
        standing++;
        (void)pthread_cond_broadcast(&changed);
        while (is_held(name))
            (void)pthread_cond_wait(&changed, &mutex);
        standing--;
    }
    (void)pthread_mutex_unlock(&mutex);
    return fake_files_table()->openat(dir_fd, name, flags, mode);
}

void gate_install(Archive *archive)
{
    table = *fake_files_table();
    table.openat = openat_through;
    closed = false;
    archive->private.files = &table;
}

void gate_remove(Archive *archive)
{
    archive->private.files = fake_files_table();
}

static void set(bool close_it, const char *part)
{
    (void)pthread_mutex_lock(&mutex);
    closed = close_it;
    (void)snprintf(held, sizeof(held), "%s", part);
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

void gate_close(const char *part)
{
    set(true, part);
}

void gate_open(void)
{
    set(false, "");
}

void gate_await(unsigned count)
{
    (void)pthread_mutex_lock(&mutex);
    while (standing < count)
        (void)pthread_cond_wait(&changed, &mutex);
    (void)pthread_mutex_unlock(&mutex);
}
