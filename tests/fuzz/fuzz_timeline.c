/* SPDX-License-Identifier: PostgreSQL
 *
 * History files. The first byte is the room given, the second the target; the rest is the text.
 * What is accepted keeps the order that the header promises, survives formatting, and its questions
 * agree.
 */
#include "fuzz.h"
#include "walrx/proto/timeline.h"

#define CAPACITY_MAX 255
#define TEXT_SIZE (CAPACITY_MAX * 80)

static void check_order(const TimelineHistory *history)
{
    for (size_t i = 0; i < history->count; i++) {
        const TimelineSwitch *entry = &history->switches[i];

        require(entry->timeline > 0 && entry->timeline < history->target);
        require(entry->end != LSN_INVALID);
        if (i > 0) {
            require(entry->timeline > entry[-1].timeline);
            require(entry->end >= entry[-1].end);
        }
    }
}

static void check_questions(const TimelineHistory *history)
{
    Lsn begin;
    Lsn end;
    Timeline next;

    require(timeline_history_find(history, history->target, &end, &next));
    require(end == UINT64_MAX && next == 0);
    require(timeline_history_at(history, UINT64_MAX) == history->target);
    for (size_t i = 0; i < history->count; i++) {
        Timeline timeline = history->switches[i].timeline;

        require(timeline_history_find(history, timeline, &end, &next));
        require(timeline_history_begin(history, timeline, &begin));
        require(begin <= end);
        require(next > timeline);
        if (begin < end) {
            require(timeline_history_at(history, begin) == timeline);
            require(timeline_history_at(history, end - 1) == timeline);
        }
        require(timeline_history_begin(history, next, &begin) && begin == end);
    }
}

static void check_round_trip(const TimelineHistory *history)
{
    static char text[TEXT_SIZE];
    static TimelineSwitch switches[CAPACITY_MAX];
    TimelineHistory back;
    size_t length;
    Error err;

    require(timeline_history_format(history, text, sizeof(text), &length));
    require(
        timeline_history_parse(text, length, history->target, switches, CAPACITY_MAX, &back, &err));
    require(back.count == history->count);
    for (size_t i = 0; i < back.count; i++) {
        require(back.switches[i].timeline == history->switches[i].timeline);
        require(back.switches[i].end == history->switches[i].end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TimelineSwitch switches[CAPACITY_MAX];
    TimelineHistory history;
    Error err;

    if (size < 2)
        return 0;
    if (!timeline_history_parse((const char *)data + 2, size - 2, data[1], switches, data[0],
                                &history, &err)) {
        require(err.class == ERROR_PROTOCOL && err.message[0] != '\0');
        return 0;
    }
    require(history.target == data[1] && history.count <= data[0]);
    check_order(&history);
    check_questions(&history);
    check_round_trip(&history);
    return 0;
}
