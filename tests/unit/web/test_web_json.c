/* SPDX-License-Identifier: PostgreSQL
 *
 * What the page gets as history and events.
 */
#include "web_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parsed(char *text, size_t length)
{
    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    free(text);
    return object;
}

/* The value of a column of a row. */
static json_t *cell(const json_t *object, size_t row, const char *column)
{
    const json_t *columns = json_object_get(object, "columns");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        if (strcmp(json_string_value(json_array_get(columns, i)), column) == 0)
            return json_array_get(json_array_get(json_object_get(object, "rows"), row), i);
    }
    fail_msg("no column %s", column);
    return NULL;
}

static void history_has_a_row_per_point_and_null_for_what_is_not_known(void **state)
{
    HistoryPoint points[2] = {{.at = 1500000, .received_rate = 100, .generated_rate = 200}};
    size_t length;
    (void)state;
    points[0].lag[LAG_FLUSHED] = (StageLag){.bytes = 4096, .ns = 1500000000};
    points[1] = points[0];
    points[1].generated_rate = SNAPSHOT_UNKNOWN;
    points[1].lag[LAG_FLUSHED] = (StageLag){.bytes = SNAPSHOT_UNKNOWN, .ns = SNAPSHOT_UNKNOWN};
    char *text = web_history_json(points, 2, &length);
    json_t *object = parsed(text, length);
    assert_int_equal(json_array_size(json_object_get(object, "rows")), 2);
    assert_int_equal(json_integer_value(cell(object, 0, "at")), INT64_C(946684801500));
    assert_true(json_is_true(cell(object, 0, "streaming")));
    assert_int_equal(json_integer_value(cell(object, 0, "lag_flushed_bytes")), 4096);
    assert_true(json_real_value(cell(object, 0, "lag_flushed_seconds")) == 1.5);
    assert_int_equal(json_integer_value(cell(object, 0, "generated_bytes_per_second")), 200);
    assert_true(json_is_false(cell(object, 1, "streaming")));
    assert_true(json_is_null(cell(object, 1, "lag_flushed_bytes")));
    assert_true(json_is_null(cell(object, 1, "lag_flushed_seconds")));
    assert_true(json_is_null(cell(object, 1, "generated_bytes_per_second")));
    json_decref(object);
}

static void no_history_is_an_empty_list(void **state)
{
    size_t length;
    (void)state;
    char *text = web_history_json(NULL, 0, &length);
    json_t *object = parsed(text, length);
    assert_int_equal(json_array_size(json_object_get(object, "rows")), 0);
    json_decref(object);
}

static void an_event_that_is_no_text_does_not_take_the_others_along(void **state)
{
    static EventLog log;
    size_t length;
    (void)state;
    events_init(&log);
    log.count = 2;
    log.events[0] = (Event){.at = 0, .level = EVENT_BAD, .text = "could not \xe4\xf6"};
    log.events[1] = (Event){.at = 1, .level = EVENT_GOOD, .text = "streaming \"x\""};
    char *text = web_events_json(&log, &length);
    json_t *object = parsed(text, length);
    const json_t *list = json_object_get(object, "events");
    assert_int_equal(json_array_size(list), 2);
    const json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "text")), "(not readable)");
    assert_string_equal(json_string_value(json_object_get(first, "level")), "bad");
    assert_string_equal(json_string_value(json_object_get(first, "at")),
                        "2000-01-01T00:00:00.000000Z");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "text")),
                        "streaming \"x\"");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_has_a_row_per_point_and_null_for_what_is_not_known),
        cmocka_unit_test(no_history_is_an_empty_list),
        cmocka_unit_test(an_event_that_is_no_text_does_not_take_the_others_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
