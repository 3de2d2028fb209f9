/* SPDX-License-Identifier: PostgreSQL
 *
 * Registered base backups: files of an archive that any tool understands, one per backup.
 */
#include "walrx/archive/backups.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static BackupLabel backup_at(Lsn start, const char *label)
{
    BackupLabel backup = {.start = start, .timeline = 1, .checkpoint = start + 0x38};
    (void)strncpy(backup.label, label, sizeof(backup.label) - 1);
    return backup;
}

static bool add(const BackupLabel *backup)
{
    bool existed;
    bool ok = backups_add(&fixture.archive, backup, &existed, &fixture.error);
    assert_true(!ok || !existed);
    return ok;
}

static void backups_are_listed_by_their_start(void **state)
{
    BackupLabel newer = backup_at(0x700028, "newer");
    BackupLabel older = backup_at(0x500028, "older");
    Backups backups;
    (void)state;
    assert_true(add(&newer));
    assert_true(add(&older));
    assert_true(scratch_exists(fixture.path, "000000010000000000000005.00000028.backup"));
    assert_true(backups_read(&fixture.archive, &backups, &fixture.error));
    assert_int_equal(backups.count, 2);
    assert_string_equal(backups.items[0].label, "older");
    assert_int_equal(backups.items[0].start, 0x500028);
    assert_int_equal(backups.items[0].checkpoint, 0x500060);
    assert_string_equal(backups.items[1].label, "newer");
    backups_free(&backups);
}

static void the_same_backup_again_changes_nothing(void **state)
{
    BackupLabel backup = backup_at(0x500028, "one");
    bool existed;
    (void)state;
    assert_true(add(&backup));
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_true(backups_add(&fixture.archive, &backup, &existed, &fixture.error));
    assert_true(existed);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void another_backup_under_a_label_or_at_a_place_is_refused(void **state)
{
    BackupLabel backup = backup_at(0x500028, "one");
    BackupLabel same_label = backup_at(0x600028, "one");
    BackupLabel same_place = backup_at(0x500028, "two");
    (void)state;
    assert_true(add(&backup));
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_false(add(&same_label));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.detail, "0/500028"));
    assert_false(add(&same_place));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.detail, "one"));
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void a_backup_goes_by_its_label_or_by_its_file(void **state)
{
    BackupLabel one = backup_at(0x500028, "one");
    BackupLabel two = backup_at(0x600028, "two");
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    assert_true(add(&one));
    assert_true(add(&two));
    assert_true(backups_remove(&fixture.archive, "one", name, &fixture.error));
    assert_string_equal(name, "000000010000000000000005.00000028.backup");
    assert_false(scratch_exists(fixture.path, name));
    assert_true(scratch_exists(fixture.path, "000000010000000000000006.00000028.backup"));
    assert_false(backups_remove(&fixture.archive, "one", name, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_USAGE);
    assert_true(backups_remove(&fixture.archive, "000000010000000000000006.00000028.backup", name,
                               &fixture.error));
    assert_false(scratch_exists(fixture.path, name));
}

/* pg_basebackup gives all backups the same label. */
static void a_label_that_two_have_names_neither(void **state)
{
    static const char five[] = "START WAL LOCATION: 0/500028 (file 000000010000000000000005)\n"
                               "STOP WAL LOCATION: 0/500100 (file 000000010000000000000005)\n"
                               "CHECKPOINT LOCATION: 0/500060\n"
                               "LABEL: pg_basebackup base backup\n";
    static const char six[] = "START WAL LOCATION: 0/600028 (file 000000010000000000000006)\n"
                              "LABEL: pg_basebackup base backup\n";
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    scratch_write(fixture.path, "000000010000000000000005.00000028.backup", five, strlen(five));
    scratch_write(fixture.path, "000000010000000000000006.00000028.backup", six, strlen(six));
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_false(
        backups_remove(&fixture.archive, "pg_basebackup base backup", name, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_USAGE);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void a_file_that_cannot_be_understood_is_no_small_matter(void **state)
{
    static const char other[] = "START WAL LOCATION: 0/600028 (file 000000010000000000000006)\n";
    static const char *const texts[] = {"", "nonsense", other};
    Backups backups;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scratch_write(fixture.path, "000000010000000000000005.00000028.backup", texts[i],
                      strlen(texts[i]));
        assert_false(backups_read(&fixture.archive, &backups, &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(fixture.error.message, "0000000005.00000028.backup"));
        backups_free(&backups);
    }
}

static void a_crash_while_adding_leaves_all_or_nothing(void **state)
{
    BackupLabel backup = backup_at(0x500028, "one");
    const char *name = "000000010000000000000005.00000028.backup";
    unsigned nth = 0;
    bool ok = false;
    (void)state;
    while (!ok) {
        Backups backups;
        bool existed;
        fake_files_reset();
        fake_files_fail_from(FAKE_ANY, ++nth, EIO);
        ok = backups_add(&fixture.archive, &backup, &existed, &fixture.error);
        bool struck = fake_files_struck(NULL);
        fake_files_reset();
        assert_true(ok != struck || existed);
        assert_true(backups_read(&fixture.archive, &backups, &fixture.error));
        assert_int_equal(backups.count, scratch_exists(fixture.path, name));
        backups_free(&backups);
    }
    assert_true(nth > 5);
    assert_true(scratch_exists(fixture.path, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(backups_are_listed_by_their_start, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_same_backup_again_changes_nothing, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(another_backup_under_a_label_or_at_a_place_is_refused,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_backup_goes_by_its_label_or_by_its_file, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_label_that_two_have_names_neither, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_understood_is_no_small_matter,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_crash_while_adding_leaves_all_or_nothing, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
