/* SPDX-License-Identifier: PostgreSQL
 *
 * Micro benchmarks: one function of walrx at a time, on one core, from memory to memory.
 *
 *   micro [--file=SEGMENT] [--rounds=N] [--time=TIME] [--json] [NAME]
 *
 * The input is a raw segment file, or 16 MB of generated WAL. All cases of a round run before the
 * next round, each for `time`; medians are printed with the slowest and the fastest round. NAME
 * selects the cases whose name begins with it.
 */
#include "micro.h"

#include "walgen.h"

#include "walrx/base/parse.h"
#include "walrx/proto/segment.h"
#include "walrx/proto/walpage.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define GENERATED ((uint32_t)16 << 20)
#define MAX_ROUNDS 100

typedef struct MicroOptions {
    const char *file;
    const char *name;
    uint64_t rounds;
    uint64_t time_ms;
    int json;
} MicroOptions;

typedef struct MicroResult {
    MicroState state;
    double values[MAX_ROUNDS];
} MicroResult;

static const char *const unit_names[] = {"MB/s", "GB/s", "ns"};

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static bool read_options(int argc, char **argv, MicroOptions *options)
{
    static const struct option known[] = {
        {"file", required_argument, NULL, 'f'},
        {"rounds", required_argument, NULL, 'r'},
        {"time", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    bool ok = true;
    int option;
    *options = (MicroOptions){.name = "", .rounds = 5, .time_ms = 100};
    while (ok && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'f')
            options->file = optarg;
        else if (option == 'r')
            ok = parse_u64(optarg, 1, MAX_ROUNDS, &options->rounds);
        else if (option == 't')
            ok = parse_duration(optarg, 1, &options->time_ms);
        else if (option == 'j')
            options->json = 1;
        else
            ok = false;
    }
    if (ok && optind < argc)
        options->name = argv[optind++];
    return ok && optind == argc;
}

static bool generate(MicroInput *input, Error *err)
{
    WalGen gen;
    *input = (MicroInput){
        .length = GENERATED, .start = GENERATED, .segment_size = GENERATED, .system_identifier = 1};
    input->wal = malloc(input->length);
    if (input->wal == NULL || !walgen_init(&gen, 1, 1, GENERATED))
        return error_set(err, ERROR_MEMORY, "out of memory");
    walgen_pages(&gen, input->start, input->wal, input->length);
    walgen_free(&gen);
    return true;
}

static bool read_file(const char *path, MicroInput *input, Error *err)
{
    struct stat status;
    WalPageHeader header;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0 ||
        !segment_size_valid((uint64_t)status.st_size)) {
        if (file != NULL)
            (void)fclose(file);
        return error_set(err, ERROR_USAGE, "\"%s\" is not a raw WAL segment", path);
    }
    input->length = (size_t)status.st_size;
    input->wal = malloc(input->length);
    bool ok = input->wal != NULL && fread(input->wal, 1, input->length, file) == input->length;
    (void)fclose(file);
    if (!ok)
        return error_set(err, ERROR_STORAGE, "could not read \"%s\"", path);
    if (!wal_page_decode(input->wal, input->length, &header, err))
        return false;
    input->start = header.address;
    input->segment_size = (uint32_t)input->length;
    input->system_identifier = header.system_identifier;
    return true;
}

/* Works for so long, and says how fast that was. */
static bool measure(const MicroCase *one, MicroState *state, uint64_t time_ms, double *ret,
                    Error *err)
{
    double total = 0;
    double began = now_ns();
    double took;
    do {
        uint64_t amount;
        if (!one->work(state, &amount, err))
            return false;
        total += (double)amount;
        took = now_ns() - began;
    } while (took < (double)time_ms * 1e6);
    if (one->unit == MICRO_NS)
        *ret = took / total;
    else
        *ret = total / took * (one->unit == MICRO_GB_PER_S ? 1 : 1000);
    return true;
}

static bool selected(const MicroCase *one, const MicroOptions *options)
{
    return strncmp(one->name, options->name, strlen(options->name)) == 0;
}

static bool run(const MicroOptions *options, const MicroInput *input, MicroResult *results,
                Error *err)
{
    for (size_t i = 0; i < micro_case_count; i++) {
        const MicroCase *one = &micro_cases[i];
        uint64_t amount;
        results[i].state = (MicroState){.input = input, .spec = one->spec};
        if (selected(one, options) && one->prepare != NULL &&
            !one->prepare(&results[i].state, &amount, err))
            return false;
    }
    for (uint64_t round = 0; round < options->rounds; round++) {
        for (size_t i = 0; i < micro_case_count; i++) {
            if (selected(&micro_cases[i], options) &&
                !measure(&micro_cases[i], &results[i].state, options->time_ms,
                         &results[i].values[round], err))
                return false;
        }
    }
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print_one(const MicroOptions *options, const MicroCase *one, MicroResult *result)
{
    uint64_t rounds = options->rounds;
    double *values = result->values;
    size_t packed = result->state.packed_length;
    double ratio = packed > 0 ? (double)result->state.input->length / (double)packed : 0;
    qsort(values, rounds, sizeof(values[0]), compare_doubles);
    double median = (values[(rounds - 1) / 2] + values[rounds / 2]) / 2;
    double low = values[0];
    double high = values[rounds - 1];
    if (options->json) {
        printf("    {\"name\": \"%s\", \"unit\": \"%s\", \"median\": %.3f, \"min\": %.3f, "
               "\"max\": %.3f, \"ratio\": %.3f}",
               one->name, unit_names[one->unit], median, low, high, ratio);
        return;
    }
    printf("%-20s %10.1f %-5s %10.1f .. %.1f", one->name, median, unit_names[one->unit], low, high);
    if (ratio > 0)
        printf("   %.2f : 1", ratio);
    putchar('\n');
}

static void print_all(const MicroOptions *options, MicroResult *results, const MicroInput *input)
{
    const char *separator = "";
    if (options->json)
        printf("{\n  \"input\": \"%s\", \"bytes\": %zu, \"rounds\": %llu,\n  \"results\": [\n",
               options->file != NULL ? "file" : "generated", input->length,
               (unsigned long long)options->rounds);
    else
        printf("%-20s %10s %-5s %10s\n", "", "median", "", "slowest and fastest round");
    for (size_t i = 0; i < micro_case_count; i++) {
        if (!selected(&micro_cases[i], options))
            continue;
        if (options->json)
            printf("%s", separator);
        separator = ",\n";
        print_one(options, &micro_cases[i], &results[i]);
    }
    if (options->json)
        printf("\n  ]\n}\n");
}

int main(int argc, char **argv)
{
    MicroOptions options;
    MicroInput input = {.wal = NULL};
    Error error;
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr,
                "usage: micro [--file=SEGMENT] [--rounds=N] [--time=TIME] [--json] [NAME]\n");
        return 1;
    }
    MicroResult *results = calloc(micro_case_count, sizeof(results[0]));
    if (results == NULL)
        return 1;
    bool ok =
        options.file != NULL ? read_file(options.file, &input, &error) : generate(&input, &error);
    ok = ok && run(&options, &input, results, &error);
    if (ok)
        print_all(&options, results, &input);
    else
        fprintf(stderr, "micro: %s\n", error.message);
    for (size_t i = 0; i < micro_case_count; i++)
        free(results[i].state.packed);
    free(results);
    free(input.wal);
    return ok ? 0 : 1;
}
