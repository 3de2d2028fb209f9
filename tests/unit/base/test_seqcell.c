/* SPDX-License-Identifier: PostgreSQL
 *
 * A struct is read whole while another thread writes it.
 */
#include "walrx/base/seqcell.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define ROUNDS 200000

typedef struct Sample {
    uint64_t values[SEQCELL_WORDS - 1];
    uint32_t last; /* not a whole word */
} Sample;

static SeqCell cell;
static atomic_bool done;

static void *write_samples(void *context)
{
    Sample sample;
    (void)context;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (size_t i = 0; i < SEQCELL_WORDS - 1; i++)
            sample.values[i] = round;
        sample.last = (uint32_t)round;
        seqcell_write(&cell, &sample, offsetof(Sample, last) + sizeof(sample.last));
    }
    atomic_store(&done, true);
    return NULL;
}

static void a_new_cell_holds_zeros(void **state)
{
    static SeqCell fresh;
    uint64_t value = 7;
    (void)state;
    seqcell_read(&fresh, &value, sizeof(value));
    assert_int_equal(value, 0);
}

static void what_was_written_is_read(void **state)
{
    static SeqCell small;
    char text[13] = "twelve bytes";
    char got[13] = "";
    (void)state;
    seqcell_write(&small, text, sizeof(text));
    seqcell_read(&small, got, sizeof(got));
    assert_string_equal(got, text);
}

static void a_reader_never_sees_half_of_a_write(void **state)
{
    pthread_t writer;
    uint64_t newest = 0;
    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_samples, NULL), 0);
    while (!atomic_load(&done)) {
        Sample sample;
        seqcell_read(&cell, &sample, offsetof(Sample, last) + sizeof(sample.last));
        for (size_t i = 1; i < SEQCELL_WORDS - 1; i++)
            assert_int_equal(sample.values[i], sample.values[0]);
        assert_int_equal(sample.last, sample.values[0]);
        assert_true(sample.values[0] >= newest);
        newest = sample.values[0];
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_cell_holds_zeros),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_reader_never_sees_half_of_a_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
