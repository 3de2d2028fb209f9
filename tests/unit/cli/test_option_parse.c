/* SPDX-License-Identifier: PostgreSQL
 *
 * Command lines: what they set, what is refused and with which words. The words for pg_receivewal
 * are those of PostgreSQL 15.18.
 */
#include "walrx/cli/option_parse.h"

#include "walrx/cli/option_value.h"
#include "walrx/stream/receiver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_ARGS 32
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Splits "a b c" at blanks into an argument vector, argv[0] being the command. */
typedef struct Line {
    char text[256];
    char *argv[MAX_ARGS + 1];
    int argc;
} Line;

static void split(const char *text, Line *ret)
{
    static char name[] = "command";
    (void)snprintf(ret->text, sizeof(ret->text), "%s", text);
    ret->argc = 0;
    ret->argv[ret->argc++] = name;
    char *rest = ret->text;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (*word != '\0')
            ret->argv[ret->argc++] = word;
    }
    ret->argv[ret->argc] = NULL;
}

static bool parse(CommandBit command, const char *text, Line *line, Options *options, Error *err)
{
    int operand;
    split(text, line);
    options_init(options);
    error_clear(err);
    return options_parse(command, line->argc, line->argv, options, &operand, err) &&
           options_check(command, options, err);
}

static void every_option_of_pg_receivewal_is_taken(void **state)
{
    static const CommandBit commands[] = {COMMAND_RECEIVE, COMMAND_FRONT};
    static const char *const lines[] = {
        "-D /a -E 1/2 -n -s 7 -S arch -v -Z gzip:3 -d conn -h db1 -p 77 -U me -w --synchronous",
        "--directory=/a --endpos=1/2 --no-loop --status-interval=7 --slot=arch --verbose "
        "--compress=gzip:3 --dbname=conn --host=db1 --port=77 --username=me --no-password "
        "--synchronous",
        "--directory /a --endpos 1/2 --no-loop --status-interval 7 --slot arch --verbose "
        "--compress 3 --dbname conn --host db1 --port 77 --username me --no-password "
        "--synchronous",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(commands) * COUNT(lines); i++) {
        Line line;
        Options options;
        Error error;
        assert_true(parse(commands[i % 2], lines[i / 2], &line, &options, &error));
        assert_string_equal(options.directory, "/a");
        assert_true(options.endpos == ((Lsn)1 << 32 | 2));
        assert_true(options.no_loop && options.verbose && options.synchronous);
        assert_int_equal(options.status_interval_ms, 7000);
        assert_string_equal(options.slot, "arch");
        assert_int_equal(options.compress.method, WAL_GZIP);
        assert_int_equal(options.compress.level, 3);
        assert_string_equal(options.dbname, "conn");
        assert_string_equal(options.host, "db1");
        assert_string_equal(options.port, "77");
        assert_string_equal(options.username, "me");
        assert_true(options.no_password && !options.password);
        assert_false(options.no_sync || options.create_slot || options.drop_slot);
    }
}

static void options_of_bench_are_taken(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_BENCH,
                      "--sink=disk -D /a --duration=1min --from=1/2 -E 1/3 --synchronous --json "
                      "--memory=9MB --compress=zstd:2 --compress-workers=3 -h db1",
                      &line, &options, &error));
    assert_string_equal(options.sink, "disk");
    assert_string_equal(options.directory, "/a");
    assert_int_equal(options.duration_ms, 60000);
    assert_true(options.from == ((Lsn)1 << 32 | 2) && options.endpos == ((Lsn)1 << 32 | 3));
    assert_true(options.synchronous && options.json);
    assert_int_equal(options.memory, 9 << 20);
    assert_int_equal(options.compress.method, WAL_ZSTD);
    assert_int_equal(options.compress_workers, 3);
    assert_true(parse(COMMAND_BENCH, "", &line, &options, &error));
    assert_string_equal(options.sink, "null");
    assert_int_equal(options.duration_ms, 0);
}

static void options_of_status_and_wait_are_taken(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_STATUS, "-D /a --watch --interval=500ms", &line, &options, &error));
    assert_true(options.watch);
    assert_int_equal(options.interval_ms, 500);
    assert_true(parse(COMMAND_STATUS, "", &line, &options, &error));
    assert_int_equal(options.interval_ms, 1000);
    assert_true(parse(COMMAND_WAIT, "--lsn=1/5 --timeout=2min", &line, &options, &error));
    assert_true(options.lsn == ((Lsn)1 << 32 | 5));
    assert_int_equal(options.timeout_ms, 120000);
}

static void options_of_stage_are_taken(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_STAGE,
                      "-D /a --backup=/b --into=/c --target-lsn=1/5 --exclusive -T /x=/y "
                      "--tablespace-mapping=/z=/w --set=a=b -p 5500 --start --action=shutdown",
                      &line, &options, &error));
    assert_string_equal(options.backup, "/b");
    assert_string_equal(options.into, "/c");
    assert_true(options.lsn == ((Lsn)1 << 32 | 5) && options.exclusive && options.start);
    assert_int_equal(options.tablespace_mapping.count, 2);
    assert_string_equal(options.tablespace_mapping.items[0], "/x=/y");
    assert_string_equal(options.tablespace_mapping.items[1], "/z=/w");
    assert_int_equal(options.set.count, 1);
    assert_int_equal(options.stage_port, 5500);
    assert_string_equal(options.action, "shutdown");
    assert_true(parse(COMMAND_STAGE,
                      "-D /a --backup=/b --into=/c --lsn=2/5 --timeline=3 --exclusive", &line,
                      &options, &error));
    assert_true(options.lsn == ((Lsn)2 << 32 | 5));
    assert_string_equal(options.target_timeline, "3");
    assert_true(
        parse(COMMAND_STAGE, "-D /a --backup=/b --into=/c --time=then", &line, &options, &error));
    assert_string_equal(options.target_time, "then");
    assert_true(
        parse(COMMAND_STAGE, "-D /a --backup=/b --into=/c --xid=7", &line, &options, &error));
    assert_int_equal(options.target_xid, 7);
    const OptionSpec *spec = option_find(COMMAND_STAGE, "set");
    while (options.set.count < OPTION_LIST_MAX)
        assert_true(option_store(spec, "c=d", &options, &error));
    assert_false(option_store(spec, "c=d", &options, &error));
    assert_int_equal(options.set.count, OPTION_LIST_MAX);
    assert_non_null(strstr(error.message, "more than 64 times"));
}

static void options_of_check_add_up(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_CHECK, "-D /a -w 1GB --warning=gaps=1,queue=off -c gaps=1", &line,
                      &options, &error));
    assert_int_equal(options.check_warning.limit[CHECK_FLUSHED_LAG].value, 1 << 30);
    assert_int_equal(options.check_warning.limit[CHECK_GAPS].value, 1);
    assert_int_equal(options.check_warning.limit[CHECK_QUEUE].kind, CHECK_LIMIT_OFF);
    assert_int_equal(options.check_warning.limit[CHECK_FREE_DISK].kind, CHECK_LIMIT_DEFAULT);
    assert_int_equal(options.check_critical.limit[CHECK_GAPS].kind, CHECK_LIMIT_AT);
    assert_int_equal(options.check_critical.limit[CHECK_FLUSHED_LAG].kind, CHECK_LIMIT_DEFAULT);
}

static void options_of_verify_are_taken(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_VERIFY, "-D /a -j 3 --json", &line, &options, &error));
    assert_string_equal(options.directory, "/a");
    assert_int_equal(options.jobs, 3);
    assert_true(options.json);
    assert_true(parse(COMMAND_VERIFY, "--directory=/a", &line, &options, &error));
    assert_int_equal(options.jobs, 0);
}

static void options_of_walrx_are_taken(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(
        parse(COMMAND_RECEIVE,
              "-D x --flush-interval=200ms --receive-timeout=0 --on-gap=continue --verify=stop "
              "--report-apply --memory=8MB --min-free=0 --compress-workers=256 --log-format=json "
              "-Z zstd -s 500ms --config=file -S s --create-slot-if-missing",
              &line, &options, &error));
    assert_int_equal(options.flush_interval_ms, 200);
    assert_int_equal(options.receive_timeout_ms, 0);
    assert_string_equal(options.on_gap, "continue");
    assert_string_equal(options.verify, "stop");
    assert_true(options.report_apply);
    assert_int_equal(options.memory, 8 << 20);
    assert_int_equal(options.min_free, 0);
    assert_int_equal(options.compress_workers, 256);
    assert_string_equal(options.log_format, "json");
    assert_int_equal(options.compress.method, WAL_ZSTD);
    assert_int_equal(options.status_interval_ms, 500);
    assert_string_equal(options.config, "file");
    assert_true(options.create_slot_if_missing);
}

static void defaults_are_those_of_the_manual(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_RECEIVE, "-D x", &line, &options, &error));
    assert_int_equal(options.status_interval_ms, 10000);
    assert_int_equal(options.flush_interval_ms, 1000);
    assert_int_equal(options.receive_timeout_ms, 60000);
    assert_int_equal(options.memory, 64 << 20);
    assert_true(options.min_free == MIN_FREE_DEFAULT);
    assert_int_equal(options.compress_workers, 0);
    assert_null(options.http);
    assert_int_equal(options.http_max_lag_ms, 300000);
    assert_string_equal(options.monitor, "on");
    assert_string_equal(options.on_gap, "stop");
    assert_string_equal(options.verify, "on");
    assert_string_equal(options.log_format, "text");
    assert_int_equal(options.compress.method, WAL_RAW);
    assert_true(options.endpos == LSN_INVALID && options.slot == NULL);
}

static void options_of_http_need_an_address_and_each_other(void **state)
{
    static const char *const bad[] = {
        "-D x --http=0",
        "-D x --http=example.com:9187",
        "-D x --http-token-file=t",
        "-D x --http-cert=c --http-key=k",
        "-D x --http=9187 --http-cert=c",
        "-D x --http=9187 --http-key=k",
    };
    Line line;
    Options options;
    Error error;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(parse(COMMAND_RECEIVE, bad[i], &line, &options, &error));
        assert_int_equal(error.class, ERROR_USAGE);
    }
    assert_true(parse(COMMAND_RECEIVE,
                      "-D x --http=[::1]:9187 --http-cert=c --http-key=k --http-token-file=t",
                      &line, &options, &error));
    assert_false(parse(COMMAND_FRONT, "-D x --http=9187", &line, &options, &error));
}

static void names_may_be_shortened_and_the_last_option_counts(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_FRONT, "--dir x --stat=3 --dir y -W -w -s2 --comp=1", &line, &options,
                      &error));
    assert_string_equal(options.directory, "y");
    assert_int_equal(options.status_interval_ms, 2000);
    assert_int_equal(options.compress.method, WAL_GZIP);
    assert_true(options.no_password && !options.password);
    assert_true(parse(COMMAND_FRONT, "-D y -w -W", &line, &options, &error));
    assert_true(options.password && !options.no_password);
}

static void help_is_found_in_a_cluster_of_letters(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_RECEIVE, "-D x -v?n", &line, &options, &error));
    assert_true(options.help && options.verbose && options.no_loop && !options.version);
    assert_true(parse(COMMAND_SLOT, "-V", &line, &options, &error));
    assert_true(options.version && !options.help);
}

static void operands_come_last_wherever_they_stand(void **state)
{
    Line line;
    Options options;
    Error error;
    int operand;
    (void)state;
    split("create -S s1 more -h db1", &line);
    options_init(&options);
    assert_true(options_parse(COMMAND_SLOT, line.argc, line.argv, &options, &operand, &error));
    assert_int_equal(operand, line.argc - 2);
    assert_string_equal(line.argv[operand], "create");
    assert_string_equal(line.argv[operand + 1], "more");
    assert_string_equal(options.slot, "s1");
    assert_string_equal(options.host, "db1");
}

typedef struct Refusal {
    CommandBit command;
    const char *line;
    const char *message;
    bool hint; /* to --help */
} Refusal;

static const Refusal refusals[] = {
    {COMMAND_FRONT, "", "no target directory specified", true},
    {COMMAND_FRONT, "-D x --create-slot --drop-slot",
     "cannot use --create-slot together with --drop-slot", true},
    {COMMAND_FRONT, "--create-slot", "--create-slot needs a slot to be specified using --slot",
     true},
    {COMMAND_FRONT, "--drop-slot", "--drop-slot needs a slot to be specified using --slot", true},
    {COMMAND_FRONT, "-D x --synchronous --no-sync",
     "cannot use --synchronous together with --no-sync", true},
    {COMMAND_FRONT, "-D x -E no", "could not parse end position \"no\"", false},
    {COMMAND_FRONT, "-D x -s 5x", "invalid value \"5x\" for option -s/--status-interval", false},
    {COMMAND_FRONT, "-D x -s 2147484", "-s/--status-interval must be in range 0..2147483", false},
    {COMMAND_FRONT, "-D x -s -1", "-s/--status-interval must be in range 0..2147483", false},
    {COMMAND_FRONT, "-D x -s 99999999999999999999",
     "-s/--status-interval must be in range 0..2147483", false},
    {COMMAND_FRONT, "-D x -s 10s", "invalid value \"10s\" for option -s/--status-interval", false},
    {COMMAND_FRONT, "-D x -Z zstd:1", "compression with ZSTD is not yet supported", false},
    {COMMAND_FRONT, "-D x -Z gzip:10",
     "invalid compression specification: compression algorithm \"gzip\" expects a compression "
     "level between 1 and 9 (default at -1)",
     false},
    {COMMAND_FRONT, "-D x --flush-interval=1s", "unrecognized option \"--flush-interval\"", true},
    {COMMAND_FRONT, "-D x --config=f", "unrecognized option \"--config\"", true},
    {COMMAND_FRONT, "-D x --help", "option --help must be the first", true},
    {COMMAND_FRONT, "-D x -V", "option --version must be the first", true},
    {COMMAND_RECEIVE, "", "no target directory specified", true},
    {COMMAND_RECEIVE, "-D x --s=1",
     "option \"--s\" is ambiguous; possibilities: --slot --status-interval --synchronous", true},
    {COMMAND_RECEIVE, "-D x --pasword=secret", "unrecognized option \"--pasword\"", true},
    {COMMAND_RECEIVE, "-D x -q", "unrecognized option \"-q\"", true},
    {COMMAND_RECEIVE, "-D x --password=secret", "option --password does not take a value", true},
    {COMMAND_RECEIVE, "-D x --slot", "option --slot requires a value", true},
    {COMMAND_RECEIVE, "-D x -S", "option -S requires a value", true},
    {COMMAND_RECEIVE, "-D x --flush-interval=soon",
     "invalid value \"soon\" for option --flush-interval", true},
    {COMMAND_RECEIVE, "-D x --receive-timeout=-1s",
     "invalid value \"-1s\" for option --receive-timeout", true},
    {COMMAND_RECEIVE, "-D x -s 30d", "--status-interval must be in range 0ms..2147483s", true},
    {COMMAND_RECEIVE, "-D x --memory=8388607B", "--memory must be in range 8MB..64GB", true},
    {COMMAND_RECEIVE, "-D x --min-free=1025TB", "--min-free must be in range 0B..1024TB", true},
    {COMMAND_RECEIVE, "-D x --memory=65GB", "--memory must be in range 8MB..64GB", true},
    {COMMAND_RECEIVE, "-D x --memory=much", "invalid value \"much\" for option --memory", true},
    {COMMAND_RECEIVE, "-D x --compress-workers=257", "--compress-workers must be in range 0..256",
     true},
    {COMMAND_RECEIVE, "-D x --compress-workers=-1",
     "invalid value \"-1\" for option --compress-workers", true},
    {COMMAND_RECEIVE, "-D x --on-gap=go", "invalid value \"go\" for option --on-gap", true},
    {COMMAND_RECEIVE, "-D x --verify=no", "invalid value \"no\" for option --verify", true},
    {COMMAND_RECEIVE, "-D x --log-format=xml", "invalid value \"xml\" for option --log-format",
     true},
    {COMMAND_RECEIVE, "-D x -S has-dash",
     "replication slot name \"has-dash\" contains an invalid character", false},
    {COMMAND_RECEIVE, "-D x --create-slot-if-missing",
     "--create-slot-if-missing needs a slot to be specified using --slot", true},
    {COMMAND_FRONT, "-D x -S s --create-slot-if-missing",
     "unrecognized option \"--create-slot-if-missing\"", true},
    {COMMAND_SLOT, "create -S s -D x", "unrecognized option \"-D\"", true},
    {COMMAND_SLOT, "create --create-slot", "unrecognized option \"--create-slot\"", true},
    {COMMAND_VERIFY, "", "no archive directory specified", true},
    {COMMAND_VERIFY, "-D x -j 257", "--jobs must be in range 0..256", true},
    {COMMAND_VERIFY, "-D x -h db", "unrecognized option \"-h\"", true},
    {COMMAND_STATUS, "--watch --json", "cannot use --watch together with --json", true},
    {COMMAND_STATUS, "--interval=1ms", "--interval must be in range 100ms..2147483s", true},
    {COMMAND_WAIT, "", "no position to wait for specified using --lsn", true},
    {COMMAND_CHECK, "-w lag=1", "unknown threshold \"lag\"", true},
    {COMMAND_CHECK, "-c queue=1s", "invalid threshold \"1s\" for queue", true},
    {COMMAND_RESTORE, "", "no archive directory specified", true},
    {COMMAND_RESTORE, "-D x --partial=maybe", "invalid value \"maybe\" for option --partial", true},
    {COMMAND_FIND, "", "no target specified: --time, --restore-point, --lsn, --xid or --latest",
     true},
    {COMMAND_FIND, "--time=now --xid=5", "cannot use --time together with --xid", true},
    {COMMAND_FIND, "--latest --lsn=1/2", "cannot use --lsn together with --latest", true},
    {COMMAND_FIND, "--restore-point=x --exclusive",
     "cannot use --exclusive together with --restore-point", true},
    {COMMAND_FIND, "--xid=0", "--xid must be in range 1..18446744073709551615", true},
    {COMMAND_FIND, "--latest --before=1001", "--before must be in range 1..1000", true},
    {COMMAND_FIND, "--latest --after=", "invalid value \"\" for option --after", true},
    {COMMAND_RESTORE, "-D x --prefetch=many", "invalid value \"many\" for option --prefetch", true},
    {COMMAND_RESTORE, "-D x --prefetch=2TB", "--prefetch must be in range 0B..1TB", true},
    {COMMAND_PRUNE, "-D x --keep-time=30", "invalid value \"30\" for option --keep-time", true},
    {COMMAND_RECEIVE, "-D x --keep-time=7", "invalid value \"7\" for option --keep-time", true},
    {COMMAND_BENCH, "-S s", "unrecognized option \"-S\"", true},
    {COMMAND_BENCH, "--sink=disk",
     "--sink=disk needs a directory to be specified using --directory", true},
    {COMMAND_BENCH, "-D x", "--directory needs --sink=disk", true},
    {COMMAND_BENCH, "--synchronous", "--synchronous needs --sink=disk", true},
    {COMMAND_BENCH, "-Z lz4", "--compress needs --sink=disk", true},
    {COMMAND_BENCH, "--sink=tape", "invalid value \"tape\" for option --sink", true},
    {COMMAND_BENCH, "--duration=0", "--duration must be in range 100ms..2147483s", true},
    {COMMAND_WAIT, "--lsn=now", "could not parse position \"now\"", true},
    {COMMAND_BENCH, "--from=now", "could not parse start position \"now\"", true},
};

static void mistakes_are_refused_in_these_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const Refusal *refusal = &refusals[i];
        Line line;
        Options options;
        Error error;
        char hint[ERROR_HINT_SIZE];
        (void)snprintf(hint, sizeof(hint), "Try \"%s --help\" for more information.",
                       options_program(refusal->command));
        if (parse(refusal->command, refusal->line, &line, &options, &error))
            fail_msg("accepted: %s", refusal->line);
        assert_string_equal(error.message, refusal->message);
        assert_int_equal(error.class, ERROR_USAGE);
        assert_int_equal(strcmp(error.hint, hint) == 0, refusal->hint);
        assert_null(strstr(error.detail, "secret"));
    }
}

static void seconds_are_read_as_pg_receivewal_does(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"", 0}, {" 5", 5000}, {"5 ", 5000}, {"+5", 5000}, {"007", 7000}};
    const OptionSpec *spec = option_find(COMMAND_FRONT, "status-interval");
    (void)state;
    assert_non_null(spec);
    for (size_t i = 0; i < COUNT(good); i++) {
        Options options;
        Error error;
        options_init(&options);
        assert_true(option_store(spec, good[i].text, &options, &error));
        assert_int_equal(options.status_interval_ms, good[i].ms);
    }
}

static void an_option_may_have_a_value_for_who_gives_none(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_FIND, "--before --after=7 --latest", &line, &options, &error));
    assert_int_equal(options.before, 5);
    assert_int_equal(options.after, 7);
    assert_true(parse(COMMAND_FIND, "--latest", &line, &options, &error));
    assert_int_equal(options.before, 0);
    assert_string_equal(options.target_timeline, "latest");
    /* what follows is an operand */
    assert_true(parse(COMMAND_FIND, "--latest --before 7", &line, &options, &error));
    assert_int_equal(options.before, 5);
    assert_string_equal(line.argv[line.argc - 1], "7");
}

static void a_refused_value_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_spec_count; i++) {
        Options before;
        Options after;
        Error error;
        options_init(&before);
        options_init(&after);
        if (option_specs[i].kind == OPTION_TEXT || option_specs[i].kind == OPTION_LIST)
            continue;
        assert_false(option_store(&option_specs[i], "no value at all", &after, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        for (size_t j = 0; j < option_spec_count; j++)
            assert_true(option_same(&option_specs[j], &before, &after));
    }
}

/* What stands in help as the default is the value that the parser reads back. */
static void defaults_survive_formatting(void **state)
{
    size_t shown = 0;
    (void)state;
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        char text[OPTION_TEXT_SIZE];
        Options defaults;
        Options again = {.no_loop = false};
        Error error;
        options_init(&defaults);
        if (option_format(spec, &defaults, text)[0] == '\0')
            continue;
        shown++;
        assert_true(option_store(spec, text, &again, &error));
        assert_true(option_same(spec, &defaults, &again));
    }
    assert_int_equal(shown, 25); /* compress, status-interval, on-gap have two rows each */
}

static void retention_is_read_alike_by_its_commands(void **state)
{
    Line line;
    Options options;
    Error error;
    (void)state;
    assert_true(parse(COMMAND_PRUNE,
                      "-D /a --keep-time=30d --keep-size=1GB --keep-from=0/1 --dry-run", &line,
                      &options, &error));
    assert_int_equal(options.keep_time_ms, UINT64_C(30) * 24 * 3600 * 1000);
    assert_int_equal(options.keep_size, 1 << 30);
    assert_string_equal(options.keep_from, "0/1");
    assert_true(options.dry_run);
    assert_false(parse(COMMAND_PRUNE, "-D /a --keep-size=0", &line, &options, &error));
    assert_false(parse(COMMAND_PRUNE, "-D /a --keep-time=0", &line, &options, &error));
    assert_true(
        parse(COMMAND_RECEIVE, "-D /a --keep-time=36500d --keep-size=0", &line, &options, &error));
    assert_int_equal(options.keep_time_ms, UINT64_C(36500) * 24 * 3600 * 1000);
    assert_false(parse(COMMAND_RECEIVE, "-D /a --keep-time=40000d", &line, &options, &error));
    assert_false(parse(COMMAND_FRONT, "-D /a --keep-size=1GB", &line, &options, &error));
}

static void each_command_has_each_name_and_letter_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_spec_count; i++) {
        for (size_t j = i + 1; j < option_spec_count; j++) {
            const OptionSpec *a = &option_specs[i];
            const OptionSpec *b = &option_specs[j];
            if ((a->commands & b->commands) == 0)
                continue;
            assert_string_not_equal(a->name, b->name);
            assert_true(a->short_name == 0 || a->short_name != b->short_name);
        }
    }
}

static void only_what_the_receiver_can_change_is_reloadable(void **state)
{
    static const char *const names[] = {"status-interval", "flush-interval", "receive-timeout",
                                        "synchronous",     "report-apply",   "verbose",
                                        "keep-time",       "keep-size"};
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < option_spec_count; i++)
        count += option_specs[i].reloadable;
    assert_int_equal(count, COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        const OptionSpec *spec = option_find(COMMAND_RECEIVE, names[i]);
        assert_non_null(spec);
        assert_true(spec->reloadable && spec->in_file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_of_pg_receivewal_is_taken),
        cmocka_unit_test(options_of_bench_are_taken),
        cmocka_unit_test(options_of_status_and_wait_are_taken),
        cmocka_unit_test(options_of_stage_are_taken),
        cmocka_unit_test(options_of_check_add_up),
        cmocka_unit_test(options_of_verify_are_taken),
        cmocka_unit_test(options_of_walrx_are_taken),
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(options_of_http_need_an_address_and_each_other),
        cmocka_unit_test(names_may_be_shortened_and_the_last_option_counts),
        cmocka_unit_test(help_is_found_in_a_cluster_of_letters),
        cmocka_unit_test(operands_come_last_wherever_they_stand),
        cmocka_unit_test(mistakes_are_refused_in_these_words),
        cmocka_unit_test(seconds_are_read_as_pg_receivewal_does),
        cmocka_unit_test(an_option_may_have_a_value_for_who_gives_none),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(defaults_survive_formatting),
        cmocka_unit_test(retention_is_read_alike_by_its_commands),
        cmocka_unit_test(each_command_has_each_name_and_letter_once),
        cmocka_unit_test(only_what_the_receiver_can_change_is_reloadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
