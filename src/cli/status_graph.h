/* SPDX-License-Identifier: PostgreSQL
 *
 * A line of block characters for a series of values, oldest first. Private to src/cli.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define GRAPH_POINTS 512

typedef struct Graph {
    uint64_t values[GRAPH_POINTS]; /* a ring */
    size_t first;
    size_t count;
} Graph;

void graph_add(Graph *graph, uint64_t value);
uint64_t graph_peak(const Graph *graph, size_t width);
/* The newest `width` values, as high as their share of the peak; blanks where there are none. */
void graph_print(FILE *out, const Graph *graph, size_t width);
