/* SPDX-License-Identifier: PostgreSQL
 *
 * The copy's configuration is written anew: what is not named here has the server's default,
 * whatever the primary had. Of the backup it takes only what reading its data may need.
 */
#include "stage_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COMMAND_SIZE (4 * STAGE_SHELL_SIZE)
#define NAMES_SIZE 64

/* ---- what a file says ---- */

/* A value in quotes: '' and \' are a quote, other escapes are left as they are, for no name of a
 * library has any. Returns what follows it. */
static const char *take_quoted(const char *at, char *buffer, size_t capacity)
{
    size_t used = 0;
    for (at++; *at != '\0' && *at != '\n'; at++) {
        if ((at[0] == '\'' && at[1] == '\'') || (at[0] == '\\' && at[1] != '\0'))
            at++;
        else if (at[0] == '\'')
            break;
        if (used + 1 < capacity)
            buffer[used++] = *at;
    }
    buffer[used] = '\0';
    return at;
}

bool stage_conf_value(const char *text, const char *name, char *buffer, size_t capacity)
{
    bool found = false;
    for (const char *line = text; *line != '\0';) {
        const char *at = line + strspn(line, " \t");
        const char *end = strchr(line, '\n');
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789_.");
        if (length == strlen(name) && strncasecmp(at, name, length) == 0) {
            at += length;
            at += strspn(at, " \t");
            at += *at == '=' ? 1 : 0;
            at += strspn(at, " \t");
            if (*at == '\'') {
                (void)take_quoted(at, buffer, capacity);
            } else {
                length = strcspn(at, " \t\r\n#");
                (void)snprintf(buffer, capacity, "%.*s", (int)length, at);
            }
            found = true;
        }
        if (end == NULL)
            break;
        line = end + 1;
    }
    return found;
}

/* Once the copy is promoted these would go on with the primary's work: run its jobs, connect to
 * its peers, send what waits in its queues. */
static bool acts_on_its_own(const char *name, size_t length)
{
    static const char *const names[] = {"pg_cron", "pglogical",      "bdr",   "pgactive",
                                        "spock",   "pgautofailover", "pg_net"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t want = strlen(names[i]);
        if ((length == want || (length == want + 3 && strncmp(name + want, ".so", 3) == 0)) &&
            strncmp(name, names[i], want) == 0)
            return true;
    }
    return false;
}

void stage_conf_libraries(const char *list, char *ret_kept, char *ret_dropped, size_t capacity)
{
    StageText kept;
    StageText dropped;
    stage_text_begin(&kept, ret_kept, capacity);
    stage_text_begin(&dropped, ret_dropped, capacity);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ",");
        size_t item = length;
        while (item > 0 && isspace((unsigned char)at[item - 1]))
            item--;
        const char *base = at;
        for (size_t i = 0; i < item; i++)
            base = at[i] == '/' || at[i] == '"' ? (i + 1 < item ? at + i + 1 : base) : base;
        size_t name = (size_t)(at + item - base);
        name -= name > 0 && base[name - 1] == '"' ? 1 : 0;
        StageText *to = acts_on_its_own(base, name) ? &dropped : &kept;
        if (item > 0)
            stage_text_add(to, "%s%.*s", to->used > 0 ? ", " : "", (int)item, at);
        at += length;
    }
}

/* ---- pg_control ---- */

#define CONTROL_WORDS 128 /* in its first sector, which holds all of it */
#define CONTROL_ALIGN 8
#define FLOAT_FORMAT 1234567.0
#define SENDERS_MAJOR 12  /* a standby needs as many as the primary has, from here on */
#define LIMIT_MAX 0x3FFFF /* MAX_BACKENDS */

/* Where the members are differs from major to major, but these stand before floatFormat, a constant
 * that can be found, in the same order in 10 to 19 (pg_control.h); max_wal_senders since 12. */
StageLimits stage_conf_limits(const uint8_t *control, size_t length, int major)
{
    StageLimits limits = {.known = false};
    const double wanted = FLOAT_FORMAT;
    uint32_t words[CONTROL_WORDS] = {0};
    size_t bytes = length < sizeof(words) ? length : sizeof(words);
    size_t at = 16;
    memcpy(words, control, bytes);
    while (at + 2 <= bytes / sizeof(words[0]) && memcmp(&words[at], &wanted, sizeof(wanted)) != 0)
        at += 2;
    if (at + 2 > bytes / sizeof(words[0]))
        return limits;
    at -= words[at - 1] == CONTROL_ALIGN ? 1 : 2; /* maxAlign, then perhaps padding */
    if (words[at] != CONTROL_ALIGN)
        return limits;
    at -= 2; /* behind it track_commit_timestamp */
    limits.locks = words[at--];
    limits.prepared = words[at--];
    limits.senders = major >= SENDERS_MAJOR ? words[at--] : 0;
    limits.workers = words[at--];
    limits.connections = words[at];
    limits.known = limits.connections > 0 && limits.connections <= LIMIT_MAX &&
                   limits.workers <= LIMIT_MAX && limits.senders <= LIMIT_MAX &&
                   limits.prepared <= LIMIT_MAX && limits.locks >= 10 && limits.locks <= INT32_MAX;
    return limits;
}

/* ---- what is written ---- */

static void add_number(StageText *text, const char *name, uint32_t value)
{
    stage_text_add(text, "%s = %" PRIu32 "\n", name, value);
}

/* A name in a list of directories. */
static void add_directory(StageText *text, const char *name, const char *path)
{
    char value[2 * DIR_PATH_SIZE];
    StageText quoted;
    stage_text_begin(&quoted, value, sizeof(value));
    stage_text_add(&quoted, "\"");
    for (; *path != '\0'; path++)
        stage_text_add(&quoted, *path == '"' ? "\"\"" : "%c", *path);
    stage_text_add(&quoted, "\"");
    text->fits = text->fits && quoted.fits;
    stage_text_setting(text, name, value);
}

static void add_limits(StageText *text, const StageLimits *limits, int major)
{
    if (major < SENDERS_MAJOR) /* they are among the connections, which may be few */
        add_number(text, "max_wal_senders", 0);
    if (!limits->known)
        return;
    stage_text_add(text, "# Not less than the primary had, or a standby does not start.\n");
    add_number(text, "max_connections", limits->connections);
    add_number(text, "max_worker_processes", limits->workers);
    if (major >= SENDERS_MAJOR)
        add_number(text, "max_wal_senders", limits->senders);
    add_number(text, "max_prepared_transactions", limits->prepared);
    add_number(text, "max_locks_per_transaction", limits->locks);
}

static bool add_recovery(StageText *text, const StageRequest *request, const Stage *stage)
{
    static const char *const actions[] = {
        [STAGE_PAUSE] = "pause", [STAGE_PROMOTE] = "promote", [STAGE_SHUTDOWN] = "shutdown"};
    char command[COMMAND_SIZE];
    char settings[FIND_SETTINGS_SIZE];
    if (!stage_text_restore_command(stage->program, stage->archive,
                                    find_restore_options(&request->target, &stage->found), command,
                                    sizeof(command)) ||
        !find_settings(&request->target, &stage->found, settings, sizeof(settings)))
        return false;
    stage_text_setting(text, "restore_command", command);
    stage_text_add(text, "%s", settings);
    if (request->target.kind != FIND_LATEST)
        stage_text_setting(text, "recovery_target_action", actions[request->action]);
    return true;
}

static bool add_given(StageText *text, const StageTexts *settings)
{
    char name[NAMES_SIZE];
    if (settings->count > 0)
        stage_text_add(text, "\n# As the command line had it.\n");
    for (size_t i = 0; i < settings->count; i++) {
        const char *equals = strchr(settings->items[i], '=');
        if (equals == NULL || (size_t)(equals - settings->items[i]) >= sizeof(name))
            return false;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - settings->items[i]),
                       settings->items[i]);
        stage_text_setting(text, name, equals + 1);
    }
    return true;
}

bool stage_conf_main(const StageRequest *request, const Stage *stage, char *buffer, size_t capacity)
{
    StageText text;
    stage_text_begin(&text, buffer, capacity);
    stage_text_add(
        &text, "# Written by walrx stage. What is not named here has the server's default; the\n"
               "# configuration that the backup holds lies beside it in *.backup, unread.\n"
               "\n"
               "# Only its owner gets in, through a socket in the data directory.\n"
               "listen_addresses = ''\n");
    add_number(&text, "port", stage->port);
    add_directory(&text, "unix_socket_directories", stage->into);
    stage_text_add(&text, "unix_socket_permissions = 0700\n"
                          "\n"
                          "# Nothing leaves it, and nobody is asked for anything.\n"
                          "archive_mode = off\n"
                          "max_logical_replication_workers = 0\n"
                          "cluster_name = 'walrx stage'\n"
                          "\n"
                          "hot_standby = on\n");
    add_limits(&text, &stage->limits, stage->base.major);
    if (stage->libraries[0] != '\0')
        stage_text_setting(&text, "shared_preload_libraries", stage->libraries);
    stage_text_add(&text, "\n"
                          "log_destination = 'stderr'\n"
                          "logging_collector = off\n"
                          "log_line_prefix = '%%m [%%p] '\n"
                          "lc_messages = 'C'\n"
                          "log_timezone = 'UTC'\n"
                          "timezone = 'UTC'\n");
    if (stage->base.major >= STAGE_SIGNAL_MAJOR) {
        stage_text_add(&text, "\n# Recovery.\n");
        if (!add_recovery(&text, request, stage))
            return false;
    }
    return add_given(&text, &request->settings) && text.fits;
}

bool stage_conf_recovery(const StageRequest *request, const Stage *stage, char *buffer,
                         size_t capacity)
{
    StageText text;
    stage_text_begin(&text, buffer, capacity);
    stage_text_add(&text, "# Written by walrx stage.\n");
    return add_recovery(&text, request, stage) && text.fits;
}
