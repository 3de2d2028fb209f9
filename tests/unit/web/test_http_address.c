/* SPDX-License-Identifier: PostgreSQL
 *
 * What people write as an address to listen on.
 */
#include "walrx/observe/http_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, const char *shown, bool loopback)
{
    char buffer[HTTP_ADDRESS_TEXT_SIZE];
    HttpAddress address;
    Error error;
    assert_true(http_address_parse(text, &address, &error));
    assert_string_equal(http_address_format(&address, buffer), shown);
    assert_int_equal(address.loopback, loopback);
}

static void a_port_alone_is_on_loopback(void **state)
{
    (void)state;
    expect("9187", "127.0.0.1:9187", true);
    expect("1", "127.0.0.1:1", true);
    expect("65535", "127.0.0.1:65535", true);
}

static void addresses_of_both_families_are_taken(void **state)
{
    (void)state;
    expect("127.0.0.1:9187", "127.0.0.1:9187", true);
    expect("127.8.9.10:9187", "127.8.9.10:9187", true);
    expect("localhost:9187", "127.0.0.1:9187", true);
    expect("0.0.0.0:80", "0.0.0.0:80", false);
    expect("192.0.2.1:9187", "192.0.2.1:9187", false);
    expect("[::1]:9187", "[::1]:9187", true);
    expect("[::]:9187", "[::]:9187", false);
    expect("[2001:db8:0:0:0:0:0:7]:9187", "[2001:db8::7]:9187", false);
}

static void everything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        ":9187",
        "0",
        "65536",
        "-1",
        "+9187",
        " 9187",
        "9187 ",
        "0x50",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:99999999999999999999999",
        "127.1:9187",
        "127.0.0.256:9187",
        "example.com:9187",
        "*:9187",
        "::1:9187",
        "[::1]",
        "[::1]9187",
        "[::1:9187",
        "::1]:9187",
        "[]:9187",
        "[:9187",
        "]:9187",
        "[127.0.0.1]:9187",
        "[::1%lo]:9187",
        "http://127.0.0.1:9187",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:9187",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        HttpAddress address = {.length = 7};
        Error error;
        assert_false(http_address_parse(bad[i], &address, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        assert_non_null(strstr(error.message, bad[i]));
        assert_int_equal(address.length, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_alone_is_on_loopback),
        cmocka_unit_test(addresses_of_both_families_are_taken),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
