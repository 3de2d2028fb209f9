/* SPDX-License-Identifier: PostgreSQL
 *
 * See status_graph.h. Eight heights of U+2581 to U+2588; a value that is not zero is never blank.
 */
#include "status_graph.h"

#define HEIGHTS 8

void graph_add(Graph *graph, uint64_t value)
{
    if (graph->count == GRAPH_POINTS) {
        graph->first = (graph->first + 1) % GRAPH_POINTS;
        graph->count--;
    }
    graph->values[(graph->first + graph->count) % GRAPH_POINTS] = value;
    graph->count++;
}

/* Of the newest `width`, the one at `index`. */
static uint64_t value_at(const Graph *graph, size_t shown, size_t index)
{
    return graph->values[(graph->first + graph->count - shown + index) % GRAPH_POINTS];
}

static size_t count_shown(const Graph *graph, size_t width)
{
    return graph->count < width ? graph->count : width;
}

uint64_t graph_peak(const Graph *graph, size_t width)
{
    size_t shown = count_shown(graph, width);
    uint64_t peak = 0;
    for (size_t i = 0; i < shown; i++) {
        uint64_t value = value_at(graph, shown, i);
        peak = value > peak ? value : peak;
    }
    return peak;
}

void graph_print(FILE *out, const Graph *graph, size_t width)
{
    size_t shown = count_shown(graph, width);
    uint64_t peak = graph_peak(graph, width);
    for (size_t i = shown; i < width; i++)
        (void)fputc(' ', out);
    for (size_t i = 0; i < shown; i++) {
        uint64_t value = value_at(graph, shown, i);
        if (value == 0) {
            (void)fputc(' ', out);
            continue;
        }
        unsigned height = (unsigned)((double)value * (HEIGHTS - 1) / (double)peak + 0.5);
        (void)fprintf(out, "\xE2\x96%c", (char)(0x81 + (int)height));
    }
}
