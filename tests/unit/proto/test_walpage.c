/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL page headers: pages of real servers, round trips, and each field that can be wrong.
 */
#include "vectors.h"
#include "walrx/proto/walpage.h"

static bool decode(const void *data, size_t length, WalPageHeader *ret, Error *err)
{
    error_clear(err);
    bool done = wal_page_decode(data, length, ret, err);

    assert_int_equal(err->class, done ? ERROR_NONE : ERROR_ARCHIVE);
    if (!done)
        assert_int_not_equal(err->message[0], '\0');
    return done;
}

static const WalPageHeader LONG_HEADER = {
    .magic = 0xD110,
    .info = WAL_PAGE_LONG | WAL_PAGE_FIRST_IS_CONTRECORD,
    .timeline = 0x01020304,
    .address = UINT64_C(0x1122334455667788),
    .remaining = 0xA0B0C0D0,
    .system_identifier = UINT64_C(0x6AFFDE5E191B0902),
    .segment_size = 16 << 20,
    .block_size = WAL_PAGE_SIZE,
};

static void first_pages_of_real_servers_are_decoded(void **state)
{
    static const struct {
        const char *version;
        int major;
        uint16_t magic;
    } SERVERS[] = {{"13", 13, 0xD106}, {"15", 15, 0xD110}, {"18", 18, 0xD118}, {"19", 19, 0xD122}};

    (void)state;
    for (size_t i = 0; i < sizeof(SERVERS) / sizeof(SERVERS[0]); i++) {
        static Vector vector;
        char name[64];
        WalPageHeader header;
        uint8_t again[WAL_PAGE_LONG_HEADER];
        Error err;
        ResultRow row;

        (void)snprintf(name, sizeof(name), "%s/segment_start.wal", SERVERS[i].version);
        vector_read(name, &vector);
        assert_true(decode(vector.data, WAL_PAGE_LONG_HEADER, &header, &err));
        assert_int_equal(header.magic, SERVERS[i].magic);
        assert_int_equal(wal_page_major(header.magic), SERVERS[i].major);
        assert_int_equal(header.timeline, 1);
        assert_int_equal(header.address % (1 << 20), 0);
        assert_int_equal(header.segment_size, 1 << 20);
        assert_int_equal(header.block_size, WAL_PAGE_SIZE);
        assert_int_equal(wal_page_header_size(&header), WAL_PAGE_LONG_HEADER);
        assert_int_equal(wal_page_encode(&header, again, sizeof(again)), WAL_PAGE_LONG_HEADER);
        assert_memory_equal(again, vector.data, WAL_PAGE_LONG_HEADER);

        uint64_t identifier = header.system_identifier;
        IdentifySystemResult system;

        (void)snprintf(name, sizeof(name), "%s/identify_system.row", SERVERS[i].version);
        vector_read_row(name, &vector, &row);
        assert_true(result_identify_system(&row, &system, &err));
        assert_true(system.system_identifier == identifier);
    }
}

static void second_page_of_a_segment_has_a_short_header(void **state)
{
    static Vector vector;
    WalPageHeader first;
    WalPageHeader header;
    uint8_t again[WAL_PAGE_LONG_HEADER];
    Error err;

    (void)state;
    vector_read("15/segment_start.wal", &vector);
    assert_int_equal(vector.length, 2 * WAL_PAGE_SIZE);
    assert_true(decode(vector.data, vector.length, &first, &err));
    assert_true(decode(vector.data + WAL_PAGE_SIZE, WAL_PAGE_SHORT_HEADER, &header, &err));
    assert_int_equal(header.address, first.address + WAL_PAGE_SIZE);
    assert_int_equal(header.system_identifier, 0);
    assert_int_equal(header.segment_size, 0);
    assert_int_equal(wal_page_header_size(&header), WAL_PAGE_SHORT_HEADER);
    assert_int_equal(wal_page_encode(&header, again, sizeof(again)), WAL_PAGE_SHORT_HEADER);
    assert_memory_equal(again, vector.data + WAL_PAGE_SIZE, WAL_PAGE_SHORT_HEADER);
}

static void fields_lie_where_postgres_puts_them(void **state)
{
    static const uint8_t BYTES[WAL_PAGE_LONG_HEADER] = {
        0x10, 0xD1, 0x03, 0x00, 0x04, 0x03, 0x02, 0x01, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
        0x22, 0x11, 0xD0, 0xC0, 0xB0, 0xA0, 0x00, 0x00, 0x00, 0x00, 0x02, 0x09, 0x1B, 0x19,
        0x5E, 0xDE, 0xFF, 0x6A, 0x00, 0x00, 0x00, 0x01, 0x00, 0x20, 0x00, 0x00,
    };
    uint8_t buffer[WAL_PAGE_LONG_HEADER];

    (void)state;
    assert_int_equal(wal_page_encode(&LONG_HEADER, buffer, sizeof(buffer)), sizeof(buffer));
    assert_memory_equal(buffer, BYTES, sizeof(buffer));
}

static void headers_make_the_round_trip(void **state)
{
    uint8_t buffer[WAL_PAGE_LONG_HEADER];
    WalPageHeader back;
    Error err;

    (void)state;
    assert_int_equal(wal_page_encode(&LONG_HEADER, buffer, sizeof(buffer)), sizeof(buffer));
    assert_true(decode(buffer, sizeof(buffer), &back, &err));
    assert_int_equal(back.info, LONG_HEADER.info);
    assert_int_equal(back.timeline, LONG_HEADER.timeline);
    assert_true(back.address == LONG_HEADER.address);
    assert_int_equal(back.remaining, LONG_HEADER.remaining);
    assert_true(back.system_identifier == LONG_HEADER.system_identifier);
    assert_int_equal(back.segment_size, LONG_HEADER.segment_size);
    assert_int_equal(back.block_size, LONG_HEADER.block_size);
}

static void magic_numbers_name_the_major_version(void **state)
{
    static const uint16_t MAGICS[] = {0xD097, 0xD098, 0xD101, 0xD106, 0xD10D,
                                      0xD110, 0xD113, 0xD116, 0xD118, 0xD122};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(wal_page_major(MAGICS[i]), 10 + i);
    assert_int_equal(wal_page_major(0), 0);
    assert_int_equal(wal_page_major(0xD093), 0);
    assert_int_equal(wal_page_major(0x10D1), 0);
}

static void cut_headers_are_refused(void **state)
{
    uint8_t buffer[WAL_PAGE_LONG_HEADER];
    WalPageHeader header = {.timeline = 42};
    Error err;

    (void)state;
    (void)wal_page_encode(&LONG_HEADER, buffer, sizeof(buffer));
    for (size_t length = 0; length < sizeof(buffer); length++) {
        assert_false(decode(buffer, length, &header, &err));
        assert_int_equal(header.timeline, 42);
        assert_int_equal(wal_page_encode(&LONG_HEADER, buffer, length), 0);
    }
    buffer[2] = 0; /* a short header */
    assert_true(decode(buffer, WAL_PAGE_SHORT_HEADER, &header, &err));
    assert_false(decode(buffer, WAL_PAGE_SHORT_HEADER - 1, &header, &err));
}

static void unknown_magic_flags_and_sizes_are_refused(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
        const char *word;
    } FAULTS[] = {
        {0, 0x11, "magic"},    {1, 0, "magic"},       {2, 0x13, "flags"},  {3, 0x80, "flags"},
        {34, 0x01, "segment"}, {35, 0x80, "segment"}, {36, 0x01, "block"}, {37, 0x40, "block"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
        uint8_t buffer[WAL_PAGE_LONG_HEADER];
        WalPageHeader header = {.timeline = 42};
        Error err;

        (void)wal_page_encode(&LONG_HEADER, buffer, sizeof(buffer));
        buffer[FAULTS[i].offset] = FAULTS[i].value;
        assert_false(decode(buffer, sizeof(buffer), &header, &err));
        assert_non_null(strstr(err.message, FAULTS[i].word));
        assert_int_equal(header.timeline, 42);
    }
}

static void big_endian_wal_is_named_as_such(void **state)
{
    uint8_t buffer[WAL_PAGE_LONG_HEADER] = {0xD1, 0x10};
    WalPageHeader header;
    Error err;

    (void)state;
    assert_false(decode(buffer, sizeof(buffer), &header, &err));
    assert_non_null(strstr(err.message, "big-endian"));
    assert_non_null(strstr(err.detail, "15"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_pages_of_real_servers_are_decoded),
        cmocka_unit_test(second_page_of_a_segment_has_a_short_header),
        cmocka_unit_test(fields_lie_where_postgres_puts_them),
        cmocka_unit_test(headers_make_the_round_trip),
        cmocka_unit_test(magic_numbers_name_the_major_version),
        cmocka_unit_test(cut_headers_are_refused),
        cmocka_unit_test(unknown_magic_flags_and_sizes_are_refused),
        cmocka_unit_test(big_endian_wal_is_named_as_such),
    };

    return cmocka_run_group_tests_name("walpage", tests, NULL, NULL);
}
