/* SPDX-License-Identifier: PostgreSQL
 *
 * The file of options from memory: what is read, and that each mistake names its line and nothing
 * is cut silently.
 */
#include "walrx/cli/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool parse(const char *text, Options *options, ConfigFile *file, Error *err)
{
    options_init(options);
    error_clear(err);
    return config_file_parse("x.conf", text, strlen(text), COMMAND_RECEIVE, options, file, err);
}

static void values_are_read_to_the_end_of_the_line(void **state)
{
    static const char text[] = "# a comment\n"
                               "; another one\n"
                               "\n"
                               "directory = /srv/wal archive\n"
                               "  slot=arch\r\n"
                               "[receive]\n"
                               "\tdbname =   host=db1 password='a;b # c'  \n"
                               "flush-interval = 200ms\n"
                               "verbose = on\n"
                               "no-loop = off\n"
                               "compress = zstd:7\n"
                               "memory = 1GB\n"
                               "log-format = json\n"
                               "endpos = 1/2";
    Options options;
    ConfigFile file;
    Error error;
    (void)state;
    assert_true(parse(text, &options, &file, &error));
    assert_string_equal(options.directory, "/srv/wal archive");
    assert_string_equal(options.slot, "arch");
    assert_string_equal(options.dbname, "host=db1 password='a;b # c'");
    assert_int_equal(options.flush_interval_ms, 200);
    assert_true(options.verbose && !options.no_loop);
    assert_int_equal(options.compress.method, WAL_ZSTD);
    assert_int_equal(options.compress.level, 7);
    assert_true(options.memory == (uint64_t)1 << 30);
    assert_string_equal(options.log_format, "json");
    assert_true(options.endpos == ((Lsn)1 << 32 | 2));
    config_file_free(&file);
}

static void an_empty_file_changes_nothing(void **state)
{
    static const char *const texts[] = {"", "\n", "# only a comment", "[receive]\n"};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        Options options;
        ConfigFile file;
        Error error;
        assert_true(parse(texts[i], &options, &file, &error));
        assert_int_equal(options.flush_interval_ms, 1000);
        assert_null(options.directory);
        config_file_free(&file);
    }
}

static void mistakes_name_file_and_line(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } bad[] = {
        {"\n\nnosuch = 1\n", "file \"x.conf\", line 3: unrecognized option \"nosuch\""},
        {"status-interval\n", "file \"x.conf\", line 1: not of the form name = value"},
        {"slot = a\n[receive\n", "file \"x.conf\", line 2: not of the form name = value"},
        {"flush-interval = soon\n",
         "file \"x.conf\", line 1: invalid value \"soon\" for option --flush-interval"},
        {"memory = 1kB", "file \"x.conf\", line 1: --memory must be in range 8MB..64GB"},
        {"slot = a\nslot = a\n", "file \"x.conf\", line 2: option \"slot\" is given a second time"},
        {"slot = a\n  host = b\nport = 1\n port = 2",
         "file \"x.conf\", line 4: option \"port\" is given a second time"},
        {"create-slot = on\n",
         "file \"x.conf\", line 1: option \"create-slot\" belongs on the command line only"},
        {"config = y.conf\n",
         "file \"x.conf\", line 1: option \"config\" belongs on the command line only"},
        {"help = on\n",
         "file \"x.conf\", line 1: option \"help\" belongs on the command line only"},
        {"D = /srv\n", "file \"x.conf\", line 1: unrecognized option \"D\""},
        {"[serve]\nslot = a\n", "file \"x.conf\", line 2: unrecognized section \"serve\""},
        {"# x\n\npassword = secret\n",
         "file \"x.conf\", line 3: invalid value for option --password: it is on or off"},
        {"slot = a\nnosuch = 1\nslot = b\n",
         "file \"x.conf\", line 2: unrecognized option \"nosuch\""},
        {"junk\nflush-interval = soon\n",
         "file \"x.conf\", line 2: invalid value \"soon\" for option --flush-interval"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        Options options;
        ConfigFile file;
        Error error;
        if (parse(bad[i].text, &options, &file, &error))
            fail_msg("accepted: %s", bad[i].text);
        assert_string_equal(error.message, bad[i].message);
        assert_int_equal(error.class, ERROR_USAGE);
        assert_null(strstr(error.detail, "secret"));
        assert_null(file.values);
    }
}

/* One line "dbname = xxx..." of this many bytes, and another behind it. */
static char *long_line(size_t length)
{
    static const char name[] = "dbname = ";
    static const char behind[] = "\nport = 7\n";
    char *text = malloc(length + sizeof(behind));
    assert_non_null(text);
    memset(text, 'x', length);
    memcpy(text, name, strlen(name));
    memcpy(text + length, behind, sizeof(behind));
    return text;
}

/* 197 bytes is what inih takes when it was built with its defaults and cannot be told otherwise. */
static void a_line_is_read_whole_or_refused(void **state)
{
    static const size_t lengths[] = {100,
                                     197,
                                     198,
                                     199,
                                     200,
                                     1000,
                                     CONFIG_LINE_MAX_BYTES,
                                     CONFIG_LINE_MAX_BYTES + 2,
                                     3 * CONFIG_LINE_MAX_BYTES};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        Options options;
        ConfigFile file;
        Error error;
        char *text = long_line(lengths[i]);
        bool ok = parse(text, &options, &file, &error);
        assert_true(ok || lengths[i] > 197);
        assert_false(ok && lengths[i] > CONFIG_LINE_MAX_BYTES + 1);
        if (ok) {
            assert_int_equal(strlen(options.dbname), lengths[i] - strlen("dbname = "));
            assert_string_equal(options.port, "7");
            config_file_free(&file);
        } else {
            assert_string_equal(error.message, "file \"x.conf\", line 1: line is too long");
            assert_null(options.dbname);
        }
        free(text);
    }
}

/* Which of the two depends on how inih was built. */
static void a_semicolon_behind_a_blank_is_kept_or_refused(void **state)
{
    Options options;
    ConfigFile file;
    Error error;
    (void)state;
    if (parse("# x ; y\ndbname = password='a ;b'\n", &options, &file, &error)) {
        assert_string_equal(options.dbname, "password='a ;b'");
        config_file_free(&file);
    } else {
        assert_string_equal(error.message,
                            "file \"x.conf\", line 2: a comment needs a line of its own");
    }
}

static void large_files_and_zero_bytes_are_refused(void **state)
{
    static const char zero[] = "slot = a\0b\n";
    Options options;
    ConfigFile file;
    Error error;
    char *text = malloc(CONFIG_FILE_MAX_BYTES + 1);
    (void)state;
    assert_non_null(text);
    memset(text, '\n', CONFIG_FILE_MAX_BYTES + 1);
    options_init(&options);
    assert_true(config_file_parse("x.conf", text, CONFIG_FILE_MAX_BYTES, COMMAND_RECEIVE, &options,
                                  &file, &error));
    config_file_free(&file);
    assert_false(config_file_parse("x.conf", text, CONFIG_FILE_MAX_BYTES + 1, COMMAND_RECEIVE,
                                   &options, &file, &error));
    assert_int_equal(error.class, ERROR_USAGE);
    free(text);
    assert_false(config_file_parse("x.conf", zero, sizeof(zero) - 1, COMMAND_RECEIVE, &options,
                                   &file, &error));
    assert_int_equal(error.class, ERROR_USAGE);
    assert_null(options.slot);
}

static void secrets_are_noticed(void **state)
{
    static const struct {
        const char *text;
        bool secret;
    } cases[] = {
        {"dbname = host=a password=b\n", true},
        {"dbname = postgresql://me:b@a/\n", true},
        {"dbname = postgresql://a/?sslpassword=b\n", true},
        {"dbname = postgresql://me@a:5432/\n", false},
        {"dbname = postgresql://a:5432/\n", false},
        {"dbname = host=a user=me\nno-password = on\n", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        Options options;
        ConfigFile file;
        Error error;
        assert_true(parse(cases[i].text, &options, &file, &error));
        assert_int_equal(file.holds_secret, cases[i].secret);
        assert_false(file.exposed); /* known only for files */
        config_file_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_to_the_end_of_the_line),
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(mistakes_name_file_and_line),
        cmocka_unit_test(a_line_is_read_whole_or_refused),
        cmocka_unit_test(a_semicolon_behind_a_blank_is_kept_or_refused),
        cmocka_unit_test(large_files_and_zero_bytes_are_refused),
        cmocka_unit_test(secrets_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
