/* SPDX-License-Identifier: PostgreSQL
 *
 * Streaming messages: round trips, each wrong length, and messages of real servers.
 */
#include "vectors.h"
#include "walrx/proto/copydata.h"

static bool decode(const void *data, size_t length, CopyMessage *ret)
{
    Error err;

    error_clear(&err);
    bool done = copy_message_decode(data, length, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static void wal_data_makes_the_round_trip(void **state)
{
    static const uint8_t DATA[] = {1, 2, 3, 0, 255};
    const CopyMessage message = {.type = COPY_WAL_DATA,
                                 .as.wal = {.start = UINT64_C(0x0102030405060708),
                                            .server_end = UINT64_MAX,
                                            .send_time = -1,
                                            .data = DATA,
                                            .length = sizeof(DATA)}};
    uint8_t buffer[64];
    CopyMessage back;

    (void)state;
    assert_int_equal(copy_message_encode(&message, buffer, sizeof(buffer)),
                     COPY_WAL_HEADER_SIZE + sizeof(DATA));
    assert_int_equal(buffer[0], 'w');
    for (uint8_t i = 1; i <= 8; i++)
        assert_int_equal(buffer[i], i);
    assert_true(decode(buffer, COPY_WAL_HEADER_SIZE + sizeof(DATA), &back));
    assert_int_equal(back.type, COPY_WAL_DATA);
    assert_int_equal(back.as.wal.start, message.as.wal.start);
    assert_int_equal(back.as.wal.server_end, UINT64_MAX);
    assert_int_equal(back.as.wal.send_time, -1);
    assert_int_equal(back.as.wal.length, sizeof(DATA));
    assert_ptr_equal(back.as.wal.data, buffer + COPY_WAL_HEADER_SIZE);
    assert_memory_equal(back.as.wal.data, DATA, sizeof(DATA));
}

static void wal_data_may_be_empty(void **state)
{
    const CopyMessage message = {.type = COPY_WAL_DATA, .as.wal = {.start = 5}};
    uint8_t buffer[COPY_WAL_HEADER_SIZE];
    CopyMessage back;

    (void)state;
    assert_int_equal(copy_message_encode(&message, buffer, sizeof(buffer)), sizeof(buffer));
    assert_true(decode(buffer, sizeof(buffer), &back));
    assert_int_equal(back.as.wal.length, 0);
}

static void keepalive_makes_the_round_trip(void **state)
{
    (void)state;
    for (int reply = 0; reply < 2; reply++) {
        const CopyMessage message = {.type = COPY_KEEPALIVE,
                                     .as.keepalive = {.server_end = UINT64_C(0x16B374D848),
                                                      .send_time = INT64_MIN,
                                                      .reply_requested = reply == 1}};
        uint8_t buffer[COPY_KEEPALIVE_SIZE];
        CopyMessage back;

        assert_int_equal(copy_message_encode(&message, buffer, sizeof(buffer)), sizeof(buffer));
        assert_true(decode(buffer, sizeof(buffer), &back));
        assert_int_equal(back.type, COPY_KEEPALIVE);
        assert_int_equal(back.as.keepalive.server_end, message.as.keepalive.server_end);
        assert_true(back.as.keepalive.send_time == INT64_MIN);
        assert_int_equal(back.as.keepalive.reply_requested, reply);
    }
}

static void status_makes_the_round_trip(void **state)
{
    const CopyMessage message = {
        .type = COPY_STANDBY_STATUS,
        .as.status = {
            .write = 3, .flush = 2, .apply = 1, .send_time = INT64_MAX, .reply_requested = true}};
    uint8_t buffer[COPY_STATUS_SIZE];
    CopyMessage back;

    (void)state;
    assert_int_equal(copy_message_encode(&message, buffer, sizeof(buffer)), sizeof(buffer));
    assert_int_equal(buffer[0], 'r');
    assert_int_equal(buffer[8], 3);
    assert_int_equal(buffer[16], 2);
    assert_int_equal(buffer[24], 1);
    assert_int_equal(buffer[33], 1);
    assert_true(decode(buffer, sizeof(buffer), &back));
    assert_int_equal(back.as.status.write, 3);
    assert_int_equal(back.as.status.flush, 2);
    assert_int_equal(back.as.status.apply, 1);
    assert_true(back.as.status.send_time == INT64_MAX);
    assert_true(back.as.status.reply_requested);
}

static void hot_standby_feedback_makes_the_round_trip(void **state)
{
    const CopyMessage message = {.type = COPY_HOT_STANDBY_FEEDBACK,
                                 .as.feedback = {.send_time = 7,
                                                 .xmin = UINT32_MAX,
                                                 .xmin_epoch = 1,
                                                 .catalog_xmin = 2,
                                                 .catalog_xmin_epoch = 3}};
    uint8_t buffer[COPY_FEEDBACK_SIZE];
    CopyMessage back;

    (void)state;
    assert_int_equal(copy_message_encode(&message, buffer, sizeof(buffer)), sizeof(buffer));
    assert_true(decode(buffer, sizeof(buffer), &back));
    assert_int_equal(back.as.feedback.send_time, 7);
    assert_int_equal(back.as.feedback.xmin, UINT32_MAX);
    assert_int_equal(back.as.feedback.xmin_epoch, 1);
    assert_int_equal(back.as.feedback.catalog_xmin, 2);
    assert_int_equal(back.as.feedback.catalog_xmin_epoch, 3);
}

static void any_flag_that_is_not_zero_is_true(void **state)
{
    uint8_t buffer[COPY_KEEPALIVE_SIZE] = {'k'};
    CopyMessage message;

    (void)state;
    buffer[17] = 0x80;
    assert_true(decode(buffer, sizeof(buffer), &message));
    assert_true(message.as.keepalive.reply_requested);
}

static void wrong_lengths_and_types_are_refused(void **state)
{
    static const struct {
        char type;
        size_t valid;
        bool open_end;
    } TYPES[] = {
        {'w', COPY_WAL_HEADER_SIZE, true},
        {'k', COPY_KEEPALIVE_SIZE, false},
        {'r', COPY_STATUS_SIZE, false},
        {'h', COPY_FEEDBACK_SIZE, false},
    };
    uint8_t buffer[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
        for (size_t length = 0; length <= sizeof(buffer); length++) {
            CopyMessage message = {.type = COPY_KEEPALIVE, .as.keepalive.server_end = 42};
            bool valid = length == TYPES[i].valid || (TYPES[i].open_end && length > TYPES[i].valid);

            buffer[0] = (uint8_t)TYPES[i].type;
            assert_int_equal(decode(buffer, length, &message), valid);
            if (!valid)
                assert_int_equal(message.as.keepalive.server_end, 42);
        }
    }
    for (unsigned type = 0; type < 256; type++) {
        CopyMessage message;

        buffer[0] = (uint8_t)type;
        if (memchr("wkrh", (int)type, 4) == NULL) {
            for (size_t length = 1; length <= sizeof(buffer); length++)
                assert_false(decode(buffer, length, &message));
        }
    }
}

static void wal_data_beyond_the_last_lsn_is_refused(void **state)
{
    uint8_t buffer[COPY_WAL_HEADER_SIZE + 3] = {'w', 255, 255, 255, 255, 127, 255, 255, 252};
    CopyMessage message;

    (void)state;
    assert_true(decode(buffer, sizeof(buffer), &message));
    buffer[8] = 253;
    assert_false(decode(buffer, sizeof(buffer), &message));
    assert_true(decode(buffer, sizeof(buffer) - 1, &message));
}

static void encode_writes_nothing_beyond_the_capacity(void **state)
{
    static const uint8_t DATA[3] = {1, 2, 3};
    const CopyMessage message = {.type = COPY_WAL_DATA,
                                 .as.wal = {.data = DATA, .length = sizeof(DATA)}};
    uint8_t buffer[COPY_WAL_HEADER_SIZE + sizeof(DATA) + 1];

    (void)state;
    for (size_t capacity = 0; capacity < COPY_WAL_HEADER_SIZE + sizeof(DATA); capacity++) {
        memset(buffer, 0xEE, sizeof(buffer));
        assert_int_equal(copy_message_encode(&message, buffer, capacity), 0);
        assert_int_equal(buffer[capacity], 0xEE);
    }
}

static void messages_of_real_servers_are_decoded(void **state)
{
    static const char *const VERSIONS[] = {"13", "15", "18", "19"};

    (void)state;
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        static Vector vector;
        static uint8_t again[VECTOR_MAX_BYTES];
        char name[64];
        CopyMessage message;

        (void)snprintf(name, sizeof(name), "%s/wal_data.msg", VERSIONS[i]);
        vector_read(name, &vector);
        assert_true(decode(vector.data, vector.length, &message));
        assert_int_equal(message.type, COPY_WAL_DATA);
        assert_int_equal(message.as.wal.length, vector.length - COPY_WAL_HEADER_SIZE);
        assert_true(message.as.wal.start + message.as.wal.length <= message.as.wal.server_end);
        /* Some time after 2026-01-01. */
        assert_true(message.as.wal.send_time > INT64_C(820454400) * 1000000);
        assert_int_equal(copy_message_encode(&message, again, sizeof(again)), vector.length);
        assert_memory_equal(again, vector.data, vector.length);

        (void)snprintf(name, sizeof(name), "%s/keepalive.msg", VERSIONS[i]);
        vector_read(name, &vector);
        assert_true(decode(vector.data, vector.length, &message));
        assert_int_equal(message.type, COPY_KEEPALIVE);
        assert_true(message.as.keepalive.server_end > 0);
        assert_int_equal(copy_message_encode(&message, again, sizeof(again)), vector.length);
        assert_memory_equal(again, vector.data, vector.length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wal_data_makes_the_round_trip),
        cmocka_unit_test(wal_data_may_be_empty),
        cmocka_unit_test(keepalive_makes_the_round_trip),
        cmocka_unit_test(status_makes_the_round_trip),
        cmocka_unit_test(hot_standby_feedback_makes_the_round_trip),
        cmocka_unit_test(any_flag_that_is_not_zero_is_true),
        cmocka_unit_test(wrong_lengths_and_types_are_refused),
        cmocka_unit_test(wal_data_beyond_the_last_lsn_is_refused),
        cmocka_unit_test(encode_writes_nothing_beyond_the_capacity),
        cmocka_unit_test(messages_of_real_servers_are_decoded),
    };

    return cmocka_run_group_tests_name("copydata", tests, NULL, NULL);
}
