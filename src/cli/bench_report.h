/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx bench`, for people and for programs.
 */
#pragma once

#include "walrx/cli/options.h"
#include "walrx/stream/bench.h"

#include <stdio.h>

void bench_print_text(FILE *out, const Options *options, const BenchResult *result);
/* One object. `error`: what ended the measurement early; NULL: nothing. ERROR_MEMORY when it cannot
 * be built. */
bool bench_print_json(FILE *out, const Options *options, const BenchResult *result,
                      const Error *error, Error *err) MUST_CHECK;

/* Bytes a second from the beginning until everything was durable. */
double bench_mean_rate(const BenchResult *result);
/* A part of the stream thread's time, 0 to 1. */
double bench_share(const BenchResult *result, uint64_t part_ns);
/* CPU seconds of the whole process. */
double bench_cpu_seconds(const BenchCpu *cpu);
uint64_t bench_sample_count(const BenchResult *result);
