/* SPDX-License-Identifier: PostgreSQL
 *
 * The whole receiver against a server that plays the input: first byte, the receiver's options; the
 * rest, the server's script (mutant_server.c). It must end within its time-outs with one of its
 * exit statuses, leave nothing outside of its directory, and give final names only to what was
 * sent. With WALRX_FUZZ_LOG set it logs, to look into an input.
 */
#include "fuzz.h"
#include "mutant_server.h"

#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/proto/segment.h"
#include "walrx/stream/receiver.h"
#include "walrx/stream/telemetry.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECEIVE_TIMEOUT_MS 1500
#define LONGEST_MS 20000 /* every phase may take its time, and the machine is a busy one */
#define RUNS_MAX 2
#define MEGABYTE ((size_t)1024 * 1024)

static char base[64];
static char directory[80];
static MutantServer *server;
static int stop_pipe[2];

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_base(void)
{
    (void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void prepare(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(base, sizeof(base), "%s/walrx-fuzz-XXXXXX", parent);
    require(mkdtemp(base) != NULL && atexit(remove_base) == 0);
    (void)snprintf(directory, sizeof(directory), "%s/archive", base);
    require(pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    log_setup("fuzz", LOG_TEXT,
              getenv("WALRX_FUZZ_LOG") != NULL ? LOG_DEBUG : (LogLevel)(LOG_ERROR + 1));
    server = mutant_listen(base);
}

static void check_segment(const char *name, const WalFileName *file)
{
    static uint8_t bytes[65536];
    char path[512];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    require(fd >= 0 && fstat(fd, &status) == 0 && segment_size_valid((uint64_t)status.st_size));
    SegNo number;
    require(wal_file_segno(file, (uint32_t)status.st_size, &number));
    uint64_t lsn = segment_start(number, (uint32_t)status.st_size);
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
        require(mutant_sent(server, lsn, bytes, (size_t)n));
        lsn += (uint64_t)n;
    }
    require(n == 0);
    (void)close(fd);
}

static void check_archive(void)
{
    DIR *folder = opendir(directory);
    require(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        WalFileName file;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strcmp(entry->d_name, ".walrx") == 0)
            continue;
        require(wal_file_parse(entry->d_name, &file));
        if (file.kind == WAL_FILE_SEGMENT && !file.partial)
            check_segment(entry->d_name, &file);
    }
    (void)closedir(folder);
}

static void check_outside(void)
{
    DIR *folder = opendir(base);
    require(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        require(entry->d_name[0] == '.' || strcmp(entry->d_name, "archive") == 0);
    (void)closedir(folder);
}

static void drain_stops(void)
{
    char bytes[256];
    while (read(stop_pipe[0], bytes, sizeof(bytes)) > 0) {
    }
}

static void receive(uint8_t flags)
{
    char conninfo[256];
    (void)snprintf(conninfo, sizeof(conninfo),
                   "host=%s port=5432 user=x password=y sslmode=disable gssencmode=disable "
                   "passfile=/dev/null",
                   base);
    Control control = {.signal_fd = stop_pipe[0]};
    Telemetry *telemetry;
    Error err;
    require(telemetry_open(&telemetry, &err));
    ReceiverOptions options = {
        .telemetry = telemetry,
        .connect = {.conninfo = conninfo, .program = "fuzz", .never_password = true},
        .directory = directory,
        .slot = (flags & 1) != 0 ? "s" : NULL,
        .end_position = (flags & 2) != 0 ? 7 * MEGABYTE + 8192 : LSN_INVALID,
        .no_loop = true,
        .no_sync = true,
        .continue_on_gap = (flags & 4) != 0,
        .verify = (flags & 8) != 0 ? VERIFY_STOP : VERIFY_ON,
        .compress_workers = 1,
        .memory = 8 * MEGABYTE,
        .as_pg_receivewal = (flags & 16) != 0,
        .tunables = {.status_interval_ms = (flags & 32) != 0 ? 1 : 10000,
                     .flush_interval_ms = 1000,
                     .receive_timeout_ms = RECEIVE_TIMEOUT_MS,
                     .synchronous = (flags & 64) != 0},
    };
    uint64_t began = clock_monotonic_ms();
    int status = receiver_run(&options, &control);
    telemetry_close(telemetry);
    require(status >= 0 && status <= 3);
    require(clock_monotonic_ms() - began < LONGEST_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (server == NULL)
        prepare();
    (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    require(mkdir(directory, 0700) == 0);
    drain_stops();
    mutant_begin(server, data + 1, size - 1, stop_pipe[1]);
    for (int i = 0; i < RUNS_MAX && mutant_has_more(server); i++)
        receive(data[0]);
    mutant_end(server);
    check_archive();
    check_outside();
    return 0;
}
