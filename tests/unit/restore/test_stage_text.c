/* SPDX-License-Identifier: PostgreSQL
 *
 * Words for a shell, and restore_command for whatever the paths are called. A real shell reads
 * them.
 */
#include "stage_internal.h"

#include "walrx/os/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char text[4 * STAGE_SHELL_SIZE];

static void plain_words_stay_as_they_are(void **state)
{
    char small[4];
    (void)state;
    assert_true(stage_shell_word("/srv/wal-1/a_b.c+d,e@f:g", text, sizeof(text)));
    assert_string_equal(text, "/srv/wal-1/a_b.c+d,e@f:g");
    assert_true(stage_shell_word("", text, sizeof(text)));
    assert_string_equal(text, "''");
    assert_true(stage_shell_word("a b", text, sizeof(text)));
    assert_string_equal(text, "'a b'");
    assert_true(stage_shell_word("it's", text, sizeof(text)));
    assert_string_equal(text, "'it'\\''s'");
    assert_false(stage_shell_word("abcd", small, sizeof(small)));
}

/* What a shell makes of `echo WORD`. */
static void assert_shell_reads(const char *line, const char *expected)
{
    char script[sizeof(text) + 64];
    char output[1024];
    int status;
    Error error;
    ProcessUser self;
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    assert_true(process_user(geteuid(), &self, &error));
    (void)snprintf(script, sizeof(script), "for w in %s; do printf '%%s|' \"$w\"; done", line);
    assert_true(process_run(argv, &self, output, sizeof(output), &status, &error));
    assert_string_equal(output, expected);
}

static void a_shell_reads_one_word(void **state)
{
    static const char *const words[] = {"a b",     "it's",     "\"q\"", "$(id)",   "`id`",  "a;b",
                                        "a&b|c>d", "\\back\\", "*?[]",  "~/home",  "#hash", "a=b",
                                        "-dash",   "''",       "%%",    "\t",      "!x",    "{a,b}",
                                        "$HOME/",  "(",        "<",     "\xc3\xa4"};
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char expected[64];
        assert_true(stage_shell_word(words[i], text, sizeof(text)));
        (void)snprintf(expected, sizeof(expected), "%s|", words[i]);
        assert_shell_reads(text, expected);
    }
}

/* As BuildRestoreCommand does it: %% becomes %, %f and %p the names. */
static void substitute(const char *command, char *result)
{
    char *at = result;
    for (; *command != '\0'; command++) {
        if (command[0] == '%' && (command[1] == 'f' || command[1] == 'p'))
            at += snprintf(at, 16, "%s", command[1] == 'f' ? "FILE" : "PATH");
        else
            *at++ = *command;
        if (command[0] == '%')
            command++;
    }
    *at = '\0';
}

static void restore_command_names_program_and_archive(void **state)
{
    char result[sizeof(text)];
    char small[16];
    (void)state;
    assert_true(stage_text_restore_command("/usr/bin/walrx", "/srv/wal", "", text, sizeof(text)));
    assert_string_equal(text, "/usr/bin/walrx restore -D /srv/wal %f %p");
    assert_true(stage_text_restore_command("/b in/wal'rx", "/srv/100%p %f", " --on-gap=continue",
                                           text, sizeof(text)));
    assert_string_equal(text,
                        "'/b in/wal'\\''rx' restore -D '/srv/100%%p %%f' --on-gap=continue %f %p");
    substitute(text, result);
    assert_shell_reads(result,
                       "/b in/wal'rx|restore|-D|/srv/100%p %f|--on-gap=continue|FILE|PATH|");
    assert_false(
        stage_text_restore_command("/usr/bin/walrx", "/srv/wal", "", small, sizeof(small)));
}

static void a_text_that_is_full_says_so(void **state)
{
    char small[24];
    StageText it;
    (void)state;
    stage_text_begin(&it, small, sizeof(small));
    stage_text_setting(&it, "port", "5433");
    assert_true(it.fits);
    assert_string_equal(small, "port = '5433'\n");
    stage_text_setting(&it, "listen_addresses", "");
    assert_false(it.fits);
    stage_text_begin(&it, text, sizeof(text));
    stage_text_setting(&it, "a", "it's \\ a");
    assert_true(it.fits);
    assert_string_equal(text, "a = 'it''s \\\\ a'\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_words_stay_as_they_are),
        cmocka_unit_test(a_shell_reads_one_word),
        cmocka_unit_test(restore_command_names_program_and_archive),
        cmocka_unit_test(a_text_that_is_full_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
