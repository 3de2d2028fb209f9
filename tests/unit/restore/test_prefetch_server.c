/* SPDX-License-Identifier: PostgreSQL
 *
 * The server behind a target: only one that runs and recovers from an archive is read ahead for
 * without being asked to.
 */
#include "prefetch_fixture.h"

static PrefetchServer look(uint64_t *ret_pid)
{
    GetTarget target;
    assert_true(get_target_open(&server.request, &target, &fixture.error));
    PrefetchServer found = prefetch_server_look(&target, ret_pid);
    get_target_close(&target);
    return found;
}

static void a_folder_alone_tells_nothing(void **state)
{
    uint64_t pid;
    (void)state;
    assert_int_equal(look(&pid), PREFETCH_SERVER_UNKNOWN);
}

static void a_server_that_recovers_is_known(void **state)
{
    static const char *const files[] = {"data/recovery.signal", "data/standby.signal",
                                        "data/recovery.conf"};
    uint64_t pid;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        put_server(getpid(), files[i]);
        assert_int_equal(look(&pid), PREFETCH_SERVER_RECOVERS);
        assert_true(pid == (uint64_t)getpid());
        forget(files[i]); /* recovery has ended */
        assert_int_equal(look(&pid), PREFETCH_SERVER_DOWN);
    }
}

static void a_server_that_does_not_run_is_known(void **state)
{
    static const char *const texts[] = {"", "x\n", "-4711\n", "0\n", "99999999999\n", "4711x\n"};
    uint64_t pid;
    (void)state;
    put_server(getpid(), "data/standby.signal");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scratch_write(fixture.path, "data/postmaster.pid", texts[i], strlen(texts[i]));
        assert_int_equal(look(&pid), PREFETCH_SERVER_DOWN);
    }
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    put_server(child, "data/standby.signal");
    assert_int_equal(look(&pid), PREFETCH_SERVER_DOWN);
    forget("data/postmaster.pid");
    assert_int_equal(look(&pid), PREFETCH_SERVER_DOWN);
}

static bool on_with(uint64_t prefetch)
{
    server.request.prefetch = prefetch;
    open_get(SEGNO);
    close_get();
    return get.prefetch.on;
}

static void who_is_read_ahead_for(void **state)
{
    (void)state;
    assert_false(on_with(GET_PREFETCH_AUTO)); /* no server known: only when it is asked for */
    assert_true(on_with(1));
    put_server(getpid(), "data/recovery.signal");
    assert_true(on_with(GET_PREFETCH_AUTO));
    assert_true(on_with(1));
    assert_false(on_with(0));
    forget("data/postmaster.pid"); /* pg_rewind */
    assert_false(on_with(GET_PREFETCH_AUTO));
    assert_false(on_with(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_folder_alone_tells_nothing),
        CASE(a_server_that_recovers_is_known),
        CASE(a_server_that_does_not_run_is_known),
        CASE(who_is_read_ahead_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
