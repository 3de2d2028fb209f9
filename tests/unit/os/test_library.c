/* SPDX-License-Identifier: PostgreSQL
 *
 * Libraries that are loaded where they are first used: calls reach them, and a missing one ends the
 * program with a reason.
 */
#include "walrx/os/library.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

const char *zlibVersion(void);
unsigned long zlibCompileFlags(void);

LIBRARY_FORWARD("libz.so.1", const char *, zlibVersion, (void), ())
LIBRARY_FORWARD("libz.so.1", unsigned long, zlibCompileFlags, (void), ())

static void a_call_reaches_the_library(void **state)
{
    (void)state;
    void *handle = dlopen("libz.so.1", RTLD_NOW);
    assert_non_null(handle);
    const char *(*version)(void);
    *(void **)&version = dlsym(handle, "zlibVersion");
    assert_ptr_not_equal(version, zlibVersion);
    for (int i = 0; i < 2; i++)
        assert_ptr_equal(zlibVersion(), version());
    assert_int_not_equal(zlibCompileFlags(), 0);
    (void)dlclose(handle);
}

static void expect_end(const char *library, const char *name, const char *reason)
{
    char text[1024] = "";
    size_t length = 0;
    int pipes[2];
    int status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        (void)library_function(library, name);
        _exit(0);
    }
    (void)close(pipes[1]);
    for (ssize_t n; length < sizeof(text) - 1 &&
                    (n = read(pipes[0], text + length, sizeof(text) - 1 - length)) > 0;)
        length += (size_t)n;
    (void)close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    if (strstr(text, reason) == NULL || strstr(text, library) == NULL)
        fail_msg("%s", text);
}

static void a_missing_library_or_function_ends_the_program(void **state)
{
    (void)state;
    expect_end("libnosuch.so.7", "anything", "could not load library \"libnosuch.so.7\"");
    expect_end("libz.so.1", "no_such_function", "no_such_function");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_reaches_the_library),
        cmocka_unit_test(a_missing_library_or_function_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
