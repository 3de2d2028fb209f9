/* SPDX-License-Identifier: PostgreSQL
 *
 * A world for the receiver: a server, a disk, a clock and a user, all from one seed, in one thread
 * and in virtual time. The receiver in it is the real one (receiver.c, session.c, stream.c,
 * connection.c and the pure modules below); replaced is what it touches: libpq (sim_libpq.c), the
 * store and the archive directory (sim_store.c, sim_archive.c), clock, bell, signals, log and poll
 * (sim_os.c, sim_world.c).
 *
 * Time passes only where the receiver waits: in poll, and in the store where it waits for it.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"
#include "walrx/stream/control.h"
#include "walrx/stream/receiver.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_SEGMENT ((uint32_t)1 << 20)
#define SIM_SYSTEM UINT64_C(7000000000000000001)
#define SIM_TIMELINES 16 /* 1 to 15 */
#define SIM_NEVER UINT64_MAX
#define SIM_FD_SIGNAL 1001
#define SIM_FD_BELL 1002
#define SIM_FD_SOCKET 1003
/* WAL in one message: MAX_SEND_SIZE (walsender.c, PostgreSQL 15). */
#define SIM_MESSAGE_MAX 131072

/* --- the world: sim_world.c --- */

typedef struct World {
    uint64_t seed;
    uint64_t now_ms;
    int64_t wall_offset_us;
    bool verbose;
    bool calm;  /* no more faults: from here on all must come to a good end */
    bool alive; /* a process of the receiver */
    jmp_buf killed;
    /* what the receiver was told on its command line */
    ReceiverOptions options;
    bool stop_asked;
    uint64_t stop_asked_ms;
    uint64_t stop_bound_ms; /* what the stop may take */
    /* which ends of the process are in order, as a set of 1 << status */
    unsigned allowed_ends;
    bool must_end; /* a failure that another try cannot mend was seen: no further connection */
    bool ever_connected;
    bool short_of_memory; /* some allocation fails, or has failed */
    uint64_t steps;       /* without any time passing */
} World;
extern World world;

void world_begin(uint64_t seed, bool verbose);

uint64_t sim_random(uint64_t below);
bool sim_chance(unsigned percent);
/* Prints seed, story and text; ends the program. */
_Noreturn void sim_fail(const char *format, ...) PRINTF_LIKE(1, 2);
void sim_note(const char *format, ...) PRINTF_LIKE(1, 2);
/* Ends the program unless it holds. */
#define SIM_CHECK(holds, ...)                                                                      \
    do {                                                                                           \
        if (!(holds))                                                                              \
            sim_fail(__VA_ARGS__);                                                                 \
    } while (0)
/* The receiver is busy in there: time passes for all others. May not return (kill). */
void sim_wait_until(uint64_t until_ms);
/* One more thing was done in no time. */
void sim_step(void);
/* An end of the process with this status is in order from now on. */
void sim_allow_end(int status);
/* The receiver met an error of this class from the outside. */
void sim_met(ErrorClass class);

void sim_bell(bool rings);

/* --- the server: sim_server.c, and its side of each connection: sim_libpq.c --- */

typedef struct ServerTimeline {
    Timeline parent;
    Lsn begin; /* where it left its parent */
    Lsn end;   /* SIM_NEVER: goes on */
} ServerTimeline;

typedef struct Server {
    ServerTimeline timelines[SIM_TIMELINES];
    Timeline timeline;
    Lsn end;    /* of its WAL */
    Lsn oldest; /* what it still has */
    bool standby;
    uint64_t promote_at_ms;
    uint64_t up_at_ms; /* refuses connections until then */
    bool slot_exists;
    Lsn slot_restart;
    Lsn told_flush; /* highest ever reported to this instance */
    uint64_t write_at_ms;
    unsigned writes_left;
} Server;
extern Server server;

void server_begin(void);
uint64_t server_next_ms(void);
void server_step(void);
void server_calm(void);
/* Something happens to it, or between it and us. */
void server_fault(void);
/* Which timeline wrote the byte at `lsn` of this one's history. */
Timeline server_owner(Timeline timeline, Lsn lsn);
/* What each byte of WAL is: `count` (at most SIM_MESSAGE_MAX) of them. */
const uint8_t *server_wal(Timeline timeline, Lsn lsn);
void server_promote(void);

uint64_t libpq_next_ms(void);
bool libpq_readable(int fd);
bool libpq_writable(int fd);
/* What holds whenever the receiver goes to sleep. `reading`: it waits for the server. */
void libpq_check_promises(bool reading);
void libpq_forget(void);       /* the process is gone */
void libpq_shift(uint64_t ms); /* a pause of everything on our side */
void libpq_reloaded(void);
void libpq_fault(unsigned kind);
#define LIBPQ_FAULTS 6
void libpq_calm(void);
/* Has the server, over the connection at hand, been told that all is durable? All sent? */
bool libpq_told_all(void);
bool libpq_sent_all(void);
void libpq_all_down(bool politely);

/* --- the disk: sim_store.c, sim_archive.c --- */

typedef struct DiskLine {
    bool exists;
    Lsn begin;
    Lsn durable;
    Lsn written; /* in files; a power cut takes what is not durable */
} DiskLine;

typedef struct Disk {
    DiskLine lines[SIM_TIMELINES];
    bool history[SIM_TIMELINES];
    Lsn start; /* of the archive: before is nothing that anybody asked for */
    bool gap;  /* one was recorded */
    Lsn gap_end;
    unsigned slowness; /* 0: quick, 1: slow, 2: stands still for long */
    bool broken;       /* the next sync fails */
    bool full;         /* no write has room */
} Disk;
extern Disk disk;

void disk_begin(void);
void disk_lose_unsynced(void);
/* What is durable of the history of a timeline. */
Lsn disk_durable(Timeline timeline);
/* Of the server's WAL, from where the archive began. */
bool disk_has_all(void);
uint64_t store_next_ms(void);
void store_step(void);
void store_forget(void);
bool store_rests(void);
Lsn store_received(void);
bool store_dropped(void); /* its end had no room for all that was received */

/* --- the user: sim_fate.c --- */

/* Chooses the options, and how much will happen. */
void fate_begin(void);
/* The receiver is started (again). */
void fate_new_process(void);
uint64_t fate_next_ms(void);
void fate_step(void);
bool fate_signal_pending(void);
int fate_signal(void); /* the next pending signal, 0: none */
/* The intervals in force. */
const ReceiverTunables *sim_tunables(void);
bool sim_reports_flush(void);
uint64_t sim_watchdog_ms(void);
void sim_watchdog_fed(void);
void sim_watchdog_check(void);
