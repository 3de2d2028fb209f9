/* SPDX-License-Identifier: PostgreSQL
 *
 * Log: the three formats byte by byte, what nasty text becomes, and that lines of several threads
 * do not mix. Standard error goes to a pipe or a file meanwhile.
 */
#include "walrx/os/log.h"

#include "scratch.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[SCRATCH_PATH_SIZE];
static int real_stderr;

static void capture(void)
{
    char name[2 * SCRATCH_PATH_SIZE];
    (void)snprintf(name, sizeof(name), "%s/err", path);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    assert_true(fd >= 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
}

/* What was written since capture; malloc'ed. */
static char *captured(void)
{
    size_t length;
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    char *text = (char *)scratch_read(path, "err", &length);
    assert_non_null(text);
    text[length] = '\0';
    assert_int_equal(strlen(text), length);
    return text;
}

static int setup(void **state)
{
    (void)state;
    scratch_make(path);
    (void)unsetenv("JOURNAL_STREAM");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(path);
    return 0;
}

static char *one_line(LogFormat format, LogLevel level, const LogField *fields, const char *text)
{
    capture();
    log_setup("prog", format, LOG_DEBUG);
    log_line(level, fields, "%s", text);
    return captured();
}

static char *one_error(LogFormat format, const Error *error)
{
    capture();
    log_setup("prog", format, LOG_DEBUG);
    log_error(LOG_ERROR, NULL, error);
    return captured();
}

static void expect_text(char *got, const char *expected)
{
    /* "2026-03-01T12:00:00.123Z " in front */
    assert_true(strlen(got) > 25);
    assert_int_equal(got[10], 'T');
    assert_string_equal(got + 25, expected);
    free(got);
}

static void expect(char *got, const char *expected)
{
    assert_string_equal(got, expected);
    free(got);
}

static Error sample_error(void)
{
    Error error;
    (void)error_set(&error, ERROR_STORAGE, "could not write");
    (void)error_detail(&error, "12 of 16 MB");
    (void)error_hint(&error, "make room");
    return error;
}

static void text_lines_have_time_level_message_and_fields(void **state)
{
    const LogField fields[] = {LOG_STR("slot", "s1"), LOG_NUM("timeline", 3),
                               LOG_POS("lsn", UINT64_C(0x16B374D848)), LOG_END};
    Error error = sample_error();
    (void)state;
    expect_text(one_line(LOG_TEXT, LOG_INFO, fields, "streaming"),
                "info    streaming slot=s1 timeline=3 lsn=16/B374D848\n");
    expect_text(one_line(LOG_TEXT, LOG_WARNING, NULL, "careful"), "warning careful\n");
    expect_text(one_error(LOG_TEXT, &error),
                "error   could not write\n  detail: 12 of 16 MB\n  hint: make room\n");
}

static void text_values_are_quoted_where_they_must_be(void **state)
{
    const LogField fields[] = {LOG_STR("a", "two words"),    LOG_STR("b", ""),
                               LOG_STR("c", "say \"x\""),    LOG_STR("d", "a=b"),
                               LOG_STR("e", "back\\slash"),  LOG_STR("f", NULL),
                               LOG_STR("g", "x\ny\x1b[31m"), LOG_END};
    (void)state;
    expect_text(one_line(LOG_TEXT, LOG_INFO, fields, "m"),
                "info    m a=\"two words\" b=\"\" c=\"say \\\"x\\\"\" d=\"a=b\" "
                "e=\"back\\\\slash\" g=\"x y [31m\"\n");
}

static void control_characters_of_messages_are_folded(void **state)
{
    Error error;
    (void)state;
    (void)error_set(&error, ERROR_RETRY, "a\nb\tc\x7f\x01");
    (void)error_detail(&error, "d\r\ne");
    (void)error_hint(&error, "f\x1bg");
    expect_text(one_error(LOG_TEXT, &error), "error   a; b c\n  detail: d; e\n  hint: f g\n");
    expect(one_error(LOG_CLIENT, &error),
           "prog: error: a\nb\tc\nprog: detail: d; e\nprog: hint: f g\n");
}

static void client_lines_look_like_postgresql_programs(void **state)
{
    const LogField fields[] = {LOG_STR("slot", "s1"), LOG_END};
    Error error = sample_error();
    (void)state;
    expect(one_line(LOG_CLIENT, LOG_DEBUG, fields, "m"), "prog: m\n");
    expect(one_line(LOG_CLIENT, LOG_INFO, fields, "m"), "prog: m\n");
    expect(one_line(LOG_CLIENT, LOG_NOTICE, fields, "m"), "prog: m\n");
    expect(one_line(LOG_CLIENT, LOG_WARNING, fields, "m"), "prog: warning: m\n");
    expect(one_line(LOG_CLIENT, LOG_ERROR, fields, "m"), "prog: error: m\n");
    expect(one_error(LOG_CLIENT, &error),
           "prog: error: could not write\nprog: detail: 12 of 16 MB\nprog: hint: make room\n");
}

static json_t *json_of(char *line)
{
    json_error_t why;
    size_t length = strlen(line);
    assert_true(length > 0 && line[length - 1] == '\n');
    assert_null(memchr(line, '\n', length - 1)); /* one object, one line */
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
    if (object == NULL)
        fail_msg("%s: %s", why.text, line);
    free(line);
    return object;
}

static const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "(none)";
}

static void json_lines_hold_everything(void **state)
{
    const LogField fields[] = {LOG_STR("slot", "s1"), LOG_NUM("timeline", 3),
                               LOG_POS("lsn", UINT64_C(0x16B374D848)), LOG_END};
    Error error = sample_error();
    (void)state;
    json_t *object = json_of(one_line(LOG_JSON, LOG_INFO, fields, "streaming"));
    assert_string_equal(text_in(object, "level"), "info");
    assert_string_equal(text_in(object, "msg"), "streaming");
    assert_string_equal(text_in(object, "slot"), "s1");
    assert_string_equal(text_in(object, "lsn"), "16/B374D848");
    assert_int_equal(json_integer_value(json_object_get(object, "timeline")), 3);
    assert_int_equal(strlen(text_in(object, "time")), 24);
    json_decref(object);
    (void)snprintf(error.sqlstate, sizeof(error.sqlstate), "57P03");
    object = json_of(one_error(LOG_JSON, &error));
    assert_string_equal(text_in(object, "detail"), "12 of 16 MB");
    assert_string_equal(text_in(object, "hint"), "make room");
    assert_string_equal(text_in(object, "error"), "storage");
    assert_string_equal(text_in(object, "sqlstate"), "57P03");
    json_decref(object);
}

static void json_stays_valid_whatever_the_bytes(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char text[8] = {'a', (char)byte, 'b', (char)byte, (char)byte, '\0'};
        const LogField fields[] = {LOG_STR("field", text), LOG_END};
        Error error;
        json_decref(json_of(one_line(LOG_JSON, LOG_INFO, fields, text)));
        (void)error_set(&error, ERROR_RETRY, "%s", text);
        (void)error_detail(&error, "%s", text);
        (void)error_hint(&error, "%s", text);
        json_decref(json_of(one_error(LOG_JSON, &error)));
    }
    json_t *object = json_of(one_line(LOG_JSON, LOG_INFO, NULL, "gr\xc3\xbc\xc3\x9f \"x\" \\"));
    assert_string_equal(text_in(object, "msg"), "gr\xc3\xbc\xc3\x9f \"x\" \\");
    json_decref(object);
}

/* Lengths around every buffer of log.c: a line may be cut, never broken. */
static void lines_of_any_length_stay_whole(void **state)
{
    char text[5001];
    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t length = 900; length <= 2100; length++) {
        char first[2200];
        char second[2200];
        (void)snprintf(first, sizeof(first), "%.*s", (int)length, text);
        (void)snprintf(second, sizeof(second), "%.*s", 2000, text);
        const LogField fields[] = {LOG_STR("field", second), LOG_END};
        json_t *object = json_of(one_line(LOG_JSON, LOG_INFO, fields, first));
        assert_int_equal(strlen(text_in(object, "field")), 2000);
        json_decref(object);
    }
    text[5000] = '\0';
    const LogField fields[] = {LOG_STR("field", text), LOG_END};
    char *line = one_line(LOG_TEXT, LOG_INFO, fields, text);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_null(memchr(line, '\n', strlen(line) - 1));
    free(line);
}

static void lines_below_the_threshold_are_not_written(void **state)
{
    Error error = sample_error();
    (void)state;
    capture();
    log_setup("prog", LOG_CLIENT, LOG_WARNING);
    log_line(LOG_NOTICE, NULL, "no");
    log_error(LOG_INFO, NULL, &error);
    log_line(LOG_WARNING, NULL, "yes");
    log_set_threshold(LOG_DEBUG);
    log_line(LOG_DEBUG, NULL, "now");
    expect(captured(), "prog: warning: yes\nprog: now\n");
}

static void under_the_journal_a_priority_stands_for_the_time(void **state)
{
    struct stat status;
    char stream[64];
    Error error = sample_error();
    (void)state;
    capture();
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_setup("prog", LOG_TEXT, LOG_DEBUG);
    log_line(LOG_INFO, NULL, "m");
    log_error(LOG_ERROR, NULL, &error);
    (void)unsetenv("JOURNAL_STREAM");
    expect(captured(), "<6>m\n<3>could not write\n<3>detail: 12 of 16 MB\n<3>hint: make room\n");
}

static void *chatter(void *argument)
{
    const char *letter = argument;
    char text[1500];
    memset(text, *letter, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    const LogField fields[] = {LOG_STR("a", text), LOG_STR("b", text), LOG_END};
    for (int i = 0; i < 100; i++)
        log_line(LOG_INFO, fields, "%s", text);
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    static const char *const letters[] = {"x", "y", "z"};
    pthread_t threads[3];
    (void)state;
    capture();
    log_setup("prog", LOG_JSON, LOG_DEBUG);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, chatter, (void *)(uintptr_t)letters[i]),
                         0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    char *all = captured();
    int lines = 0;
    char *rest = all;
    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0';
         line = strsep(&rest, "\n")) {
        char *copy = NULL;
        assert_true(asprintf(&copy, "%s\n", line) > 0);
        json_t *object = json_of(copy);
        assert_string_equal(text_in(object, "msg"), text_in(object, "a"));
        assert_string_equal(text_in(object, "msg"), text_in(object, "b"));
        json_decref(object);
        lines++;
    }
    free(all);
    assert_int_equal(lines, 300);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(text_lines_have_time_level_message_and_fields),
        CASE(text_values_are_quoted_where_they_must_be),
        CASE(control_characters_of_messages_are_folded),
        CASE(client_lines_look_like_postgresql_programs),
        CASE(json_lines_hold_everything),
        CASE(json_stays_valid_whatever_the_bytes),
        CASE(lines_of_any_length_stay_whole),
        CASE(lines_below_the_threshold_are_not_written),
        CASE(under_the_journal_a_priority_stands_for_the_time),
        CASE(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
