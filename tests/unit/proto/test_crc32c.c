/* SPDX-License-Identifier: PostgreSQL
 *
 * CRC-32C against the values of RFC 3720 appendix B.4, and both implementations against the
 * definition, bit by bit.
 */
#include "walrx/proto/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH_MAX 300

static uint32_t by_definition(uint32_t crc, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0);
    }
    return crc;
}

static void check(const void *data, size_t length, uint32_t expected)
{
    assert_int_equal(crc32c_final(crc32c_update(CRC32C_INIT, data, length)), expected);
    assert_int_equal(crc32c_final(crc32c_update_table(CRC32C_INIT, data, length)), expected);
}

static void values_are_those_of_rfc_3720(void **state)
{
    uint8_t bytes[32];

    (void)state;
    check("", 0, 0);
    check("123456789", 9, 0xE3069283);
    memset(bytes, 0, sizeof(bytes));
    check(bytes, sizeof(bytes), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof(bytes));
    check(bytes, sizeof(bytes), 0x62A8AB43);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    check(bytes, sizeof(bytes), 0x46DD794E);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(sizeof(bytes) - 1 - i);
    check(bytes, sizeof(bytes), 0x113FDB5C);
}

static void fill(uint8_t *data, size_t length)
{
    uint32_t random = 1;

    for (size_t i = 0; i < length; i++) {
        random = random * 1664525 + 1013904223;
        data[i] = (uint8_t)(random >> 24);
    }
}

static void both_implementations_follow_the_definition_at_every_length_and_alignment(void **state)
{
    uint8_t data[LENGTH_MAX + 8];

    (void)state;
    fill(data, sizeof(data));
    for (size_t offset = 0; offset < 8; offset++) {
        for (size_t length = 0; length <= LENGTH_MAX; length++) {
            uint32_t expected = by_definition(CRC32C_INIT, data + offset, length);

            assert_int_equal(crc32c_update(CRC32C_INIT, data + offset, length), expected);
            assert_int_equal(crc32c_update_table(CRC32C_INIT, data + offset, length), expected);
        }
    }
}

/* Every entry of every slice: a single byte at each of the eight places. */
static void table_follows_the_definition_for_every_byte_value(void **state)
{
    (void)state;
    for (size_t place = 0; place < 8; place++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t data[8] = {0};

            data[place] = (uint8_t)value;
            assert_int_equal(crc32c_update_table(0, data, 8), by_definition(0, data, 8));
        }
    }
}

static void pieces_give_the_same_value_as_the_whole(void **state)
{
    uint8_t data[LENGTH_MAX];

    (void)state;
    fill(data, sizeof(data));
    uint32_t whole = crc32c_update(CRC32C_INIT, data, sizeof(data));

    for (size_t cut = 0; cut <= sizeof(data); cut++) {
        uint32_t crc = crc32c_update(CRC32C_INIT, data, cut);

        assert_int_equal(crc32c_update(crc, data + cut, sizeof(data) - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_rfc_3720),
        cmocka_unit_test(both_implementations_follow_the_definition_at_every_length_and_alignment),
        cmocka_unit_test(table_follows_the_definition_for_every_byte_value),
        cmocka_unit_test(pieces_give_the_same_value_as_the_whole),
    };

    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
