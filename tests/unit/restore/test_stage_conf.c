/* SPDX-License-Identifier: PostgreSQL
 *
 * What a copy takes from its backup's configuration and pg_control, and what it writes.
 */
#include "stage_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_SIZE ((size_t)128 << 10)

static char text[TEXT_SIZE];
static char value[256];
static Stage stage;
static StageRequest request;

static bool find_value(const char *conf)
{
    value[0] = '\0';
    return stage_conf_value(conf, "shared_preload_libraries", value, sizeof(value));
}

static void the_last_value_counts_and_comments_do_not(void **state)
{
    (void)state;
    assert_false(find_value(""));
    assert_false(find_value("#shared_preload_libraries = 'a'\nshared_preload_libraries_x = 'b'\n"));
    assert_true(find_value("shared_preload_libraries = 'a'\n"));
    assert_string_equal(value, "a");
    assert_true(find_value("  Shared_Preload_Libraries 'a, b' # c\n"));
    assert_string_equal(value, "a, b");
    assert_true(find_value("shared_preload_libraries='a'\nport = 1\n\tshared_preload_libraries=b"));
    assert_string_equal(value, "b");
    assert_true(find_value("shared_preload_libraries = pg_stat_statements # x\r\n"));
    assert_string_equal(value, "pg_stat_statements");
    assert_true(find_value("shared_preload_libraries = 'it''s \\'q\\''\n"));
    assert_string_equal(value, "it's 'q'");
    assert_true(find_value("shared_preload_libraries = 'a'\nshared_preload_libraries = ''\n"));
    assert_string_equal(value, "");
    assert_true(find_value("shared_preload_libraries = 'never closed\nport = 2\n"));
    assert_string_equal(value, "never closed");
}

static void libraries_that_act_on_their_own_are_dropped(void **state)
{
    char kept[256];
    char dropped[256];
    (void)state;
    stage_conf_libraries("timescaledb, pg_cron,pg_stat_statements", kept, dropped, sizeof(kept));
    assert_string_equal(kept, "timescaledb, pg_stat_statements");
    assert_string_equal(dropped, "pg_cron");
    stage_conf_libraries(" $libdir/pg_cron , \"pglogical\",/opt/lib/bdr.so,", kept, dropped,
                         sizeof(kept));
    assert_string_equal(kept, "");
    assert_string_equal(dropped, "$libdir/pg_cron, \"pglogical\", /opt/lib/bdr.so");
    stage_conf_libraries("spock,pgactive, pgaudit, pg_net,pgautofailover", kept, dropped,
                         sizeof(kept));
    assert_string_equal(kept, "pgaudit");
    assert_string_equal(dropped, "spock, pgactive, pg_net, pgautofailover");
    stage_conf_libraries("pg_cronos,my_pg_cron", kept, dropped, sizeof(kept));
    assert_string_equal(kept, "pg_cronos, my_pg_cron");
    assert_string_equal(dropped, "");
}

/* The part of pg_control that is looked for: from wal_level to floatFormat. */
static size_t make_control(uint8_t *control, int major, size_t at, const uint32_t *limits)
{
    const uint32_t level = 1;
    const uint32_t hints = 0;
    const uint32_t track = 1;
    const uint32_t align = 8;
    const double format = 1234567.0;
    memset(control, 0, 512);
    memcpy(control + at, &level, 4);
    memcpy(control + at + 4, &hints, 4);
    at += 8;
    for (int i = 0; i < 5; i++) {
        if (i == 2 && major < 12)
            continue;
        memcpy(control + at, &limits[i], 4);
        at += 4;
    }
    memcpy(control + at, &track, 4);
    memcpy(control + at + 4, &align, 4);
    at = (at + 8 + 7) / 8 * 8;
    memcpy(control + at, &format, 8);
    return 512;
}

static void limits_are_found_wherever_they_lie(void **state)
{
    static const uint32_t limits[] = {200, 9, 11, 3, 65};
    uint8_t control[512];
    (void)state;
    for (int major = 10; major <= 19; major++) {
        for (size_t at = 100; at < 300; at += 4) {
            size_t length = make_control(control, major, at, limits);
            StageLimits found = stage_conf_limits(control, length, major);
            assert_true(found.known);
            assert_int_equal(found.connections, 200);
            assert_int_equal(found.workers, 9);
            assert_int_equal(found.senders, major < 12 ? 0 : 11);
            assert_int_equal(found.prepared, 3);
            assert_int_equal(found.locks, 65);
        }
    }
}

static void limits_that_cannot_be_are_not_known(void **state)
{
    static const uint32_t senseless[] = {0, 9, 11, 3, 65};
    static const uint32_t large[] = {200, 0x7FFFFFFF, 11, 3, 65};
    static const uint32_t few[] = {200, 9, 11, 3, 1};
    uint8_t control[512] = {0};
    (void)state;
    assert_false(stage_conf_limits(control, sizeof(control), 15).known);
    assert_false(stage_conf_limits(control, 0, 15).known);
    size_t length = make_control(control, 15, 200, senseless);
    assert_false(stage_conf_limits(control, length, 15).known);
    length = make_control(control, 15, 200, large);
    assert_false(stage_conf_limits(control, length, 15).known);
    length = make_control(control, 15, 200, few);
    assert_false(stage_conf_limits(control, length, 15).known);
    assert_false(stage_conf_limits(control, 200, 15).known);
}

static void begin(int major)
{
    stage = (Stage){.port = 5433};
    stage.base.major = major;
    stage.found.timeline = 3;
    (void)snprintf(stage.into, sizeof(stage.into), "/copy \"of\" it's");
    (void)snprintf(stage.archive, sizeof(stage.archive), "/wal \\ 50%%");
    (void)snprintf(stage.program, sizeof(stage.program), "/usr/bin/walrx");
    request = (StageRequest){.target = {.kind = FIND_POINT, .name = "it's"}};
}

static void assert_line(const char *line)
{
    char whole[512];
    (void)snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (strstr(text, whole) == NULL)
        fail_msg("no line %s in\n%s", line, text);
}

static void a_copy_is_on_its_own(void **state)
{
    (void)state;
    begin(15);
    assert_true(stage_conf_main(&request, &stage, text, sizeof(text)));
    assert_line("listen_addresses = ''");
    assert_line("port = 5433");
    assert_line("unix_socket_directories = '\"/copy \"\"of\"\" it''s\"'");
    assert_line("unix_socket_permissions = 0700");
    assert_line("archive_mode = off");
    assert_line("max_logical_replication_workers = 0");
    assert_line("hot_standby = on");
    assert_line("log_line_prefix = '%m [%p] '");
    assert_line("restore_command = '/usr/bin/walrx restore -D ''/wal \\\\ 50%%'' %f %p'");
    assert_line("recovery_target_name = 'it''s'");
    assert_line("recovery_target_timeline = '3'");
    assert_line("recovery_target_action = 'pause'");
    assert_null(strstr(text, "max_connections"));
    assert_null(strstr(text, "shared_preload_libraries"));
    assert_null(strstr(text, "primary_conninfo"));
}

static void libraries_limits_and_given_settings_come_in(void **state)
{
    static const char *const given[] = {"max_connections=7", "search_path=a, \"b\"=c"};
    (void)state;
    begin(15);
    stage.limits = (StageLimits){true, 200, 9, 11, 3, 65};
    (void)snprintf(stage.libraries, sizeof(stage.libraries), "timescaledb");
    request.settings = (StageTexts){given, 2};
    request.action = STAGE_SHUTDOWN;
    assert_true(stage_conf_main(&request, &stage, text, sizeof(text)));
    assert_line("max_connections = 200");
    assert_line("max_worker_processes = 9");
    assert_line("max_wal_senders = 11");
    assert_line("max_prepared_transactions = 3");
    assert_line("max_locks_per_transaction = 65");
    assert_line("shared_preload_libraries = 'timescaledb'");
    assert_line("recovery_target_action = 'shutdown'");
    assert_line("search_path = 'a, \"b\"=c'");
    /* The last one counts. */
    assert_true(strstr(text, "max_connections = '7'") > strstr(text, "max_connections = 200"));
}

static void up_to_11_recovery_has_a_file_of_its_own(void **state)
{
    (void)state;
    begin(11);
    stage.limits = (StageLimits){true, 200, 9, 0, 3, 65};
    assert_true(stage_conf_main(&request, &stage, text, sizeof(text)));
    assert_null(strstr(text, "restore_command"));
    assert_null(strstr(text, "recovery_target"));
    assert_line("max_wal_senders = 0");
    assert_true(stage_conf_recovery(&request, &stage, text, sizeof(text)));
    assert_line("restore_command = '/usr/bin/walrx restore -D ''/wal \\\\ 50%%'' %f %p'");
    assert_line("recovery_target_name = 'it''s'");
    assert_line("recovery_target_action = 'pause'");
}

static void without_a_target_nothing_is_done_at_it(void **state)
{
    (void)state;
    begin(15);
    request.target.kind = FIND_LATEST;
    assert_true(stage_conf_main(&request, &stage, text, sizeof(text)));
    assert_null(strstr(text, "recovery_target_action"));
    assert_line("recovery_target_timeline = '3'");
    assert_false(stage_conf_main(&request, &stage, text, 500));
}

static void what_would_make_it_another_server_stays_behind(void **state)
{
    static const char *const out[] = {"standby.signal",
                                      "recovery.signal",
                                      "recovery.conf",
                                      "postmaster.pid",
                                      "postmaster.opts",
                                      "tablespace_map",
                                      "backup_manifest",
                                      "postgresql.conf",
                                      "postgresql.auto.conf",
                                      "pg_hba.conf",
                                      "pg_wal",
                                      "global/pg_control",
                                      "base/5/pg_internal.init",
                                      "base/pgsql_tmp/pgsql_tmp1.0"};
    (void)state;
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
        assert_int_equal(stage_copy_choose(NULL, out[i], S_IFREG, false), TREE_LEAVE_OUT);
    assert_int_equal(stage_copy_choose(NULL, "pg_replslot", S_IFDIR, false), TREE_EMPTY);
    assert_int_equal(stage_copy_choose(NULL, "log", S_IFDIR, false), TREE_EMPTY);
    assert_int_equal(stage_copy_choose(NULL, "pg_tblspc", S_IFDIR, false), TREE_COPY);
    assert_int_equal(stage_copy_choose(NULL, "pg_tblspc/16385", S_IFDIR, true), TREE_LEAVE_OUT);
    assert_int_equal(stage_copy_choose(NULL, "pg_tblspc/16385", S_IFDIR, false), TREE_COPY);
    assert_int_equal(stage_copy_choose(NULL, "backup_label", S_IFREG, false), TREE_COPY);
    assert_int_equal(stage_copy_choose(NULL, "base/5/postgresql.conf", S_IFREG, false), TREE_COPY);
    assert_int_equal(stage_copy_choose(NULL, "base/16384", S_IFDIR, true), TREE_COPY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_value_counts_and_comments_do_not),
        cmocka_unit_test(libraries_that_act_on_their_own_are_dropped),
        cmocka_unit_test(limits_are_found_wherever_they_lie),
        cmocka_unit_test(limits_that_cannot_be_are_not_known),
        cmocka_unit_test(a_copy_is_on_its_own),
        cmocka_unit_test(libraries_limits_and_given_settings_come_in),
        cmocka_unit_test(up_to_11_recovery_has_a_file_of_its_own),
        cmocka_unit_test(without_a_target_nothing_is_done_at_it),
        cmocka_unit_test(what_would_make_it_another_server_stays_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
