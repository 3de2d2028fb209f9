/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx bench` for people: a column of names, and the figures beside it. MB and GB
 * are powers of ten, as disks and networks count.
 */
#include "bench_report.h"

#include <inttypes.h>
#include <string.h>

#define MEGA 1e6
#define GIGA 1e9
#define NS_PER_SECOND 1e9
#define LABEL_WIDTH 18
#define TABLE_ROWS 20
#define BAR_WIDTH 40

static const unsigned percentiles[] = {500, 900, 990, 999};
#define PERCENTILES 4

double bench_mean_rate(const BenchResult *result)
{
    uint64_t ns = result->stream_ns + result->finish_ns;
    return ns == 0 ? 0 : (double)result->bytes * NS_PER_SECOND / (double)ns;
}

double bench_share(const BenchResult *result, uint64_t part_ns)
{
    const BenchShares *shares = &result->shares;
    uint64_t total = shares->behind_ns + shares->idle_ns + shares->stall_ns + shares->busy_ns;
    return total == 0 ? 0 : (double)part_ns / (double)total;
}

double bench_cpu_seconds(const BenchCpu *cpu)
{
    return (double)(cpu->user_us + cpu->system_us) / 1e6;
}

uint64_t bench_sample_count(const BenchResult *result)
{
    uint64_t count = 0;
    for (size_t i = 0; i < BENCH_SENDER_STATES; i++)
        count += result->samples[i];
    return count;
}

static void label(FILE *out, const char *text)
{
    (void)fprintf(out, "%-*s", LABEL_WIDTH, text);
}

static const char *format_version(int version, char *buffer, size_t capacity)
{
    (void)snprintf(buffer, capacity, "%d.%d", version / 10000, version % 10000);
    return buffer;
}

static void print_head(FILE *out, const Options *options, const BenchResult *result)
{
    char text[2][LSN_TEXT_SIZE];
    char version[32];
    label(out, "server");
    (void)fprintf(out, "%s, PostgreSQL %s%s\n", result->peer,
                  format_version(result->server_version, version, sizeof(version)),
                  result->local ? ", this machine" : "");
    label(out, "WAL");
    (void)fprintf(out, "%s to %s, timeline %u\n", lsn_format(result->from, text[0]),
                  lsn_format(result->to, text[1]), result->timeline);
    label(out, "sink");
    (void)fprintf(out, "%s%s%s\n", options->sink, options->directory != NULL ? ", in " : "",
                  options->directory != NULL ? options->directory : "");
    label(out, "time");
    (void)fprintf(out, "%.3f s receiving", (double)result->stream_ns / NS_PER_SECOND);
    if (options->directory != NULL)
        (void)fprintf(out, ", then %.3f s until all was durable",
                      (double)result->finish_ns / NS_PER_SECOND);
    (void)fprintf(out, "%s\n", result->interrupted ? " (interrupted)" : "");
    label(out, "received");
    (void)fprintf(out, "%.1f MB in %" PRIu64 " messages\n", (double)result->bytes / MEGA,
                  result->messages);
    if (result->packed_segments > 0) {
        double raw = (double)result->packed_segments * (double)result->segment_size;
        label(out, "compressed to");
        (void)fprintf(out, "%.1f %% of their size (%" PRIu64 " segments)\n",
                      100 * (double)result->packed_bytes / raw, result->packed_segments);
    }
    label(out, "throughput");
    (void)fprintf(out, "%.1f MB/s\n", bench_mean_rate(result) / MEGA);
}

static void print_table(FILE *out, const BenchWindow *windows, size_t count)
{
    static const char bar[] = "########################################";
    double highest = 0;
    for (size_t i = 0; i < count; i++) {
        double rate = bench_window_rate(&windows[i]);
        highest = rate > highest ? rate : highest;
    }
    for (size_t i = 0; i < count; i++) {
        double rate = bench_window_rate(&windows[i]);
        int width = highest > 0 ? (int)(rate / highest * BAR_WIDTH + 0.5) : 0;
        (void)fprintf(out, "  %8.2f s - %8.2f s  %9.1f  %.*s\n", (double)windows[i].begin_ms / 1000,
                      (double)windows[i].end_ms / 1000, rate / MEGA, width, bar);
    }
}

static void print_series(FILE *out, const BenchResult *result)
{
    BenchWindow windows[BENCH_SERIES_SLOTS];
    uint64_t window_ms = bench_series_window_ms(&result->series);
    size_t count = bench_series_windows(&result->series, window_ms, windows, BENCH_SERIES_SLOTS);
    BenchRates rates = bench_rates(windows, count);
    label(out, "  over time");
    (void)fprintf(out, "min %.1f, median %.1f, max %.1f MB/s in %.3g s\n\n", rates.minimum / MEGA,
                  rates.median / MEGA, rates.maximum / MEGA, (double)window_ms / 1000);
    count = bench_series_windows(&result->series, window_ms, windows, TABLE_ROWS);
    (void)fprintf(out, "  %23s  %9s\n", "", "MB/s");
    print_table(out, windows, count);
    (void)fputc('\n', out);
}

static void print_sizes(FILE *out, const BenchResult *result)
{
    const Histogram *sizes = &result->message_bytes;
    label(out, "message size");
    (void)fprintf(out,
                  "p50 %" PRIu64 ", p90 %" PRIu64 ", p99 %" PRIu64 ", max %" PRIu64 " bytes\n\n",
                  histogram_percentile(sizes, 500), histogram_percentile(sizes, 900),
                  histogram_percentile(sizes, 990), histogram_max(sizes));
}

static void print_latency(FILE *out, const char *name, const Histogram *histogram)
{
    if (histogram_count(histogram) == 0)
        return;
    (void)fprintf(out, "  %-20s", name);
    for (size_t i = 0; i < PERCENTILES; i++)
        (void)fprintf(out, " %10.3f",
                      (double)histogram_percentile(histogram, percentiles[i]) / 1e6);
    (void)fprintf(out, " %10.3f\n", (double)histogram_max(histogram) / 1e6);
}

static void print_latencies(FILE *out, const BenchResult *result)
{
    (void)fprintf(out, "  %-20s %10s %10s %10s %10s %10s\n", "latency, ms", "p50", "p90", "p99",
                  "p99.9", "max");
    print_latency(out, "receive to write", &result->write_ns);
    print_latency(out, "receive to flush", &result->flush_ns);
    print_latency(out, "flush to report", &result->report_ns);
    print_latency(out, "age on arrival", &result->age_ns);
    if (result->ages_from_the_future > 0)
        (void)fprintf(out,
                      "  By the clocks %" PRIu64
                      " messages came before they were sent: the clocks of "
                      "server and receiver differ.\n",
                      result->ages_from_the_future);
    else if (!result->local)
        (void)fputs(
            "  Age is from the server's clock to this one's: it holds as far as they agree.\n",
            out);
    (void)fputc('\n', out);
}

static void print_evidence(FILE *out, const Options *options, const BenchResult *result)
{
    const BenchShares *shares = &result->shares;
    double cpu = bench_cpu_seconds(&result->process_cpu);
    uint64_t samples = bench_sample_count(result);
    label(out, "receiver CPU");
    (void)fprintf(out, "%.2f s user, %.2f s system", (double)result->process_cpu.user_us / 1e6,
                  (double)result->process_cpu.system_us / 1e6);
    if (result->bytes > 0)
        (void)fprintf(out, ", %.2f s per GB", cpu * GIGA / (double)result->bytes);
    (void)fprintf(out, "\n");
    label(out, "WAL generated");
    (void)fprintf(out, "%.1f MB/s by the server meanwhile\n",
                  result->stream_ns == 0
                      ? 0
                      : (double)(result->server_end_last - result->server_end_first) *
                            NS_PER_SECOND / (double)result->stream_ns / MEGA);
    label(out, "stream thread");
    (void)fprintf(out, "%.0f %% busy, %.0f %% waiting for more that the server had, ",
                  100 * bench_share(result, shares->busy_ns),
                  100 * bench_share(result, shares->behind_ns));
    if (options->directory != NULL)
        (void)fprintf(out, "%.0f %% waiting for the disk, ",
                      100 * bench_share(result, shares->stall_ns));
    (void)fprintf(out, "%.0f %% caught up\n", 100 * bench_share(result, shares->idle_ns));
    label(out, "walsender");
    if (samples == 0) {
        (void)fprintf(out, "not seen: %s\n", result->samples_problem);
        return;
    }
    double percent = 100 / (double)samples;
    (void)fprintf(out,
                  "%.0f %% running, %.0f %% reading WAL, %.0f %% waiting for the socket, %.0f %% "
                  "for WAL (%" PRIu64 " samples)\n",
                  percent * (double)result->samples[BENCH_SENDER_RUNNING],
                  percent * (double)result->samples[BENCH_SENDER_READING],
                  percent * (double)result->samples[BENCH_SENDER_SENDING],
                  percent * (double)result->samples[BENCH_SENDER_IDLE], samples);
}

static const char *explain(BenchLimit limit)
{
    static const char *const texts[] = {
        [BENCH_LIMIT_UNKNOWN] = "nothing was measured",
        [BENCH_LIMIT_PRIMARY] = "the server generates no more WAL: the receiver was caught up",
        [BENCH_LIMIT_WALSENDER] = "the walsender: it had more to send and did not get it out",
        [BENCH_LIMIT_NETWORK] =
            "the network: the walsender waited to send, and the receiver for it",
        [BENCH_LIMIT_WALSENDER_OR_NETWORK] =
            "walsender or network: which of them, only samples of the walsender could tell",
        [BENCH_LIMIT_RECEIVER] = "the receiver: its stream thread was busy nearly all the time",
        [BENCH_LIMIT_DISK] = "the disk: the receiver waited for it with its memory full",
        [BENCH_LIMIT_COMPRESSION] = "compression: its workers had the memory full",
    };
    return texts[limit];
}

void bench_print_text(FILE *out, const Options *options, const BenchResult *result)
{
    print_head(out, options, result);
    if (result->bytes > 0) {
        print_series(out, result);
        print_sizes(out, result);
        print_latencies(out, result);
    }
    print_evidence(out, options, result);
    if (!result->flush_reported)
        (void)fputs("No flush was reported, because the server has synchronous_standby_names set: "
                    "it kept all WAL meanwhile.\n",
                    out);
    (void)fputc('\n', out);
    label(out, "limit");
    (void)fprintf(out, "%s\n", explain(result->limit));
}
