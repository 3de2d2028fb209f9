/* SPDX-License-Identifier: PostgreSQL
 *
 * Each thing an archive does besides streaming (jobs.h), with each file call and each allocation
 * failing: once, and from there on; with an I/O error, a full disk, a quota, an interrupt, a short
 * transfer. It ends with an error that says what, leaks nothing, and another run without faults
 * leaves the directory as if nothing had happened.
 *
 *   test_jobs [NAME]    only that job
 */
#include "fake_files.h"
#include "fake_memory.h"
#include "fixture.h"
#include "jobs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_CALLS 5000

static const Job *job;
static char template[SCRATCH_PATH_SIZE]; /* the directory before */
static uint64_t reference;               /* and after */
static const char *fault;
static unsigned fault_nth;

static const char *fault_call; /* of which kind the call was */

static _Noreturn void fail(const char *what, const char *more)
{
    (void)fprintf(stderr, "%s, %s at %u (%s): %s: %s\n", job->name, fault, fault_nth, fault_call,
                  what, more);
    exit(1);
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

static void copy_folder(const char *from, const char *to, const char *inside)
{
    char path[2 * SCRATCH_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/%s", from, inside);
    DIR *dir = opendir(path);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char name[SCRATCH_PATH_SIZE];
        size_t length;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%s%.200s", inside, entry->d_name);
        uint8_t *content = entry->d_type == DT_REG ? scratch_read(from, name, &length) : NULL;
        if (content != NULL) {
            scratch_write(to, name, content, length);
        } else {
            scratch_mkdir(to, name);
            (void)snprintf(name, sizeof(name), "%s%.200s/", inside, entry->d_name);
            copy_folder(from, to, name);
        }
        free(content);
    }
    (void)closedir(dir);
}

/* --- one run --- */

static void check_error(const Error *error, bool memory)
{
    bool full = error->os_errno == ENOSPC || error->os_errno == EDQUOT;
    bool fine = error->class == ERROR_STORAGE || error->class == ERROR_USAGE ||
                (error->class == ERROR_NO_ROOM && full) ||
                (error->class == ERROR_ARCHIVE && (job->looks || job->refuses));
    if (memory)
        fine = error->class == ERROR_MEMORY || (job->looks && error->class == ERROR_ARCHIVE);
    if (!fine)
        fail(error_class_name(error->class), error->message);
    if (error->message[0] == '\0')
        fail("no message", "");
    if (memory && error->class == ERROR_MEMORY &&
        strncmp(error->message, "out of memory ", strlen("out of memory ")) != 0)
        fail("does not say for what there is no memory", error->message);
}

static bool run(const char *path, Error *err)
{
    err->class = ERROR_NONE;
    err->message[0] = '\0';
    bool ok = job->run(path, err);
    return ok || (job->refuses && err->class == ERROR_ARCHIVE);
}

static void run_untouched(const char *path)
{
    Error error;
    fake_files_reset();
    fake_memory_fail(0, false);
    if (!run(path, &error))
        fail("a run without faults fails", error.message);
    if (scratch_fingerprint(path) != reference)
        fail("the archive is not what it should be", path);
}

/* After the faults were set up. True: one struck. */
static bool try_once(bool memory, bool harmless)
{
    char path[SCRATCH_PATH_SIZE];
    Error error;
    scratch_make(path);
    copy_folder(template, path, "");
    size_t files = open_files();
    if (memory)
        fake_memory_fail(fault_nth, fault[0] == 'a');
    bool ok = run(path, &error);
    bool struck = memory ? fake_memory_struck() : fake_files_struck(NULL);
    FakeCall call;
    fault_call = fake_files_struck(&call) ? fake_files_call_name(call) : "-";
    fake_memory_fail(0, false);
    if (open_files() != files)
        fail("a file stays open", "");
    if (!ok && (!struck || harmless))
        fail("fails", error.message);
    if (!ok)
        check_error(&error, memory);
    if (!job->looks)
        run_untouched(path);
    else if (scratch_fingerprint(path) != reference)
        fail("changes the archive", path);
    scratch_remove(path);
    return struck;
}

static void try_all(const char *name, bool memory, bool harmless, void (*arm)(unsigned nth))
{
    fault = name;
    for (fault_nth = 1; fault_nth < MOST_CALLS; fault_nth++) {
        fake_files_reset();
        if (arm != NULL)
            arm(fault_nth);
        if (!try_once(memory, harmless))
            return;
    }
    fail("does not end", "");
}

static void arm_eio(unsigned nth)
{
    fake_files_fail(FAKE_ANY, nth, EIO);
}

static void arm_full(unsigned nth)
{
    fake_files_fail(FAKE_ANY, nth, ENOSPC);
}

static void arm_interrupt(unsigned nth)
{
    fake_files_fail(FAKE_ANY, nth, EINTR);
}

static void arm_short(unsigned nth)
{
    fake_files_shorten(FAKE_ANY, nth);
}

static void arm_eio_from(unsigned nth)
{
    fake_files_fail_from(FAKE_ANY, nth, EIO);
}

static FakeCall kind;

static void arm_quota_from(unsigned nth)
{
    fake_files_fail_from(kind, nth, EDQUOT);
}

/* A disk that stays full: what takes room fails, all else goes on. */
static void try_full_disk(void)
{
    static const FakeCall taking[] = {FAKE_OPENAT, FAKE_PWRITEV, FAKE_FALLOCATE, FAKE_MKDIR};
    for (size_t i = 0; i < sizeof(taking) / sizeof(taking[0]); i++) {
        kind = taking[i];
        try_all("no room from there on", false, false, arm_quota_from);
    }
}

static void prepare(void)
{
    char path[SCRATCH_PATH_SIZE];
    Error error;
    fault = fault_call = "nothing";
    fault_nth = 0;
    (void)fixture_setup(NULL);
    archive_close(&fixture.archive);
    job->prepare();
    scratch_make(template);
    copy_folder(fixture.path, template, "");
    scratch_make(path);
    copy_folder(template, path, "");
    fake_files_reset();
    if (!run(path, &error))
        fail("fails", error.message);
    reference = scratch_fingerprint(path);
    run_untouched(path); /* a second time nothing more happens */
    scratch_remove(path);
}

static void try_job(void)
{
    prepare();
    try_all("EIO", false, false, arm_eio);
    if (!job->brief) {
        try_all("EIO from there on", false, false, arm_eio_from);
        try_all("an interrupt", false, true, arm_interrupt);
    }
    if (!job->brief && !job->looks) {
        try_all("a short transfer", false, true, arm_short);
        if (job->stores)
            try_all("ENOSPC", false, false, arm_full);
        else
            try_full_disk();
    }
    try_all("one allocation", true, false, NULL);
    try_all("all allocations", true, false, NULL);
    scratch_remove(template);
    scratch_remove(fixture.path);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < job_count; i++) {
        job = &jobs[i];
        if (argc > 1 && strcmp(argv[1], job->name) != 0)
            continue;
        try_job();
        printf("%s: every fault is survived\n", job->name);
        (void)fflush(stdout);
    }
    return 0;
}
