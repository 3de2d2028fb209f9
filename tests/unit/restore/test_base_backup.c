/* SPDX-License-Identifier: PostgreSQL
 *
 * What is read of a base backup, in each form that pg_basebackup makes, and what is none.
 */
#include "walrx/restore/base_backup.h"

#include "walrx/codec/codec.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SYSTEM UINT64_C(7710271186224947442)

static const char LABEL[] = "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n"
                            "CHECKPOINT LOCATION: 0/3000060\n"
                            "BACKUP METHOD: streamed\n"
                            "BACKUP FROM: primary\n"
                            "START TIME: 2026-11-20 16:09:57 CET\n"
                            "LABEL: nightly\n"
                            "START TIMELINE: 1\n";
static const char MANIFEST[] =
    "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
    "\"System-Identifier\": 7710271186224947442,\n"
    "\"Files\": [\n"
    "{ \"Path\": \"backup_label\", \"Size\": 225, \"Last-Modified\": \"2026-11-20 15:10:05 GMT\" "
    "},\n"
    "{ \"Path\": \"odd \\\"WAL-Ranges\\\": [\", \"Size\": 1 }\n"
    "],\n"
    "\"WAL-Ranges\": [\n"
    "{ \"Timeline\": 3, \"Start-LSN\": \"0/5000000\", \"End-LSN\": \"0/6000120\" },\n"
    "{ \"Timeline\": 1, \"Start-LSN\": \"0/3000028\", \"End-LSN\": \"0/5000000\" }\n"
    "],\n"
    "\"Manifest-Checksum\": "
    "\"f60995eb44bbd08076fec700955314dc60ef1ce49de0db6c0e9aaf8e8e37eb44\"}\n";

static BaseBackup backup;

static bool read_at(const char *name)
{
    char path[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, name);
    uint64_t before = scratch_fingerprint(fixture.path);
    error_clear(&fixture.error);
    bool ok = base_backup_read(path, fake_files_table(), &backup, &fixture.error);
    assert_true(ok == (fixture.error.class == ERROR_NONE));
    assert_true(scratch_fingerprint(fixture.path) == before);
    return ok;
}

static void put(const char *name, const char *text)
{
    scratch_write(fixture.path, name, text, strlen(text));
}

static void drop(const char *name)
{
    char path[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, name);
    assert_int_equal(remove(path), 0);
}

/* pg_control as 13 to 18 lay it out, and 19 with a further number. */
static void put_control(uint64_t system, uint32_t segment_size, bool later)
{
    uint8_t control[8192] = {0};
    static const uint8_t format[8] = {0, 0, 0, 0, 0x87, 0xd6, 0x32, 0x41};
    const uint32_t numbers[] = {8192, 131072, 32, 8192, segment_size};
    memcpy(control, &system, 8);
    memcpy(control + 0xd8, format, 8);
    memcpy(control + 0xe0, numbers, 8);
    if (later)
        memcpy(control + 0xe8, numbers + 2, 12);
    else
        memcpy(control + 0xe8, numbers + 3, 8);
    scratch_write(fixture.path, "data/global/pg_control", control, sizeof(control));
}

static void put_plain(void)
{
    scratch_mkdir(fixture.path, "data");
    scratch_mkdir(fixture.path, "data/global");
    put("data/PG_VERSION", "15\n");
    put("data/backup_label", LABEL);
    put("data/backup_manifest", MANIFEST);
    put_control(SYSTEM, 16u << 20, false);
}

static void a_plain_directory_tells_all(void **state)
{
    (void)state;
    put_plain();
    assert_true(read_at("data"));
    assert_true(backup.has_label && backup.has_manifest && backup.plain);
    assert_int_equal(backup.major, 15);
    assert_true(backup.system_identifier == SYSTEM);
    assert_int_equal(backup.segment_size, 16u << 20);
    assert_int_equal(backup.label.start, 0x3000028);
    assert_int_equal(backup.label.timeline, 1);
    assert_int_equal(backup.label.stop, 0x6000120);
    assert_int_equal(backup.label.stop_timeline, 3);
    assert_string_equal(backup.label.label, "nightly");
    put_control(SYSTEM, 64u << 20, true);
    assert_true(read_at("data/"));
    assert_int_equal(backup.segment_size, 64u << 20);
}

static void a_plain_directory_without_manifest_has_no_stop(void **state)
{
    (void)state;
    put_plain();
    put("data/PG_VERSION", "9.6\n");
    drop("data/backup_manifest");
    assert_true(read_at("data"));
    assert_false(backup.has_manifest);
    assert_int_equal(backup.major, 9);
    assert_int_equal(backup.label.stop, LSN_INVALID);
}

static void one_file_alone_is_enough(void **state)
{
    (void)state;
    put("backup_label", LABEL);
    put("manifest", MANIFEST);
    assert_true(read_at("backup_label"));
    assert_true(backup.has_label && !backup.has_manifest && !backup.plain);
    assert_true(backup.system_identifier == 0);
    assert_true(read_at("manifest"));
    assert_true(!backup.has_label && backup.has_manifest);
    assert_true(backup.system_identifier == SYSTEM);
    assert_int_equal(backup.label.start, 0x3000028);
    assert_int_equal(backup.label.stop, 0x6000120);
    assert_string_equal(backup.label.label, "");
}

typedef struct Packed {
    uint8_t bytes[64 * 1024];
    size_t length;
} Packed;

static bool take_packed(void *context, const void *data, size_t length, Error *err)
{
    Packed *packed = context;
    (void)err;
    assert_true(packed->length + length <= sizeof(packed->bytes));
    memcpy(packed->bytes + packed->length, data, length);
    packed->length += length;
    return true;
}

static void tar_files_tell_their_label_and_their_manifest(void **state)
{
    static char tar[20 * 1024];
    static const char *const names[] = {"tar/base.tar", "tar/base.tar.gz", "tar/base.tar.lz4",
                                        "tar/base.tar.zst"};
    (void)state;
    (void)snprintf(tar, sizeof(tar), "backup_label");
    (void)snprintf(tar + 124, 12, "%011zo", strlen(LABEL));
    memcpy(tar + 512, LABEL, strlen(LABEL));
    scratch_mkdir(fixture.path, "tar");
    put("tar/backup_manifest", MANIFEST);
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        static Packed packed;
        packed.length = 0;
        CompressSpec spec = {.method = (WalCompression)form, .level = 1};
        if (form == WAL_RAW) {
            assert_true(take_packed(&packed, tar, sizeof(tar), NULL));
        } else {
            Encoder *encoder = encoder_new(spec, sizeof(tar), CODEC_MEMORY_ANY, &fixture.error);
            assert_true(encoder_write_whole(encoder, tar, take_packed, &packed, &fixture.error));
            encoder_free(encoder);
        }
        scratch_write(fixture.path, names[form], packed.bytes, packed.length);
        assert_true(read_at("tar"));
        assert_true(backup.has_label && backup.has_manifest && !backup.plain);
        assert_string_equal(backup.label.start_time, "2026-11-20 16:09:57 CET");
        assert_int_equal(backup.label.stop, 0x6000120);
        /* Damaged, or with something else first: the manifest is enough. */
        scratch_write(fixture.path, names[form], "damaged", 7);
        assert_true(read_at("tar"));
        assert_true(!backup.has_label && backup.has_manifest);
        drop(names[form]);
    }
}

static void what_is_no_base_backup_is_refused(void **state)
{
    (void)state;
    scratch_mkdir(fixture.path, "empty");
    put("strange", "x");
    put("nothing", "");
    put_plain();
    drop("data/backup_label");
    static const char *const names[] = {"empty",   "strange",   "nothing",
                                        "missing", "strange/x", "data"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(read_at(names[i]));
        assert_int_equal(fixture.error.class, ERROR_USAGE);
        assert_int_not_equal(fixture.error.message[0], '\0');
    }
    /* A server ran on it: its old manifest does not make it a backup again. */
    assert_non_null(strstr(fixture.error.hint, "A server has been started on it"));
    put("data/backup_label", "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n"
                             "CHECKPOINT LOCATION: 0/3000060\nBACKUP METHOD: pg_rewind\n");
    assert_false(read_at("data"));
    assert_int_equal(fixture.error.class, ERROR_USAGE);
}

static void parts_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    put_plain();
    put("data/backup_label", "START WAL LOCATION: 0/3000030 (file 000000010000000000000003)\n"
                             "CHECKPOINT LOCATION: 0/3000060\n");
    assert_false(read_at("data"));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    put("data/backup_label", LABEL);
    assert_true(read_at("data"));
    put_control(SYSTEM + 1, 16u << 20, false);
    assert_false(read_at("data"));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.detail, "pg_control"));
}

static void manifests_that_are_cut_or_odd_are_refused(void **state)
{
    static const char *const ranges[] = {
        "\"WAL-Ranges\": [ ]",
        "\"WAL-Ranges\": { }",
        "\"WAL-Ranges\": [ 1 ]",
        "\"WAL-Ranges\": [ { \"Timeline\": 1 } ]",
        "\"WAL-Ranges\": [ { \"Timeline\": 0, \"Start-LSN\": \"0/5\", \"End-LSN\": \"0/6\" } ]",
        "\"WAL-Ranges\": [ { \"Timeline\": 1, \"Start-LSN\": \"0/6\", \"End-LSN\": \"0/5\" } ]",
        "\"WAL-Ranges\": [ { \"Timeline\": 1, \"Start-LSN\": 5, \"End-LSN\": \"0/5\" } ]",
        "\"WAL-Ranges\": [ { \"Timeline\": 2, \"Start-LSN\": \"0/6\", \"End-LSN\": \"0/7\" }, "
        "{ \"Timeline\": 1, \"Start-LSN\": \"0/1\", \"End-LSN\": \"0/5\" } ]",
        "\"WAL-Ranges\": [ { \"Timeline\": 1, \"Start-LSN\": \"0/6\", \"End-LSN\": \"0/7\" }, "
        "{ \"Timeline\": 2, \"Start-LSN\": \"0/1\", \"End-LSN\": \"0/6\" } ]",
    };
    char text[sizeof(MANIFEST)];
    (void)state;
    /* Cut anywhere before its checksum. */
    for (size_t length = 1; length < strlen(MANIFEST) - 90; length += 7) {
        memcpy(text, MANIFEST, length);
        text[length] = '\0';
        put("manifest", text);
        assert_false(read_at("manifest"));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    }
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [ ],\n%s,\n"
                       "\"Manifest-Checksum\": \"0\"}\n",
                       ranges[i]);
        put("manifest", text);
        assert_false(read_at("manifest"));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    }
    put("manifest", "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": -1,\n"
                    "\"Files\": [ ],\n\"WAL-Ranges\": [ { \"Timeline\": 1, \"Start-LSN\": \"0/5\", "
                    "\"End-LSN\": \"0/6\" } ],\n\"Manifest-Checksum\": \"0\"}\n");
    assert_false(read_at("manifest"));
}

static void a_huge_manifest_is_read_at_both_ends(void **state)
{
    size_t filler = (size_t)4 << 20;
    size_t rest = strlen(MANIFEST) - 200;
    char *text = malloc(filler + sizeof(MANIFEST));
    (void)state;
    assert_non_null(text);
    memcpy(text, MANIFEST, 200);
    memset(text + 200, ' ', filler);
    memcpy(text + 200 + filler, MANIFEST + 200, rest);
    scratch_write(fixture.path, "manifest", text, 200 + filler + rest);
    free(text);
    fake_files_reset();
    assert_true(read_at("manifest"));
    assert_true(backup.system_identifier == SYSTEM);
    assert_int_equal(backup.label.stop, 0x6000120);
    assert_true(fake_files_count(FAKE_PREAD) < 10);
}

static void a_disk_that_fails_is_told(void **state)
{
    (void)state;
    put_plain();
    for (unsigned nth = 1;; nth++) {
        fake_files_reset();
        fake_files_fail(FAKE_PREAD, nth, EIO);
        bool ok = read_at("data");
        bool struck = fake_files_struck(NULL);
        fake_files_reset();
        assert_true(ok != struck);
        if (!struck)
            return;
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_plain_directory_tells_all),
        CASE(a_plain_directory_without_manifest_has_no_stop),
        CASE(one_file_alone_is_enough),
        CASE(tar_files_tell_their_label_and_their_manifest),
        CASE(what_is_no_base_backup_is_refused),
        CASE(parts_that_contradict_each_other_are_refused),
        CASE(manifests_that_are_cut_or_odd_are_refused),
        CASE(a_huge_manifest_is_read_at_both_ends),
        CASE(a_disk_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
