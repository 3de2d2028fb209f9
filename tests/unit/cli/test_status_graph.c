/* SPDX-License-Identifier: PostgreSQL
 *
 * Block characters: eight heights, the newest at the right, a small value is not nothing.
 */
#include "status_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static Graph graph;

static int setup(void **state)
{
    (void)state;
    graph = (Graph){.count = 0};
    return 0;
}

static void expect(size_t width, const char *wanted)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    graph_print(out, &graph, width);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void values_are_as_high_as_their_share_of_the_peak(void **state)
{
    (void)state;
    expect(3, "   ");
    graph_add(&graph, 0);
    graph_add(&graph, 1);
    graph_add(&graph, 500);
    graph_add(&graph, 1000);
    expect(4, " \xE2\x96\x81\xE2\x96\x85\xE2\x96\x88");
    expect(6, "   \xE2\x96\x81\xE2\x96\x85\xE2\x96\x88");
    expect(1, "\xE2\x96\x88");
    assert_int_equal(graph_peak(&graph, 4), 1000);
}

static void the_peak_is_of_what_is_shown(void **state)
{
    (void)state;
    graph_add(&graph, UINT64_MAX);
    graph_add(&graph, 8);
    graph_add(&graph, 8);
    assert_int_equal(graph_peak(&graph, 2), 8);
    expect(2, "\xE2\x96\x88\xE2\x96\x88");
    expect(3, "\xE2\x96\x88\xE2\x96\x81\xE2\x96\x81");
}

static void the_oldest_are_forgotten(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3 * GRAPH_POINTS; i++)
        graph_add(&graph, i);
    assert_int_equal(graph.count, GRAPH_POINTS);
    assert_int_equal(graph_peak(&graph, GRAPH_POINTS), 3 * GRAPH_POINTS - 1);
    expect(1, "\xE2\x96\x88");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values_are_as_high_as_their_share_of_the_peak, setup),
        cmocka_unit_test_setup(the_peak_is_of_what_is_shown, setup),
        cmocka_unit_test_setup(the_oldest_are_forgotten, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
