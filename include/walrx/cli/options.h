/* SPDX-License-Identifier: PostgreSQL
 *
 * The one table of options: it feeds the parser, --help, the bash completion and the file of
 * options; a test holds the man pages against it.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/codec/codec.h"
#include "walrx/observe/check_limits.h"
#include "walrx/os/log.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Commands as bits, so that an option can belong to several. */
typedef enum CommandBit {
    COMMAND_RECEIVE = 1 << 0,
    COMMAND_SLOT = 1 << 1,
    COMMAND_FRONT = 1 << 2, /* walrx under the name pg_receivewal */
    COMMAND_BENCH = 1 << 3,
    COMMAND_VERIFY = 1 << 4,
    COMMAND_LIST = 1 << 5,
    COMMAND_STATUS = 1 << 6,
    COMMAND_WAIT = 1 << 7,
    COMMAND_CHECK = 1 << 8,
    COMMAND_RESTORE = 1 << 9,
    COMMAND_FIND = 1 << 10,
    COMMAND_STAGE = 1 << 14,
    COMMAND_STATS = 1 << 11,
} CommandBit;

typedef enum OptionKind {
    OPTION_FLAG,     /* bool; no value on the command line, on/off in a file of options */
    OPTION_TEXT,     /* const char * */
    OPTION_NUMBER,   /* uint64_t within minimum..maximum */
    OPTION_SIZE,     /* uint64_t bytes within minimum..maximum */
    OPTION_DURATION, /* uint64_t milliseconds within minimum..maximum; a bare number counts seconds
                      */
    OPTION_SECONDS,  /* the same, read as pg_receivewal reads its integers: whole seconds only */
    OPTION_LSN,      /* Lsn */
    OPTION_COMPRESS, /* CompressSpec */
    OPTION_CHOICE,   /* const char *, one of `choices` */
    OPTION_LIMITS,   /* CheckLimits; each occurrence adds to the ones before */
    OPTION_LIST,     /* OptionList; the same */
} OptionKind;

/* The headings of --help. */
typedef enum OptionGroup {
    OPTION_GROUP_GENERAL,
    OPTION_GROUP_CONNECTION,
    OPTION_GROUP_ACTION,
} OptionGroup;
#define OPTION_GROUP_COUNT 3

/* An option may have one row per command where commands differ. */
typedef struct OptionSpec {
    const char *name; /* long name without dashes: "status-interval" */
    char short_name;  /* 0: none */
    OptionKind kind;
    OptionGroup group;
    const char
        *value_name;   /* "SECS" in --help; NULL for flags; "DIR" and "FILE" complete as such */
    unsigned commands; /* CommandBit */
    bool in_file;      /* may stand in a file of options */
    bool reloadable;   /* SIGHUP takes a new value */
    size_t offset;     /* of the member in Options */
    uint64_t minimum;
    uint64_t maximum;
    const char *const *choices; /* NULL-terminated */
    const char *without_value;  /* taken where only the name is given; NULL: that is a mistake */
    const char *help;
} OptionSpec;

#define OPTION_LIST_MAX 64

typedef struct OptionList {
    const char *items[OPTION_LIST_MAX];
    size_t count;
} OptionList;

/* All values, with defaults filled in by options_init. */
typedef struct Options {
    bool help;
    bool version;
    /* connection */
    const char *dbname;
    const char *host;
    const char *port;
    const char *username;
    bool no_password;
    bool password;
    /* receive */
    const char *directory;
    const char *slot;
    Lsn endpos;
    bool no_loop;
    uint64_t status_interval_ms;
    bool verbose;
    CompressSpec compress;
    bool synchronous;
    bool no_sync;
    bool create_slot;
    bool drop_slot;
    bool if_not_exists;
    uint64_t flush_interval_ms;
    uint64_t receive_timeout_ms;
    const char *on_gap; /* "stop" or "continue" */
    bool create_slot_if_missing;
    const char *verify; /* "off", "on" or "stop" */
    bool report_apply;
    uint64_t min_free; /* MIN_FREE_DEFAULT: not given */
    uint64_t memory;
    uint64_t compress_workers; /* 0: by the number of cores */
    const char *http;          /* address to serve HTTP at; NULL: nowhere */
    const char *http_token_file;
    const char *http_cert;
    const char *http_key;
    uint64_t http_max_lag_ms;
    const char *monitor; /* "on", "off", or a connection string */
    const char *config;
    const char *log_format; /* "text" or "json" */
    /* bench */
    const char *sink;     /* "null" or "disk" */
    uint64_t duration_ms; /* 0: not given */
    Lsn from;
    bool json;
    /* verify */
    uint64_t jobs; /* 0: by the number of cores */
    /* status, wait */
    bool watch;
    uint64_t interval_ms;
    Lsn lsn;
    uint64_t timeout_ms; /* 0: none */
    /* check */
    CheckLimits check_warning;
    CheckLimits check_critical;
    /* restore */
    const char *partial; /* "auto", "never" or "always" */
    bool sync;
    /* targets of a recovery; lsn and from above, too */
    const char *target_time;
    const char *target_point;
    uint64_t target_xid; /* 0: not given */
    bool target_latest;
    bool exclusive;
    const char *target_timeline; /* a number or "latest" */
    /* stage */
    const char *backup;
    const char *into;
    const char *action; /* "pause", "promote" or "shutdown"; NULL: by the target */
    bool start;
    uint64_t stage_port; /* 0: not given */
    const char *bindir;
    OptionList tablespace_mapping;
    OptionList set;
    /* find */
    uint64_t before;
    uint64_t after;
} Options;

#define MONITOR_ON "on"
#define MONITOR_OFF "off"

#define OPTION_ROWS_MAX 128 /* more than the table will have */
extern const OptionSpec option_specs[];
extern const size_t option_spec_count;

void options_init(Options *options);

/* The row of a long name for a command; NULL when the command has no such option. */
const OptionSpec *option_find(CommandBit command, const char *name);
