/* SPDX-License-Identifier: PostgreSQL
 *
 * History files: as they are, in every form, and none that PostgreSQL would stop at.
 */
#include "get_fixture.h"

#define HISTORY "00000002.history"
#define BACKUP "000000010000000000000005.00000028.backup"

static const char text[] = "1\t0/5000A0\tno recovery target specified\n";

/* The form's bytes, borrowed from a partial of some segment. */
static void put_text(const char *name, WalCompression form, const void *data, size_t length)
{
    char packed[WAL_FILE_NAME_SIZE];
    fixture_archive(99, form, true, data, length);
    (void)snprintf(packed, sizeof(packed), "%s%s", name, wal_compression_suffix(form));
    assert_int_equal(renameat(fixture.archive.dir.fd, fixture_name(99, form, true),
                              fixture.archive.dir.fd, packed),
                     0);
}

static void each_kind_is_placed_in_every_form(void **state)
{
    static const char *const names[] = {HISTORY, BACKUP};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
            char packed[WAL_FILE_NAME_SIZE];
            if (i == 1 && form > 0)
                continue; /* nobody compresses these */
            expect_absent(names[i]);
            put_text(names[i], (WalCompression)form, text, strlen(text));
            expect_placed(names[i], text, strlen(text));
            (void)snprintf(packed, sizeof(packed), "%s%s", names[i],
                           wal_compression_suffix((WalCompression)form));
            assert_int_equal(unlinkat(fixture.archive.dir.fd, packed, 0), 0);
        }
    }
}

static void what_is_no_history_is_refused(void **state)
{
    static const char *const texts[] = {"", "1\t0/", "2\t0/5000A0\tx\n", "x\n", "1 0/5 \n1 0/6 \n"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scratch_write(fixture.path, HISTORY, texts[i], strlen(texts[i]));
        expect_error(HISTORY, ERROR_ARCHIVE, HISTORY "\" is damaged: ");
    }
    put_text(HISTORY, WAL_GZIP, text, strlen(text));
    expect_placed(HISTORY, text, strlen(text));
    expect_warning("another form of it was taken");
}

static void a_file_without_end_is_refused(void **state)
{
    size_t length = (1 << 20) + 1;
    char *large = malloc(length);
    (void)state;
    assert_non_null(large);
    memset(large, '#', length);
    large[length - 1] = '\n';
    scratch_write(fixture.path, BACKUP, large, length);
    expect_error(BACKUP, ERROR_ARCHIVE, "it has more than 1048576 bytes");
    scratch_write(fixture.path, BACKUP, large, length - 1);
    expect_placed(BACKUP, large, length - 1);
    put_text(HISTORY, WAL_ZSTD, large, length);
    expect_error(HISTORY, ERROR_ARCHIVE, "it has more than 1048576 bytes");
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_kind_is_placed_in_every_form),
        CASE(what_is_no_history_is_refused),
        CASE(a_file_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
