/* SPDX-License-Identifier: PostgreSQL
 *
 * Frames of the protocol: lengths that are refused, startup packets told apart, and the bytes of
 * what a server answers, as the protocol's documentation lays them out.
 */
#include "walrx/proto/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static Error error;

static void lengths_are_bounded(void **state)
{
    static const struct {
        uint8_t bytes[4];
        bool fine;
    } cases[] = {
        {{0, 0, 0, 3}, false},
        {{0, 0, 0, 4}, true},
        {{0, 0, 0x27, 0x10}, true},
        {{0, 0, 0x27, 0x11}, false},
        {{0xFF, 0xFF, 0xFF, 0xFF}, false},
        {{0x80, 0, 0, 8}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t length = 0;
        assert_int_equal(frame_length_decode(cases[i].bytes, &length, &error), cases[i].fine);
        if (!cases[i].fine)
            assert_int_equal(error.class, ERROR_PROTOCOL);
    }
}

static void startup_packets_are_told_apart(void **state)
{
    static const uint8_t session[] = {0, 0, 0, 9, 0, 3, 0, 0, 0};
    static const uint8_t tls[] = {0, 0, 0, 8, 4, 0xD2, 0x16, 0x2F};
    static const uint8_t gss[] = {0, 0, 0, 8, 4, 0xD2, 0x16, 0x30};
    static const uint8_t old[] = {0, 0, 0, 8, 0, 2, 0, 0};
    StartupKind kind;
    (void)state;
    assert_true(frame_startup_decode(session, sizeof(session), &kind, &error));
    assert_int_equal(kind, STARTUP_SESSION);
    assert_true(frame_startup_decode(tls, sizeof(tls), &kind, &error));
    assert_int_equal(kind, STARTUP_SSL_REQUEST);
    assert_true(frame_startup_decode(gss, sizeof(gss), &kind, &error));
    assert_int_equal(kind, STARTUP_GSS_REQUEST);
    assert_false(frame_startup_decode(old, sizeof(old), &kind, &error));
    assert_false(frame_startup_decode(tls, 7, &kind, &error)); /* not the stated length */
    assert_false(frame_startup_decode(tls, 3, &kind, &error));
}

static void a_row_is_described_and_holds_nulls(void **state)
{
    static const char *const names[] = {"a", "b"};
    static const uint8_t expected[] = {
        'T', 0,   0,   0, 46, 0, 2, /* two columns */
        'a', 0,   0,   0, 0,  0, 0,  0, 0, 0, 0, 25, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0,
        0,   'b', 0,   0, 0,  0, 0,  0, 0, 0, 0, 0,  25,   0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0,   0,   'D', 0, 0,  0, 16, 0, 2, 0, 0, 0,  2,    'x',  'y',  0xFF, 0xFF, 0xFF, 0xFF,
    };
    const ResultRow row = {.count = 2, .values = {"xy", NULL}, .lengths = {2, 0}};
    uint8_t bytes[256];
    Writer writer = writer_over(bytes, sizeof(bytes));
    (void)state;
    frame_row(&writer, names, &row);
    assert_false(writer.failed);
    assert_int_equal(writer.position, sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void an_error_carries_its_fields(void **state)
{
    static const char expected[] = "E\0\0\0\x22SERROR\0VERROR\0C58P01\0Mgone\0";
    uint8_t bytes[64];
    Writer writer = writer_over(bytes, sizeof(bytes));
    (void)state;
    frame_error(&writer, "ERROR", "58P01", "gone");
    assert_int_equal(writer.position, sizeof(expected)); /* the literal's NUL ends the fields */
    assert_memory_equal(bytes + 5, expected + 5, sizeof(expected) - 5);
    assert_int_equal(bytes[4], writer.position - 1);
}

static void what_does_not_fit_fails_without_a_byte_outside(void **state)
{
    uint8_t bytes[32];
    (void)state;
    for (size_t room = 0; room < 9; room++) {
        memset(bytes, 0x5A, sizeof(bytes));
        Writer writer = writer_over(bytes, room);
        frame_authentication_ok(&writer);
        assert_true(writer.failed);
        for (size_t i = room; i < sizeof(bytes); i++)
            assert_int_equal(bytes[i], 0x5A);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(startup_packets_are_told_apart),
        cmocka_unit_test(a_row_is_described_and_holds_nulls),
        cmocka_unit_test(an_error_carries_its_fields),
        cmocka_unit_test(what_does_not_fit_fails_without_a_byte_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
