/* SPDX-License-Identifier: PostgreSQL
 *
 * Defaults, file and command line together: which one wins, and what a real file's mode means.
 */
#include "walrx/cli/options_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/walrx-options-XXXXXX";
static char config_option[64];

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    (void)snprintf(config_option, sizeof(config_option), "--config=%s", path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* The command line is --config and up to three more arguments. */
static bool load(char *first, char *second, char *third, Options *options, ConfigFile *file,
                 Error *err)
{
    static char name[] = "receive";
    char *argv[] = {name, config_option, first, second, third, NULL};
    int argc = 2;
    int operand;
    while (argv[argc] != NULL)
        argc++;
    error_clear(err);
    return options_load(COMMAND_RECEIVE, argc, argv, options, file, &operand, err);
}

static void the_command_line_wins(void **state)
{
    Options options;
    ConfigFile file;
    Error error;
    char port[] = "--port=2";
    char compress[] = "--compress=none";
    (void)state;
    write_file("directory = d\nport = 1\nhost = db1\ncompress = lz4\nflush-interval = 2s\n", 0600);
    assert_true(load(port, compress, NULL, &options, &file, &error));
    assert_string_equal(options.directory, "d");
    assert_string_equal(options.port, "2");
    assert_string_equal(options.host, "db1");
    assert_int_equal(options.compress.method, WAL_RAW);
    assert_int_equal(options.flush_interval_ms, 2000);
    config_file_free(&file);
}

static void loading_again_sees_the_changed_file(void **state)
{
    Options options;
    ConfigFile file;
    Error error;
    char directory[] = "-Dd";
    (void)state;
    write_file("flush-interval = 2s\n", 0600);
    assert_true(load(directory, NULL, NULL, &options, &file, &error));
    assert_int_equal(options.flush_interval_ms, 2000);
    config_file_free(&file);
    write_file("", 0600);
    assert_true(load(directory, NULL, NULL, &options, &file, &error));
    assert_int_equal(options.flush_interval_ms, 1000);
    config_file_free(&file);
    write_file("flush-interval = soon\n", 0600);
    assert_false(load(directory, NULL, NULL, &options, &file, &error));
    assert_non_null(strstr(error.message, path));
}

/* Neither half is wrong alone. */
static void file_and_command_line_are_checked_together(void **state)
{
    Options options;
    ConfigFile file;
    Error error;
    char synchronous[] = "--synchronous";
    (void)state;
    write_file("directory = d\nno-sync = on\n", 0600);
    assert_false(load(synchronous, NULL, NULL, &options, &file, &error));
    assert_string_equal(error.message, "cannot use --synchronous together with --no-sync");
}

static void help_needs_no_file(void **state)
{
    static char name[] = "receive";
    static char missing[] = "--config=/nonexistent/file";
    static char help[] = "--help";
    char *argv[] = {name, missing, help, NULL};
    Options options;
    ConfigFile file;
    Error error;
    int operand;
    (void)state;
    assert_true(options_load(COMMAND_RECEIVE, 3, argv, &options, &file, &operand, &error));
    assert_true(options.help);
    config_file_free(&file);
    assert_false(options_load(COMMAND_RECEIVE, 2, argv, &options, &file, &operand, &error));
    assert_string_equal(error.message,
                        "could not open file \"/nonexistent/file\": No such file or directory");
}

static void a_folder_is_no_file_of_options(void **state)
{
    static char name[] = "receive";
    static char folder[] = "--config=/tmp";
    char *argv[] = {name, folder, NULL};
    Options options;
    ConfigFile file;
    Error error;
    int operand;
    (void)state;
    assert_false(options_load(COMMAND_RECEIVE, 2, argv, &options, &file, &operand, &error));
    assert_string_equal(error.message, "could not read file \"/tmp\": Is a directory");
}

static void a_readable_secret_is_exposed(void **state)
{
    Options options;
    ConfigFile file;
    Error error;
    char directory[] = "-Dd";
    bool is_root = geteuid() == 0;
    (void)state;
    write_file("dbname = password=x\n", 0600);
    assert_true(load(directory, NULL, NULL, &options, &file, &error));
    assert_false(file.exposed);
    config_file_free(&file);
    write_file("dbname = password=x\n", 0604);
    assert_true(load(directory, NULL, NULL, &options, &file, &error));
    assert_true(file.exposed);
    config_file_free(&file);
    write_file("dbname = password=x\n", 0640);
    assert_true(load(directory, NULL, NULL, &options, &file, &error));
    assert_int_equal(file.exposed,
                     !is_root); /* root's group-readable file is meant for a service */
    config_file_free(&file);
    write_file("dbname = host=x\n", 0644);
    assert_true(load(directory, NULL, NULL, &options, &file, &error));
    assert_false(file.exposed);
    config_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_wins),
        cmocka_unit_test(loading_again_sees_the_changed_file),
        cmocka_unit_test(file_and_command_line_are_checked_together),
        cmocka_unit_test(help_needs_no_file),
        cmocka_unit_test(a_folder_is_no_file_of_options),
        cmocka_unit_test(a_readable_secret_is_exposed),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
