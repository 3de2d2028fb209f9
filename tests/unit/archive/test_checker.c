/* SPDX-License-Identifier: PostgreSQL
 *
 * Checker: WAL of many records goes through a ring of two extents, whose memory is used again as
 * soon as the checker's position allows it. Each kind of damage, at places that differ in what lies
 * around them, is found once and where it is, and everything behind it is still checked.
 */
#include "walrx/archive/checker.h"

#include "fixture.h"

#include "../proto/walmaker.h"
#include "walrx/proto/walpage.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY (2 * RING_EXTENT)
#define PAGE WAL_PAGE_SIZE

static Ring ring;
static Checker *checker;
static atomic_uint moves;
static _Alignas(64) uint8_t memory[CAPACITY];
static uint8_t wal[FIXTURE_LENGTH]; /* what the server sends */

static uint8_t *byte_at(Lsn lsn)
{
    return wal + (lsn - FIXTURE_START);
}

static void count_move(void *context)
{
    (void)context;
    atomic_fetch_add(&moves, 1);
}

static void open_checker(VerifyMode mode)
{
    memcpy(wal, fixture_wal(FIXTURE_START), sizeof(wal));
    ring_reset(&ring, memory, CAPACITY, FIXTURE_START);
    atomic_store(&moves, 0);
    assert_true(checker_open(&fixture.archive, &ring, mode, NULL, count_move, NULL, &checker,
                             &fixture.error));
    checker_start(checker, 1, FIXTURE_START);
}

static int close_checker(void **state)
{
    checker_close(checker);
    checker = NULL;
    return fixture_teardown(state);
}

/* Puts [begin, end) into the ring. Full: what was checked makes room, however long that takes. */
static void receive(Lsn begin, Lsn end)
{
    Error error;
    while (begin < end) {
        size_t room;
        uint8_t *place = ring_reserve(&ring, &room);
        if (place == NULL) {
            if (checker_fault(checker, &error))
                return;
            ring_release(&ring, checker_position(checker));
            (void)sched_yield();
            continue;
        }
        size_t count = end - begin < room ? (size_t)(end - begin) : room;
        memcpy(place, byte_at(begin), count);
        begin = ring_publish(&ring, count);
        if (begin % RING_EXTENT == 0)
            checker_poke(checker);
    }
}

/* In pieces of any length, each of them checked by this thread, if not by the other one; or, with
 * `alone`, full extents by the other thread only. */
static void receive_all(bool alone, unsigned seed)
{
    Lsn at = FIXTURE_START;
    while (!alone && at < FIXTURE_END) {
        seed = seed * 1103515245 + 12345;
        Lsn end = at + 1 + (seed >> 8) % (seed % 64 == 0 ? 600000 : 9000);
        if (end > FIXTURE_END)
            end = FIXTURE_END;
        receive(at, end);
        checker_reach(checker, end);
        assert_true(checker_position(checker) == end);
        at = end;
    }
    receive(at, FIXTURE_END);
    while (checker_position(checker) < FIXTURE_END)
        (void)sched_yield();
    checker_rest(checker);
}

static void expect(uint64_t records, uint64_t faults, Lsn latest)
{
    CheckCounts counts = checker_counts(checker);
    assert_int_equal(counts.faults, faults);
    assert_true(counts.latest_fault == latest);
    assert_int_equal(counts.records, records);
}

static void good_wal_has_no_fault(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 3; seed++) {
        open_checker(VERIFY_ON);
        receive_all(seed == 0, seed);
        expect(fixture_records(FIXTURE_START, FIXTURE_END), 0, LSN_INVALID);
        assert_true(seed != 0 || atomic_load(&moves) > 0);
        assert_true(checker_safe(checker) == UINT64_MAX);
        checker_close(checker);
    }
    checker = NULL;
}

/* The record that begins first on the page; its first 60 bytes lie there too. */
static Lsn record_on(Lsn page)
{
    Lsn record = fixture_record_from(page + 40);
    assert_true(record + 60 < page + PAGE);
    return record;
}

/* Damages the page or its first record. *ret_fault: where it must be told, *ret_again: from which
 * page on records count again. The number of records that are lost although they are fine is 0
 * with LSN_INVALID there: the scan goes on right behind. */
typedef void DamageFunction(Lsn page, Lsn *ret_fault, Lsn *ret_again);

static void body(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    *ret_fault = record_on(page);
    *ret_again = LSN_INVALID;
    *byte_at(*ret_fault + 30) ^= 1;
}

static void link_to_previous(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    *ret_fault = record_on(page);
    *ret_again = page + PAGE;
    *byte_at(*ret_fault + 8) ^= 8;
}

static void set_length(Lsn page, uint32_t length, Lsn *ret_fault, Lsn *ret_again)
{
    *ret_fault = record_on(page);
    *ret_again = page + PAGE;
    for (unsigned i = 0; i < 4; i++)
        *byte_at(*ret_fault + i) = (uint8_t)(length >> (8 * i));
}

static void impossible_length(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    set_length(page, 5, ret_fault, ret_again);
}

static void no_length(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    set_length(page, 0, ret_fault, ret_again);
}

static void smaller_length(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    set_length(page, 32, ret_fault, ret_again);
}

/* Only the next page shows it; that page itself is fine. */
static void larger_length(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    set_length(page, 500000, ret_fault, ret_again);
    *ret_fault = page + PAGE;
}

static void page_byte(Lsn page, unsigned offset, uint8_t change, Lsn *ret_fault, Lsn *ret_again)
{
    *ret_fault = page;
    *ret_again = page + PAGE;
    *byte_at(page + offset) ^= change;
}

static void page_magic(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    page_byte(page, 1, 0x80, ret_fault, ret_again);
}

static void page_timeline(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    page_byte(page, 4, 1, ret_fault, ret_again); /* 0 */
}

static void page_address(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    page_byte(page, 10, 2, ret_fault, ret_again);
}

static void page_remaining(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    page_byte(page, 16, 8, ret_fault, ret_again);
}

static void zeros(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    *ret_fault = page;
    *ret_again = page + 3 * PAGE;
    memset(byte_at(page), 0, 3 * PAGE);
}

static void noise(Lsn page, Lsn *ret_fault, Lsn *ret_again)
{
    *ret_fault = page;
    *ret_again = page + 3 * PAGE;
    for (Lsn at = page; at < page + 3 * PAGE; at++)
        *byte_at(at) = (uint8_t)(at * 2654435761U >> 13);
}

static DamageFunction *const damages[] = {
    body,       link_to_previous, impossible_length, no_length,      smaller_length, larger_length,
    page_magic, page_timeline,    page_address,      page_remaining, zeros,          noise,
};
#define DAMAGES (sizeof(damages) / sizeof(damages[0]))

/* Where damage is put: inside a segment, over the end of one, at its first page. */
static const Lsn places[] = {
    FIXTURE_START + 40 * PAGE,
    FIXTURE_START + FIXTURE_SIZE - PAGE,
    FIXTURE_START + 3 * FIXTURE_SIZE,
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static uint64_t records_left(Lsn fault, Lsn again)
{
    Lsn end = fixture_record_from(fault) == fault ? fault : fixture_record_before(fault);
    if (again == LSN_INVALID)
        return fixture_records(FIXTURE_START, FIXTURE_END) - 1;
    return fixture_records(FIXTURE_START, end) + fixture_records(again, FIXTURE_END);
}

static void each_damage_is_told_once_and_the_scan_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < DAMAGES * PLACES; i++) {
        for (unsigned seed = 0; seed < 3; seed++) {
            Lsn fault;
            Lsn again;
            Lsn page = places[i / DAMAGES];
            open_checker(VERIFY_ON);
            damages[i % DAMAGES](page, &fault, &again);
            uint64_t left = records_left(fault, again);
            if (damages[i % DAMAGES] == larger_length) /* told later than where it began */
                left = records_left(record_on(page), again);
            receive_all(seed == 0, seed + (unsigned)i);
            print_message("damage %zu at place %zu\n", i % DAMAGES, i / DAMAGES);
            expect(left, 1, fault);
            checker_close(checker);
        }
    }
    checker = NULL;
}

static void several_places_count_each_for_itself(void **state)
{
    uint64_t lost = 0;
    Lsn last = LSN_INVALID;
    (void)state;
    open_checker(VERIFY_ON);
    /* two neighbours, and more than are told one by one */
    Lsn record = record_on(FIXTURE_START + PAGE);
    for (; lost < 2; lost++, record = fixture_record_from(record + 1))
        *byte_at(record + 24) ^= 4;
    for (; lost < 30; lost++) {
        last = record_on(FIXTURE_START + lost * 10 * PAGE);
        *byte_at(last + 25) ^= 4;
    }
    receive_all(false, 7);
    expect(fixture_records(FIXTURE_START, FIXTURE_END) - lost, lost, last);
}

static void stop_is_safe_up_to_the_record_that_is_not_whole(void **state)
{
    Lsn at = FIXTURE_START;
    Error error;
    (void)state;
    open_checker(VERIFY_STOP);
    for (unsigned step = 1; at < FIXTURE_START + 2 * FIXTURE_SIZE; step = step * 5 % 1009) {
        receive(at, at + 8 * (Lsn)step);
        at += 8 * (Lsn)step;
        checker_reach(checker, at);
        Lsn whole = fixture_record_before(at);
        Lsn safe = checker_safe(checker);
        assert_true(safe <= at && safe <= fixture_record_from(whole));
        assert_true(safe >= whole);
        assert_false(checker_fault(checker, &error));
        ring_release(&ring, checker_position(checker));
    }
}

/* Nor beyond the beginning of a page header whose first bytes are there. */
static void stop_is_never_safe_beyond_a_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < DAMAGES * PLACES; i++) {
        Lsn fault;
        Lsn again;
        Lsn page = places[i / DAMAGES];
        Error error;
        open_checker(VERIFY_STOP);
        damages[i % DAMAGES](page, &fault, &again);
        Lsn limit = fault == page ? page : record_on(page);
        Lsn end = again == LSN_INVALID ? page + 3 * PAGE : again + 3 * PAGE;
        receive(FIXTURE_START, page - 100);
        checker_reach(checker, page - 100);
        for (Lsn at = page - 100; at < end; at += 13) {
            receive(at, at + 13);
            checker_reach(checker, at + 13);
            assert_true(checker_safe(checker) <= limit);
        }
        assert_true(checker_fault(checker, &error));
        assert_int_equal(error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(error.message, "damaged WAL at "));
        /* What comes then is not looked at any more, and nobody waits for it. */
        Lsn position = checker_position(checker);
        Lsn edge = ring_published(&ring) + RING_EXTENT;
        receive(ring_published(&ring), edge - edge % RING_EXTENT);
        checker_reach(checker, ring_published(&ring));
        assert_true(checker_position(checker) == position);
        assert_int_equal(checker_counts(checker).faults, 1);
        checker_close(checker);
    }
    checker = NULL;
}

/* No record is open there, but the header may turn out wrong. */
static void stop_is_not_safe_inside_a_page_header(void **state)
{
    Lsn page = FIXTURE_START + PAGE;
    (void)state;
    open_checker(VERIFY_STOP);
    WalMaker maker = maker_over(wal, sizeof(wal), FIXTURE_START, FIXTURE_SIZE);
    maker_fill_page(&maker, 0);
    (void)maker_record(&maker, 100, 10, 0);
    receive(FIXTURE_START, page);
    checker_reach(checker, page);
    assert_true(checker_safe(checker) == page);
    receive(page, page + 10);
    checker_reach(checker, page + 10);
    assert_true(checker_safe(checker) == page);
}

static void the_message_names_position_expected_and_found(void **state)
{
    Error error;
    Lsn page = FIXTURE_START + 2 * PAGE;
    char text[LSN_TEXT_SIZE];
    (void)state;
    open_checker(VERIFY_STOP);
    *byte_at(page + 10) ^= 2;
    receive(FIXTURE_START, page + PAGE);
    checker_reach(checker, page + PAGE);
    assert_true(checker_fault(checker, &error));
    assert_string_equal(error.message, "the server sent damaged WAL at 0/504000: WAL page names "
                                       "0/524000 as its address");
    assert_non_null(strstr(error.detail, "inside the record that begins at 0/50"));
    checker_close(checker);
    open_checker(VERIFY_STOP);
    Lsn record = record_on(page);
    *byte_at(record + 24) ^= 2;
    receive(FIXTURE_START, page + PAGE);
    checker_reach(checker, page + PAGE);
    assert_true(checker_fault(checker, &error));
    assert_non_null(strstr(error.message, lsn_format(record, text)));
    assert_non_null(strstr(error.message, "incorrect checksum of WAL record: "));
    assert_non_null(strstr(error.message, " instead of "));
    assert_string_equal(error.detail, "");
}

/* The same thread of the checker, from an earlier segment on; counts go on. */
static void it_starts_again_at_an_earlier_segment(void **state)
{
    Lsn record = record_on(FIXTURE_START + PAGE);
    Lsn end = FIXTURE_START + FIXTURE_SIZE + 12345;
    (void)state;
    open_checker(VERIFY_ON);
    *byte_at(record + 30) ^= 1;
    for (unsigned run = 1; run <= 3; run++) {
        receive(FIXTURE_START, end);
        checker_reach(checker, end);
        checker_rest(checker);
        expect(run * (fixture_records(FIXTURE_START, end) - 1), run, record);
        ring_reset(&ring, memory, CAPACITY, FIXTURE_START);
        checker_start(checker, 1, FIXTURE_START);
        assert_true(checker_position(checker) == FIXTURE_START);
    }
}

static void it_can_be_closed_at_work_and_at_rest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        open_checker(i % 2 == 0 ? VERIFY_ON : VERIFY_STOP);
        receive(FIXTURE_START, FIXTURE_START + CAPACITY);
        if (i % 3 == 0)
            checker_rest(checker);
        checker_close(checker);
    }
    checker = NULL;
    checker_close(NULL);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, close_checker)
    const struct CMUnitTest tests[] = {
        CASE(good_wal_has_no_fault),
        CASE(each_damage_is_told_once_and_the_scan_goes_on),
        CASE(several_places_count_each_for_itself),
        CASE(stop_is_safe_up_to_the_record_that_is_not_whole),
        CASE(stop_is_never_safe_beyond_a_fault),
        CASE(stop_is_not_safe_inside_a_page_header),
        CASE(the_message_names_position_expected_and_found),
        CASE(it_starts_again_at_an_earlier_segment),
        CASE(it_can_be_closed_at_work_and_at_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
