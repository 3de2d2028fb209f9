/* SPDX-License-Identifier: PostgreSQL
 *
 * Which way of writing segments suits this disk: the figures behind docs/decisions/0009.
 *
 *   ways_to_write FOLDER [ROUNDS]
 *
 * Bulk: segments of 16 MB, allocated, written with O_DIRECT from small or huge pages in pieces of 1
 * to 16 MB, or through io_uring at some depth, fdatasync, rename, fsync of the folder. Tail: 8 kB
 * and fdatasync over and over, into blocks that are only allocated, filled with zeros before, or
 * hold an old segment. Ways are interleaved in each round; medians over the rounds are printed.
 * Needs 2 GB in FOLDER, and leaves nothing there.
 */
#include "walrx/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#define MB ((size_t)1 << 20)
#define SEGMENT (16 * MB)
#define SEGMENTS 100
#define KEPT 32 /* so many files lie there at a time */
#define TAIL_PIECE 8192
#define TAIL_WRITES 1500
#define TAIL_PAUSE_NS 300000
#define ROUNDS_MAX 50

typedef enum Blocks { BLOCKS_ALLOCATED, BLOCKS_ZEROED, BLOCKS_OLD } Blocks;

typedef struct Way {
    const char *name;
    size_t piece; /* bulk: bytes a write; 0: tail */
    bool huge;
    unsigned depth; /* io_uring; 0: pwrite */
    Blocks blocks;  /* tail */
} Way;

static const Way ways[] = {
    {"1 MB writes", MB, false, 0, 0},
    {"4 MB writes", 4 * MB, false, 0, 0},
    {"1 MB writes, huge pages", MB, true, 0, 0},
    {"4 MB writes, huge pages", 4 * MB, true, 0, 0},
    {"16 MB writes, huge pages", 16 * MB, true, 0, 0},
#ifdef HAVE_LIBURING
    {"io_uring, 1 MB, depth 2", MB, false, 2, 0},
    {"io_uring, 1 MB, depth 4", MB, false, 4, 0},
    {"io_uring, 1 MB, depth 2, huge pages", MB, true, 2, 0},
    {"io_uring, 1 MB, depth 4, huge pages", MB, true, 4, 0},
#endif
    {"tail, allocated blocks", 0, false, 0, BLOCKS_ALLOCATED},
    {"tail, zeroed blocks", 0, false, 0, BLOCKS_ZEROED},
    {"tail, an old segment's blocks", 0, false, 0, BLOCKS_OLD},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Bulk: seconds and CPU seconds. Tail: microseconds, median and 99th percentile. */
typedef struct Figure {
    double first;
    double second;
} Figure;

static Figure figures[WAYS][ROUNDS_MAX];
static int folder;

static void give_up(const char *what)
{
    fprintf(stderr, "ways_to_write: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint8_t *make_memory(bool huge)
{
    void *memory;
    if (posix_memalign(&memory, 2 * MB, SEGMENT) != 0)
        give_up("memory");
    if (madvise(memory, SEGMENT, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0)
        give_up("madvise");
    memset(memory, 0x5A, SEGMENT);
    return memory;
}

static int create(const char *name)
{
    int fd = openat(folder, name, O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0 || fallocate(fd, 0, 0, (off_t)SEGMENT) != 0)
        give_up(name);
    return fd;
}

static void write_all(int fd, const uint8_t *memory, size_t piece, off_t offset)
{
    if (pwrite(fd, memory, piece, offset) != (ssize_t)piece)
        give_up("write");
}

#ifdef HAVE_LIBURING
static void reap(struct io_uring *ring, size_t piece)
{
    struct io_uring_cqe *done;
    if (io_uring_wait_cqe(ring, &done) != 0 || done->res != (int)piece)
        give_up("io_uring");
    io_uring_cqe_seen(ring, done);
}

static void write_queued(struct io_uring *ring, int fd, const uint8_t *memory, size_t piece,
                         unsigned depth)
{
    unsigned under_way = 0;
    for (size_t at = 0; at < SEGMENT; at += piece) {
        if (under_way == depth) {
            reap(ring, piece);
            under_way--;
        }
        struct io_uring_sqe *entry = io_uring_get_sqe(ring);
        if (entry == NULL)
            give_up("io_uring");
        io_uring_prep_write(entry, fd, memory + at, (unsigned)piece, at);
        if (io_uring_submit(ring) != 1)
            give_up("io_uring");
        under_way++;
    }
    for (; under_way > 0; under_way--)
        reap(ring, piece);
}
#endif

static void write_segment(const Way *way, int fd, const uint8_t *memory, void *ring)
{
#ifdef HAVE_LIBURING
    if (way->depth > 0) {
        write_queued(ring, fd, memory, way->piece, way->depth);
        return;
    }
#endif
    (void)ring;
    for (size_t at = 0; at < SEGMENT; at += way->piece)
        write_all(fd, memory + at, way->piece, (off_t)at);
}

static void remove_number(unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "%u", number);
    (void)unlinkat(folder, name, 0);
}

static Figure bulk(const Way *way)
{
    uint8_t *memory = make_memory(way->huge);
    void *ring = NULL;
#ifdef HAVE_LIBURING
    struct io_uring queue;
    if (io_uring_queue_init(16, &queue, 0) != 0)
        give_up("io_uring_queue_init");
    ring = &queue;
#endif
    double began = seconds_now();
    double cpu = cpu_seconds();
    for (unsigned number = 0; number < SEGMENTS; number++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%u", number);
        int fd = create("open");
        write_segment(way, fd, memory, ring);
        if (fdatasync(fd) != 0 || close(fd) != 0 || renameat(folder, "open", folder, name) != 0 ||
            fsync(folder) != 0)
            give_up(name);
        if (number >= KEPT)
            remove_number(number - KEPT);
    }
    Figure figure = {seconds_now() - began, cpu_seconds() - cpu};
    for (unsigned number = SEGMENTS - KEPT; number < SEGMENTS; number++)
        remove_number(number);
#ifdef HAVE_LIBURING
    io_uring_queue_exit(&queue);
#endif
    free(memory);
    return figure;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static Figure tail(const Way *way)
{
    static double times[TAIL_WRITES];
    uint8_t *memory = make_memory(false);
    int fd = create("open");
    if (way->blocks == BLOCKS_ZEROED)
        memset(memory, 0, SEGMENT);
    if (way->blocks != BLOCKS_ALLOCATED)
        write_all(fd, memory, SEGMENT, 0);
    memset(memory, 0xA5, SEGMENT);
    if (fsync(fd) != 0 || fsync(folder) != 0)
        give_up("fsync");
    for (unsigned i = 0; i < TAIL_WRITES; i++) {
        const struct timespec pause = {.tv_nsec = TAIL_PAUSE_NS};
        double began = seconds_now();
        write_all(fd, memory, TAIL_PIECE, (off_t)i * TAIL_PIECE);
        if (fdatasync(fd) != 0)
            give_up("fdatasync");
        times[i] = (seconds_now() - began) * 1e6;
        (void)nanosleep(&pause, NULL);
    }
    (void)close(fd);
    (void)unlinkat(folder, "open", 0);
    free(memory);
    qsort(times, TAIL_WRITES, sizeof(times[0]), compare_doubles);
    return (Figure){times[TAIL_WRITES / 2], times[TAIL_WRITES * 99 / 100]};
}

static double median(const Figure *of, size_t rounds, bool second)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++)
        values[i] = second ? of[i].second : of[i].first;
    qsort(values, rounds, sizeof(values[0]), compare_doubles);
    return values[rounds / 2];
}

static void print(size_t rounds)
{
    printf("%-38s %8s %8s\n", "1.7 GB, durable", "MB/s", "CPU s");
    for (size_t i = 0; i < WAYS; i++) {
        double first = median(figures[i], rounds, false);
        double second = median(figures[i], rounds, true);
        if (ways[i].piece > 0)
            printf("%-38s %8.0f %8.3f\n", ways[i].name, SEGMENTS * (double)SEGMENT / 1e6 / first,
                   second);
    }
    printf("\n%-38s %8s %8s\n", "8 kB and fdatasync", "p50 us", "p99 us");
    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].piece == 0)
            printf("%-38s %8.0f %8.0f\n", ways[i].name, median(figures[i], rounds, false),
                   median(figures[i], rounds, true));
    }
}

int main(int argc, char **argv)
{
    uint64_t rounds = 5;
    if (argc < 2 || argc > 3 || (argc == 3 && !parse_u64(argv[2], 1, ROUNDS_MAX, &rounds))) {
        fprintf(stderr, "usage: ways_to_write FOLDER [ROUNDS]\n");
        return 1;
    }
    folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        give_up(argv[1]);
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < WAYS; i++)
            figures[i][round] = ways[i].piece > 0 ? bulk(&ways[i]) : tail(&ways[i]);
    }
    print((size_t)rounds);
    (void)close(folder);
    return 0;
}
