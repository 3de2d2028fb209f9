/* SPDX-License-Identifier: PostgreSQL
 *
 * Other programs: what they get, what they tell, as whom they run.
 */
#include "walrx/os/process.h"

#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534
#define END_MS 10000

static char path[SCRATCH_PATH_SIZE];
static ProcessUser self;
static char output[256];
static int status;
static Error error;

static int setup(void **state)
{
    (void)state;
    scratch_make(path);
    return process_user(geteuid(), &self, &error) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(path);
    return 0;
}

static bool run_shell(const ProcessUser *user, const char *script, size_t capacity)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    status = -1;
    return process_run(argv, user, output, capacity, &status, &error);
}

static void output_and_status_come_back(void **state)
{
    (void)state;
    assert_true(run_shell(&self, "echo out; echo err >&2; pwd; exit 3", sizeof(output)));
    assert_string_equal(output, "out\nerr\n/\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    assert_true(run_shell(&self, "kill -9 $$", sizeof(output)));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void more_output_than_there_is_room_for_is_dropped(void **state)
{
    (void)state;
    assert_true(
        run_shell(&self, "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done", 12));
    assert_string_equal(output, "0123456789\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
    const char *argv[] = {"/nowhere/program", NULL};
    pid_t pid;
    (void)state;
    assert_false(process_run(argv, &self, output, sizeof(output), &status, &error));
    assert_int_equal(error.os_errno, ENOENT);
    assert_non_null(strstr(error.message, "/nowhere/program"));
    assert_false(process_start(argv, &self, "/dev/null", &pid, &error));
}

static void a_child_has_no_signal_blocked(void **state)
{
    sigset_t set;
    sigset_t before;
    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
    bool ok = run_shell(&self, "kill -TERM $$; sleep 5", sizeof(output));
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(ok && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static bool ends(pid_t pid)
{
    for (int ms = 0; ms < END_MS; ms += 10) {
        if (process_ended(pid, &status))
            return true;
        (void)usleep(10000);
    }
    return false;
}

static void a_started_program_has_a_log_and_a_session(void **state)
{
    char log[SCRATCH_PATH_SIZE + 8];
    const char *argv[] = {"/bin/sh", "-c", "echo one; sleep 100", NULL};
    pid_t pid;
    (void)state;
    (void)snprintf(log, sizeof(log), "%s/log", path);
    scratch_write(path, "log", "zero\n", 5);
    assert_true(process_start(argv, &self, log, &pid, &error));
    for (int ms = 0; ms < END_MS && scratch_size(path, "log") < 9; ms += 10)
        (void)usleep(10000);
    assert_true(scratch_holds(path, "log", "zero\none\n", 9));
    assert_int_equal(getsid(pid), pid);
    assert_false(process_ended(pid, &status));
    process_signal(pid, SIGKILL);
    assert_true(ends(pid));
    assert_true(WIFSIGNALED(status));
}

static void root_runs_programs_as_others(void **state)
{
    ProcessUser nobody;
    char at[SCRATCH_PATH_SIZE + 8];
    int refused;
    (void)state;
    if (geteuid() != 0) {
        assert_false(process_user(0, &nobody, &error));
        skip();
    }
    assert_true(process_user(NOBODY, &nobody, &error));
    assert_string_equal(nobody.name, "nobody");
    assert_true(run_shell(&nobody, "id -u; id -G", sizeof(output)));
    assert_string_equal(output, "65534\n65534\n");
    (void)snprintf(at, sizeof(at), "%s/x", path);
    scratch_write(path, "x", "x", 1);
    assert_int_equal(chmod(at, 0600), 0);
    assert_true(process_access(&self, at, R_OK, &refused, &error));
    assert_int_equal(refused, 0);
    assert_true(process_access(&nobody, at, R_OK, &refused, &error));
    assert_int_equal(refused, EACCES);
    assert_true(process_access(&nobody, "/bin/sh", X_OK, &refused, &error));
    assert_int_equal(refused, 0);
    assert_false(process_user(4000000, &nobody, &error));
}

static void paths_do_not_depend_on_the_directory(void **state)
{
    char here[SCRATCH_PATH_SIZE * 4];
    char text[SCRATCH_PATH_SIZE * 4];
    char small[4];
    (void)state;
    assert_true(process_absolute("/a/b//", text, sizeof(text), &error));
    assert_string_equal(text, "/a/b");
    assert_true(process_absolute("/", text, sizeof(text), &error));
    assert_string_equal(text, "/");
    assert_int_equal(chdir(path), 0);
    assert_non_null(getcwd(here, sizeof(here)));
    assert_true(process_absolute("x/y", text, sizeof(text), &error));
    assert_memory_equal(text, here, strlen(here));
    assert_string_equal(text + strlen(here), "/x/y");
    assert_int_equal(chdir("/"), 0);
    assert_true(process_absolute("x", text, sizeof(text), &error));
    assert_string_equal(text, "/x");
    assert_false(process_absolute("/abc", small, sizeof(small), &error));
    assert_true(process_own_path(text, sizeof(text), &error));
    assert_non_null(strstr(text, "/test_process"));
    assert_false(process_own_path(small, sizeof(small), &error));
}

static void it_is_known_who_is_there(void **state)
{
    (void)state;
    assert_true(process_exists(getpid()));
    assert_true(process_exists(1)); /* whoever it belongs to */
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(process_exists(child));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(output_and_status_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(more_output_than_there_is_room_for_is_dropped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_program_that_is_not_there_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_has_no_signal_blocked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_started_program_has_a_log_and_a_session, setup, teardown),
        cmocka_unit_test_setup_teardown(root_runs_programs_as_others, setup, teardown),
        cmocka_unit_test(it_is_known_who_is_there),
        cmocka_unit_test_setup_teardown(paths_do_not_depend_on_the_directory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
