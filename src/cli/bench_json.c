/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx bench` as one JSON object, whose keys walrx-bench(1) describes. A reference
 * that jansson could not make is NULL and fails the object it belongs to.
 */
#include "bench_report.h"
#include "json_text.h"

#include "walrx/codec/codec.h"

#include <jansson.h>
#include <string.h>

#define NS_PER_SECOND 1e9
#define FORMAT_VERSION 1

static json_t *seconds(uint64_t ns)
{
    return json_real((double)ns / NS_PER_SECOND);
}

/* null where nothing was recorded. */
static json_t *distribution(const Histogram *histogram)
{
    if (histogram_count(histogram) == 0)
        return json_null();
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "count", json_whole(histogram_count(histogram)),
        "min", json_whole(histogram_min(histogram)), "mean", json_whole(histogram_mean(histogram)),
        "p50", json_whole(histogram_percentile(histogram, 500)), "p90",
        json_whole(histogram_percentile(histogram, 900)), "p99",
        json_whole(histogram_percentile(histogram, 990)), "p99_9",
        json_whole(histogram_percentile(histogram, 999)), "max",
        json_whole(histogram_max(histogram)));
}

static json_t *server_of(const BenchResult *result)
{
    return json_pack("{s:s, s:i, s:b, s:b}", "peer", result->peer, "version_num",
                     result->server_version, "unix_socket", result->unix_socket, "same_machine",
                     result->local);
}

static json_t *settings_of(const Options *options)
{
    char compress[COMPRESS_SPEC_TEXT_SIZE];
    return json_pack("{s:s, s:s?, s:b, s:s, s:o}", "sink", options->sink, "directory",
                     options->directory, "synchronous", options->synchronous, "compress",
                     compress_spec_format(options->compress, compress), "memory_bytes",
                     json_whole(options->memory));
}

static json_t *windows_of(const BenchWindow *windows, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < count; i++) {
        json_t *window = json_pack(
            "{s:f, s:f, s:o}", "begin_seconds", (double)windows[i].begin_ms / 1000, "end_seconds",
            (double)windows[i].end_ms / 1000, "bytes", json_whole(windows[i].bytes));
        if (json_array_append_new(array, window) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *throughput_of(const BenchResult *result)
{
    BenchWindow windows[BENCH_SERIES_SLOTS];
    uint64_t window_ms = bench_series_window_ms(&result->series);
    size_t count = bench_series_windows(&result->series, window_ms, windows, BENCH_SERIES_SLOTS);
    BenchRates rates = bench_rates(windows, count);
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o}", "mean_bytes_per_second",
                     bench_mean_rate(result), "minimum_bytes_per_second", rates.minimum,
                     "median_bytes_per_second", rates.median, "maximum_bytes_per_second",
                     rates.maximum, "window_seconds", (double)window_ms / 1000, "windows",
                     windows_of(windows, count));
}

static json_t *latencies_of(const BenchResult *result)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o}", "receive_to_write_ns", distribution(&result->write_ns),
        "receive_to_flush_ns", distribution(&result->flush_ns), "flush_to_report_ns",
        distribution(&result->report_ns), "age_on_arrival_ns", distribution(&result->age_ns),
        "ages_below_zero", json_whole(result->ages_from_the_future));
}

static json_t *cpu_of(const BenchResult *result)
{
    double total = bench_cpu_seconds(&result->process_cpu);
    return json_pack(
        "{s:f, s:f, s:f, s:o}", "user_seconds", (double)result->process_cpu.user_us / 1e6,
        "system_seconds", (double)result->process_cpu.system_us / 1e6, "stream_thread_seconds",
        bench_cpu_seconds(&result->stream_thread_cpu), "seconds_per_gigabyte",
        result->bytes > 0 ? json_real(total * 1e9 / (double)result->bytes) : json_null());
}

static json_t *thread_of(const BenchResult *result)
{
    const BenchShares *shares = &result->shares;
    return json_pack("{s:f, s:f, s:f, s:f}", "busy_share", bench_share(result, shares->busy_ns),
                     "server_had_more_share", bench_share(result, shares->behind_ns), "disk_share",
                     bench_share(result, shares->stall_ns), "caught_up_share",
                     bench_share(result, shares->idle_ns));
}

static json_t *walsender_of(const BenchResult *result)
{
    const uint64_t *samples = result->samples;
    uint64_t count = bench_sample_count(result);
    if (count == 0)
        return json_pack("{s:i, s:s}", "samples", 0, "problem", result->samples_problem);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "samples", json_whole(count), "running",
                     json_whole(samples[BENCH_SENDER_RUNNING]), "reading_wal",
                     json_whole(samples[BENCH_SENDER_READING]), "waiting_for_socket",
                     json_whole(samples[BENCH_SENDER_SENDING]), "waiting_for_wal",
                     json_whole(samples[BENCH_SENDER_IDLE]), "other",
                     json_whole(samples[BENCH_SENDER_OTHER]));
}

static json_t *packed_of(const BenchResult *result)
{
    if (result->packed_segments == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "segments", json_whole(result->packed_segments),
                     "uncompressed_bytes",
                     json_whole(result->packed_segments * result->segment_size), "bytes",
                     json_whole(result->packed_bytes));
}

static json_t *object_of(const Options *options, const BenchResult *result, const Error *error)
{
    return json_pack(
        "{s:i, s:o, s:o, s:I, s:o, s:o, s:b, s:s?, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:b, s:s}",
        "format_version", FORMAT_VERSION, "server", server_of(result), "settings",
        settings_of(options), "timeline", (json_int_t)result->timeline, "from_lsn",
        json_lsn(result->from), "to_lsn", json_lsn(result->to), "interrupted", result->interrupted,
        "error", error != NULL ? error->message : NULL, "seconds",
        seconds(result->stream_ns + result->finish_ns), "receive_seconds",
        seconds(result->stream_ns), "finish_seconds", seconds(result->finish_ns), "bytes",
        json_whole(result->bytes), "messages", json_whole(result->messages), "generated_bytes",
        json_whole(result->server_end_last - result->server_end_first), "throughput",
        throughput_of(result), "message_bytes", distribution(&result->message_bytes), "latency",
        latencies_of(result), "cpu", cpu_of(result), "stream_thread", thread_of(result),
        "walsender", walsender_of(result), "flush_reported", result->flush_reported, "limit",
        bench_limit_name(result->limit));
}

bool bench_print_json(FILE *out, const Options *options, const BenchResult *result,
                      const Error *error, Error *err)
{
    json_t *object = object_of(options, result, error);
    if (object == NULL || json_object_set_new(object, "compressed", packed_of(result)) != 0) {
        json_decref(object);
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the result");
    }
    (void)json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
