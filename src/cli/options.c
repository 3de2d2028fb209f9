/* SPDX-License-Identifier: PostgreSQL
 *
 * The table. Rows of COMMAND_FRONT are the options of pg_receivewal, PostgreSQL 15
 * (src/bin/pg_basebackup/pg_receivewal.c): these names, no others, so that a script with a typing
 * error fails with both programs.
 */
#include "walrx/cli/options.h"

#include "walrx/restore/find.h"
#include "walrx/restore/get.h"
#include "walrx/stream/receiver.h"

#include <limits.h>
#include <string.h>

#define MS_PER_SECOND UINT64_C(1000)
#define MEGABYTE (UINT64_C(1) << 20)
#define GIGABYTE (UINT64_C(1) << 30)
#define TERABYTE (UINT64_C(1) << 40)

/* pg_receivewal keeps the interval as int milliseconds and so takes up to INT_MAX / 1000 seconds.
 */
#define MAX_INTERVAL_MS (INT_MAX / MS_PER_SECOND * MS_PER_SECOND)

/* A hundred years. */
#define MAX_KEEP_MS (UINT64_C(36525) * 24 * 3600 * MS_PER_SECOND)

#define RECEIVE COMMAND_RECEIVE
#define SLOT COMMAND_SLOT
#define FRONT COMMAND_FRONT
#define BENCH COMMAND_BENCH
#define LIST COMMAND_LIST
#define VERIFY COMMAND_VERIFY
#define STATUS COMMAND_STATUS
#define WAIT COMMAND_WAIT
#define CHECK COMMAND_CHECK
#define RESTORE COMMAND_RESTORE
#define FIND COMMAND_FIND
#define STAGE COMMAND_STAGE
#define STATS COMMAND_STATS
#define PRUNE COMMAND_PRUNE
#define BACKUP COMMAND_BACKUP
#define EVERY                                                                                      \
    (RECEIVE | SLOT | FRONT | BENCH | LIST | VERIFY | STATUS | WAIT | CHECK | RESTORE | FIND |     \
     STATS | STAGE | PRUNE | BACKUP)
#define GENERAL OPTION_GROUP_GENERAL
#define CONNECTION OPTION_GROUP_CONNECTION
#define ACTION OPTION_GROUP_ACTION
#define MEMBER(name) .offset = offsetof(Options, name)
#define AROUND "5"
#define IN_FILE .in_file = true
#define RELOADABLE .in_file = true, .reloadable = true

static const char *const gap_choices[] = {"stop", "continue", NULL};
static const char *const verify_choices[] = {"off", "on", "stop", NULL};
static const char *const sink_choices[] = {"null", "disk", NULL};
static const char *const partial_choices[] = {"auto", "never", "always", NULL};
static const char *const action_choices[] = {"pause", "promote", "shutdown", NULL};
static const char *const log_format_choices[] = {"text", "json", NULL};

/* In the order of --help. */
const OptionSpec option_specs[] = {
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", RECEIVE | FRONT, IN_FILE, MEMBER(directory),
     .help = "archive directory; must exist"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", VERIFY, MEMBER(directory),
     .help = "archive directory to check"},
    {"jobs", 'j', OPTION_NUMBER, GENERAL, "N", VERIFY, MEMBER(jobs), .maximum = 256,
     .help = "threads that check; 0 goes by the number of cores"},
    {"sink", 0, OPTION_CHOICE, GENERAL, "SINK", BENCH, MEMBER(sink), .choices = sink_choices,
     .help = "where WAL goes: null discards it, disk makes it durable as receive does"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", BENCH, MEMBER(directory),
     .help = "with --sink=disk: write here, in a folder of its own that is removed at the end"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", LIST | STATUS | WAIT | CHECK | FIND | STATS,
     MEMBER(directory), .help = "archive directory; without it, the current one"},
    {"time", 0, OPTION_TEXT, GENERAL, "TIME", FIND, MEMBER(target_time),
     .help = "recovery to a time, as in \"2026-03-01 12:00:00.5+01\"; without a zone, a local one"},
    {"restore-point", 0, OPTION_TEXT, GENERAL, "NAME", FIND, MEMBER(target_point),
     .help = "recovery to a restore point, the first of that name"},
    {"lsn", 0, OPTION_LSN, GENERAL, "LSN", FIND, MEMBER(lsn), .help = "recovery to a position"},
    {"xid", 0, OPTION_NUMBER, GENERAL, "XID", FIND, MEMBER(target_xid), .minimum = 1,
     .maximum = UINT64_MAX, .help = "recovery to the end of a transaction"},
    {"latest", 0, OPTION_FLAG, GENERAL, NULL, FIND, MEMBER(target_latest),
     .help = "recovery to the end of all WAL there is"},
    {"exclusive", 0, OPTION_FLAG, GENERAL, NULL, FIND, MEMBER(exclusive),
     .help = "stop before what has that very time, XID or LSN, not behind it"},
    {"timeline", 0, OPTION_TEXT, GENERAL, "N", FIND | STATS, MEMBER(target_timeline),
     .help = "along the history of this timeline, or latest"},
    {"from", 0, OPTION_LSN, GENERAL, "LSN", FIND, MEMBER(from),
     .help = "recovery begins here, where the base backup does; without it, anywhere"},
    {"before", 0, OPTION_NUMBER, GENERAL, "N", FIND, MEMBER(before), .minimum = 1,
     .maximum = FIND_AROUND_MAX, .without_value = AROUND,
     .help = "show the N transactions before, 5 without a number"},
    {"after", 0, OPTION_NUMBER, GENERAL, "N", FIND, MEMBER(after), .minimum = 1,
     .maximum = FIND_AROUND_MAX, .without_value = AROUND, .help = "show the N transactions after"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", STAGE, MEMBER(directory),
     .help = "archive directory to recover from"},
    {"backup", 0, OPTION_TEXT, GENERAL, "DIR", STAGE, MEMBER(backup),
     .help = "base backup to copy: a data directory"},
    {"into", 0, OPTION_TEXT, GENERAL, "DIR", STAGE, MEMBER(into),
     .help = "where the copy goes: empty, or made"},
    {"latest", 0, OPTION_FLAG, GENERAL, NULL, STAGE, MEMBER(target_latest),
     .help = "recover to the end of all WAL there is"},
    {"target-time", 0, OPTION_TEXT, GENERAL, "TIME", STAGE, MEMBER(target_time),
     .help = "recover to a time, as in \"2026-03-01 12:00:00.5+01\"; without a zone, a local one"},
    {"target-lsn", 0, OPTION_LSN, GENERAL, "LSN", STAGE, MEMBER(lsn),
     .help = "recover to a position"},
    {"restore-point", 0, OPTION_TEXT, GENERAL, "NAME", STAGE, MEMBER(target_point),
     .help = "recover to a restore point, the first of that name"},
    {"target-xid", 0, OPTION_NUMBER, GENERAL, "XID", STAGE, MEMBER(target_xid), .minimum = 1,
     .maximum = UINT64_MAX, .help = "recover to the end of a transaction"},
    {"exclusive", 0, OPTION_FLAG, GENERAL, NULL, STAGE, MEMBER(exclusive),
     .help = "stop before what has that very time, XID or LSN, not behind it"},
    {"target-timeline", 0, OPTION_TEXT, GENERAL, "N", STAGE, MEMBER(target_timeline),
     .help = "along the history of this timeline, or latest"},
    {"time", 0, OPTION_TEXT, GENERAL, "TIME", STAGE, MEMBER(target_time),
     .help = "the same as --target-time, as walrx find has it"},
    {"lsn", 0, OPTION_LSN, GENERAL, "LSN", STAGE, MEMBER(lsn), .help = "the same as --target-lsn"},
    {"xid", 0, OPTION_NUMBER, GENERAL, "XID", STAGE, MEMBER(target_xid), .minimum = 1,
     .maximum = UINT64_MAX, .help = "the same as --target-xid"},
    {"timeline", 0, OPTION_TEXT, GENERAL, "N", STAGE, MEMBER(target_timeline),
     .help = "the same as --target-timeline"},
    {"action", 0, OPTION_CHOICE, GENERAL, "WHAT", STAGE, MEMBER(action), .choices = action_choices,
     .help = "at the target: pause, to look (default:\tpause, with --latest promote), promote, "
             "shutdown"},
    {"start", 0, OPTION_FLAG, GENERAL, NULL, STAGE, MEMBER(start),
     .help = "start the copy's server and wait until it is at the target"},
    {"timeout", 0, OPTION_DURATION, GENERAL, "TIME", STAGE, MEMBER(timeout_ms),
     .maximum = MAX_INTERVAL_MS, .help = "with --start: give up after this time; 0 never does"},
    {"bindir", 0, OPTION_TEXT, GENERAL, "DIR", STAGE, MEMBER(bindir),
     .help = "the server's programs, of the backup's version"},
    {"port", 'p', OPTION_NUMBER, GENERAL, "PORT", STAGE, MEMBER(stage_port), .minimum = 1,
     .maximum = UINT16_MAX, .help = "of the copy's server; without it, a free one from 5433 on"},
    {"username", 'U', OPTION_TEXT, GENERAL, "NAME", STAGE, MEMBER(username),
     .help = "with --start: role to ask the server as; without it, its user, then postgres"},
    {"tablespace-mapping", 'T', OPTION_LIST, GENERAL, "OLD=NEW", STAGE, MEMBER(tablespace_mapping),
     .help = "where the copy of a tablespace goes; once for each"},
    {"set", 0, OPTION_LIST, GENERAL, "NAME=VALUE", STAGE, MEMBER(set),
     .help = "a setting of the copy's server; may be given again"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", RESTORE, MEMBER(directory),
     .help = "archive directory to restore from"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", PRUNE, MEMBER(directory),
     .help = "archive directory to remove WAL from"},
    {"directory", 'D', OPTION_TEXT, GENERAL, "DIR", BACKUP, MEMBER(directory),
     .help = "archive directory whose WAL the backup needs"},
    {"keep-from", 0, OPTION_TEXT, GENERAL, "POSITION", PRUNE, MEMBER(keep_from),
     .help = "keep WAL from there on: an LSN, a segment, a backup history file, or the label of a "
             "registered base backup"},
    {"keep-time", 0, OPTION_DURATION, GENERAL, "TIME", PRUNE, MEMBER(keep_time_ms), .minimum = 1,
     .maximum = MAX_KEEP_MS,
     .help = "keep what it takes to restore every moment of this time, such as 30d"},
    {"keep-size", 0, OPTION_SIZE, GENERAL, "SIZE", PRUNE, MEMBER(keep_size), .minimum = 1,
     .maximum = 1024 * 1024 * TERABYTE, .help = "keep the newest WAL up to this size on disk"},
    {"dry-run", 0, OPTION_FLAG, GENERAL, NULL, PRUNE, MEMBER(dry_run),
     .help = "print what would be removed, and remove nothing"},
    {"partial", 0, OPTION_CHOICE, GENERAL, "WHEN", RESTORE, MEMBER(partial),
     .choices = partial_choices,
     .help = "the open segment: auto gives it to a recovery, and to a standby once no receiver "
             "runs; never; always"},
    {"on-gap", 0, OPTION_CHOICE, GENERAL, "ACTION", RESTORE, MEMBER(on_gap), .choices = gap_choices,
     .help =
         "a segment is missing though there is WAL behind it: stop recovery, or continue, which "
         "ends it there"},
    {"sync", 0, OPTION_FLAG, GENERAL, NULL, RESTORE, MEMBER(sync),
     .help = "make the file durable before it gets its name; the server does not need it"},
    {"prefetch", 0, OPTION_SIZE, GENERAL, "SIZE", RESTORE, MEMBER(prefetch), .maximum = TERABYTE,
     .help = "WAL to have ready before a server that recovers asks for it, at least one segment; 0 "
             "is none; without it, 64MB to 256MB by the machine's memory"},
    {"duration", 0, OPTION_DURATION, GENERAL, "TIME", BENCH, MEMBER(duration_ms), .minimum = 100,
     .maximum = MAX_INTERVAL_MS, .help = "measure for so long (10s, and no limit with --endpos)"},
    {"from", 0, OPTION_LSN, GENERAL, "LSN", BENCH, MEMBER(from),
     .help = "measure from this position on, which the server must still have; without it, from "
             "the current end of its WAL"},
    {"endpos", 'E', OPTION_LSN, GENERAL, "LSN", BENCH, MEMBER(endpos),
     .help = "stop once WAL up to this position is there"},
    {"watch", 0, OPTION_FLAG, GENERAL, NULL, STATUS, MEMBER(watch),
     .help = "show it again and again, with a history; into a pipe, as lines"},
    {"interval", 0, OPTION_DURATION, GENERAL, "TIME", STATUS, MEMBER(interval_ms), .minimum = 100,
     .maximum = MAX_INTERVAL_MS, .help = "with --watch: time between two looks"},
    {"lsn", 0, OPTION_LSN, GENERAL, "LSN", WAIT, MEMBER(lsn),
     .help = "wait until WAL up to this position is durable in the archive"},
    {"timeout", 0, OPTION_DURATION, GENERAL, "TIME", WAIT, MEMBER(timeout_ms),
     .maximum = MAX_INTERVAL_MS, .help = "give up after this time; 0 never does"},
    {"warning", 'w', OPTION_LIMITS, GENERAL, "NAME=VALUE,...", CHECK, MEMBER(check_warning),
     .help = "thresholds that warn; off takes one away; may be given again"},
    {"critical", 'c', OPTION_LIMITS, GENERAL, "NAME=VALUE,...", CHECK, MEMBER(check_critical),
     .help = "thresholds that are critical"},
    {"slot", 'S', OPTION_TEXT, GENERAL, "NAME", RECEIVE | SLOT | FRONT, IN_FILE, MEMBER(slot),
     .help = "physical replication slot"},
    {"endpos", 'E', OPTION_LSN, GENERAL, "LSN", RECEIVE | FRONT, IN_FILE, MEMBER(endpos),
     .help = "stop, with status 0, once WAL up to this position is there"},
    {"no-loop", 'n', OPTION_FLAG, GENERAL, NULL, RECEIVE | FRONT, IN_FILE, MEMBER(no_loop),
     .help = "end instead of connecting again when the connection is lost"},
    {"compress", 'Z', OPTION_COMPRESS, GENERAL, "METHOD[:LEVEL]", RECEIVE | BENCH, IN_FILE,
     MEMBER(compress),
     .help = "compress complete segments: none, gzip (1-9), lz4 (1-12) or zstd (1-19)"},
    {"compress", 'Z', OPTION_COMPRESS, GENERAL, "METHOD[:LEVEL]", FRONT, MEMBER(compress),
     .help = "compress segments: none, gzip (1-9) or lz4 (1-12)"},
    {"compress-workers", 0, OPTION_NUMBER, GENERAL, "N", RECEIVE | BENCH, IN_FILE,
     MEMBER(compress_workers), .maximum = 256,
     .help = "threads that compress; 0 goes by the number of cores"},
    {"status-interval", 's', OPTION_DURATION, GENERAL, "TIME", RECEIVE, RELOADABLE,
     MEMBER(status_interval_ms), .maximum = MAX_INTERVAL_MS,
     .help = "time between status messages to the server; 0 sends none by time"},
    {"status-interval", 's', OPTION_SECONDS, GENERAL, "SECS", FRONT, MEMBER(status_interval_ms),
     .maximum = MAX_INTERVAL_MS,
     .help = "seconds between status messages to the server; 0 sends none by time"},
    {"flush-interval", 0, OPTION_DURATION, GENERAL, "TIME", RECEIVE, RELOADABLE,
     MEMBER(flush_interval_ms), .maximum = MAX_INTERVAL_MS,
     .help =
         "received WAL is durable after this time at the latest; 0 waits for the segment's end"},
    {"receive-timeout", 0, OPTION_DURATION, GENERAL, "TIME", RECEIVE, RELOADABLE,
     MEMBER(receive_timeout_ms), .maximum = MAX_INTERVAL_MS,
     .help = "give up a connection that is silent for so long; 0 never does"},
    {"synchronous", 0, OPTION_FLAG, GENERAL, NULL, RECEIVE | FRONT | BENCH, RELOADABLE,
     MEMBER(synchronous), .help = "make WAL durable as it arrives and report it at once"},
    {"no-sync", 0, OPTION_FLAG, GENERAL, NULL, RECEIVE | FRONT, IN_FILE, MEMBER(no_sync),
     .help = "do not wait for the disk; a crash can lose WAL"},
    {"report-apply", 0, OPTION_FLAG, GENERAL, NULL, RECEIVE, RELOADABLE, MEMBER(report_apply),
     .help = "report durable WAL as applied, for synchronous_commit = remote_apply"},
    {"on-gap", 0, OPTION_CHOICE, GENERAL, "ACTION", RECEIVE, IN_FILE, MEMBER(on_gap),
     .choices = gap_choices,
     .help =
         "when WAL between archive and server is missing: stop, or continue and record the gap"},
    {"create-slot-if-missing", 0, OPTION_FLAG, GENERAL, NULL, RECEIVE, IN_FILE,
     MEMBER(create_slot_if_missing),
     .help = "create the slot where a server lacks it, as after a failover, or has lost its WAL"},
    {"verify", 0, OPTION_CHOICE, GENERAL, "MODE", RECEIVE, IN_FILE, MEMBER(verify),
     .choices = verify_choices,
     .help =
         "check WAL as it arrives: off, on (tell damage), or stop (end before acknowledging it)"},
    {"memory", 0, OPTION_SIZE, GENERAL, "SIZE", RECEIVE | BENCH, IN_FILE, MEMBER(memory),
     .minimum = 8 * MEGABYTE, .maximum = 64 * GIGABYTE, .help = "memory for buffers"},
    {"min-free", 0, OPTION_SIZE, GENERAL, "SIZE", RECEIVE, IN_FILE, MEMBER(min_free),
     .maximum = 1024 * TERABYTE,
     .help =
         "pause while less than this would stay free on the archive's disk; 0 waits until it is "
         "full (default: two segments)"},
    {"keep-time", 0, OPTION_DURATION, GENERAL, "TIME", RECEIVE, RELOADABLE, MEMBER(keep_time_ms),
     .maximum = MAX_KEEP_MS,
     .help = "remove old WAL that it does not take to restore every moment of this time, such as "
             "30d; 0 keeps all"},
    {"keep-size", 0, OPTION_SIZE, GENERAL, "SIZE", RECEIVE, RELOADABLE, MEMBER(keep_size),
     .maximum = 1024 * 1024 * TERABYTE,
     .help = "remove old WAL beyond this size on disk, but for what registered base backups need; "
             "0 keeps all"},
    {"http", 0, OPTION_TEXT, GENERAL, "[ADDR:]PORT", RECEIVE, IN_FILE, MEMBER(http),
     .help = "serve a page, state, metrics and health there; a port alone: on 127.0.0.1"},
    {"http-token-file", 0, OPTION_TEXT, GENERAL, "FILE", RECEIVE, IN_FILE, MEMBER(http_token_file),
     .help = "requests need the bearer token that stands in this file"},
    {"http-cert", 0, OPTION_TEXT, GENERAL, "FILE", RECEIVE, IN_FILE, MEMBER(http_cert),
     .help = "certificate for HTTPS (PEM)"},
    {"http-key", 0, OPTION_TEXT, GENERAL, "FILE", RECEIVE, IN_FILE, MEMBER(http_key),
     .help = "its key (PEM)"},
    {"http-max-lag", 0, OPTION_DURATION, GENERAL, "TIME", RECEIVE, IN_FILE, MEMBER(http_max_lag_ms),
     .maximum = MAX_INTERVAL_MS,
     .help = "not ready when durable WAL is further behind than this; 0: any lag will do"},
    {"monitor", 0, OPTION_TEXT, GENERAL, "CONNSTR", RECEIVE, IN_FILE, MEMBER(monitor),
     .help = "how a second connection asks the server about slot and synchronous standby, where it "
             "differs from the first; off: none"},
    {"config", 0, OPTION_TEXT, GENERAL, "FILE", RECEIVE, MEMBER(config),
     .help = "read options from this file too; the command line wins"},
    {"log-format", 0, OPTION_CHOICE, GENERAL, "FORMAT", RECEIVE, IN_FILE, MEMBER(log_format),
     .choices = log_format_choices, .help = "text or json lines on standard error"},
    {"verbose", 'v', OPTION_FLAG, GENERAL, NULL, RECEIVE | FRONT, RELOADABLE, MEMBER(verbose),
     .help = "tell more"},
    {"json", 0, OPTION_FLAG, GENERAL, NULL,
     BENCH | LIST | VERIFY | SLOT | STATUS | FIND | STAGE | STATS | PRUNE | BACKUP, MEMBER(json),
     .help = "print the result as one JSON object"},
    {"version", 'V', OPTION_FLAG, GENERAL, NULL, EVERY, MEMBER(version),
     .help = "show the version and end"},
    {"help", '?', OPTION_FLAG, GENERAL, NULL, EVERY, MEMBER(help),
     .help = "show this text and end"},

    {"dbname", 'd', OPTION_TEXT, CONNECTION, "CONNSTR", RECEIVE | SLOT | FRONT | BENCH, IN_FILE,
     MEMBER(dbname), .help = "connection string or URI"},
    {"host", 'h', OPTION_TEXT, CONNECTION, "HOST", RECEIVE | SLOT | FRONT | BENCH, IN_FILE,
     MEMBER(host), .help = "server's host, or the directory of its socket"},
    {"port", 'p', OPTION_TEXT, CONNECTION, "PORT", RECEIVE | SLOT | FRONT | BENCH, IN_FILE,
     MEMBER(port), .help = "server's port"},
    {"username", 'U', OPTION_TEXT, CONNECTION, "NAME", RECEIVE | SLOT | FRONT | BENCH, IN_FILE,
     MEMBER(username), .help = "user to connect as"},
    {"no-password", 'w', OPTION_FLAG, CONNECTION, NULL, RECEIVE | SLOT | FRONT | BENCH, IN_FILE,
     MEMBER(no_password), .help = "never ask for a password"},
    {"password", 'W', OPTION_FLAG, CONNECTION, NULL, RECEIVE | SLOT | FRONT | BENCH, IN_FILE,
     MEMBER(password), .help = "ask for a password before connecting"},

    {"create-slot", 0, OPTION_FLAG, ACTION, NULL, RECEIVE | FRONT, MEMBER(create_slot),
     .help = "create the slot named by --slot and end"},
    {"drop-slot", 0, OPTION_FLAG, ACTION, NULL, RECEIVE | FRONT, MEMBER(drop_slot),
     .help = "drop the slot named by --slot and end"},
    {"if-not-exists", 0, OPTION_FLAG, ACTION, NULL, RECEIVE | SLOT | FRONT, MEMBER(if_not_exists),
     .help = "when creating, an existing slot is no error"},
};
const size_t option_spec_count = sizeof(option_specs) / sizeof(option_specs[0]);

void options_init(Options *options)
{
    *options = (Options){
        .endpos = LSN_INVALID,
        .status_interval_ms = 10 * MS_PER_SECOND,
        .flush_interval_ms = MS_PER_SECOND,
        .receive_timeout_ms = 60 * MS_PER_SECOND,
        .compress = {.method = WAL_RAW},
        .on_gap = gap_choices[0],
        .verify = verify_choices[1],
        .min_free = MIN_FREE_DEFAULT,
        .memory = 64 * MEGABYTE,
        .http_max_lag_ms = 300 * MS_PER_SECOND,
        .monitor = MONITOR_ON,
        .log_format = log_format_choices[0],
        .sink = sink_choices[0],
        .interval_ms = MS_PER_SECOND,
        .lsn = LSN_INVALID,
        .partial = partial_choices[0],
        .target_timeline = "latest",
        .prefetch = GET_PREFETCH_AUTO,
    };
}

const OptionSpec *option_find(CommandBit command, const char *name)
{
    for (size_t i = 0; i < option_spec_count; i++) {
        if ((option_specs[i].commands & command) != 0 && strcmp(option_specs[i].name, name) == 0)
            return &option_specs[i];
    }
    return NULL;
}
