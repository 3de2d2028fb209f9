/* SPDX-License-Identifier: PostgreSQL
 *
 * See parameters.h.
 */
#include "parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void parameters_add(Parameters *parameters, const char *keyword, const char *value)
{
    if (value == NULL || parameters->count == MAX_PARAMETERS)
        return;
    parameters->keywords[parameters->count] = keyword;
    parameters->values[parameters->count++] = value;
}

/* libpq's message about a bad connection string repeats pieces of it, with a password now and then
 * (conninfo_parse, conninfo_uri_parse_options and conninfo_uri_decode in fe-connect.c, PostgreSQL
 * 15). Of what it quotes, single characters and words that stand in front of a '=' stay; the text
 * is cut at anything else. */
static void hide_quoted(char *text, size_t capacity, const char *conninfo)
{
    for (char *open = strchr(text, '"'); open != NULL; open = strchr(open, '"')) {
        char *word = open + 1;
        size_t length = strcspn(word, "\"");
        bool keep = length == 1;
        for (const char *at = conninfo; !keep && length > 0 && *at != '\0'; at++)
            keep = strncmp(at, word, length) == 0 && at[length] == '=' &&
                   (at == conninfo || strchr(" &?", at[-1]) != NULL);
        if (!keep) {
            (void)snprintf(open, capacity - (size_t)(open - text), "\"********\"");
            return;
        }
        open = word + length + (word[length] == '"' ? 1 : 0);
    }
}

PQconninfoOption *parameters_parse(const ConnectOptions *options, Error *err)
{
    char *message = NULL;
    PQconninfoOption *parsed =
        PQconninfoParse(options->conninfo != NULL ? options->conninfo : "", &message);
    if (parsed == NULL) {
        char text[ERROR_MESSAGE_SIZE / 2];
        (void)snprintf(text, sizeof(text), "%s", message != NULL ? message : "out of memory");
        text[strcspn(text, "\n")] = '\0';
        hide_quoted(text, sizeof(text), options->conninfo != NULL ? options->conninfo : "");
        error_set(err, ERROR_USAGE, "invalid connection string: %s", text);
        error_hint(err, "Write \"host=db1 user=replicator\" or \"postgresql://replicator@db1\".");
        PQfreemem(message);
    }
    return parsed;
}

bool connect_options_check(const ConnectOptions *options, Error *err)
{
    PQconninfoOption *parsed = parameters_parse(options, err);
    if (parsed == NULL)
        return false;
    PQconninfoFree(parsed);
    return true;
}

static bool is_secret(const PQconninfoOption *option)
{
    /* dispchar "*" marks passwords: PQconndefaults in the documentation of libpq. */
    return strchr(option->dispchar, '*') != NULL || strcmp(option->keyword, "password") == 0 ||
           strcmp(option->keyword, "sslpassword") == 0;
}

static size_t append(char *buffer, size_t capacity, size_t length, const char *keyword,
                     const char *value)
{
    int written = snprintf(buffer + length, capacity - length, "%s%s=%s", length > 0 ? " " : "",
                           keyword, value);
    size_t added = written > 0 ? (size_t)written : 0;
    return length + added < capacity ? length + added : capacity - 1;
}

const char *connect_options_text(const ConnectOptions *options, char *buffer, size_t capacity)
{
    Error error;
    size_t length = 0;
    buffer[0] = '\0';
    PQconninfoOption *parsed = parameters_parse(options, &error);
    if (parsed == NULL)
        return buffer;
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (option->val != NULL && option->val[0] != '\0')
            length = append(buffer, capacity, length, option->keyword,
                            is_secret(option) ? "********" : option->val);
    }
    PQconninfoFree(parsed);
    if (options->host != NULL)
        length = append(buffer, capacity, length, "host", options->host);
    if (options->port != NULL)
        length = append(buffer, capacity, length, "port", options->port);
    if (options->user != NULL)
        (void)append(buffer, capacity, length, "user", options->user);
    return buffer;
}

void parameters_fill(Parameters *parameters, const ConnectOptions *options, ConnectionKind kind,
                     const PQconninfoOption *parsed)
{
    const char *database = NULL;
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (option->val == NULL || option->val[0] == '\0')
            continue;
        if (strcmp(option->keyword, "dbname") == 0) {
            database = option->val;
            continue;
        }
        if (strcmp(option->keyword, "replication") == 0)
            continue;
        if (strcmp(option->keyword, "tcp_user_timeout") == 0)
            parameters->user_timeout_given = true;
        parameters_add(parameters, option->keyword, option->val);
    }
    if (kind == CONNECTION_REPLICATION) {
        parameters_add(parameters, "dbname",
                       "replication"); /* what .pgpass and pg_hba.conf call it */
        parameters_add(parameters, "replication", "true");
    } else {
        parameters_add(parameters, "dbname", database != NULL ? database : "postgres");
    }
    parameters_add(parameters, "fallback_application_name", options->program);
    parameters_add(parameters, "host", options->host);
    parameters_add(parameters, "hostaddr", options->hostaddr);
    parameters_add(parameters, "user", options->user);
    parameters_add(parameters, "port", options->port);
}

static const char *given(const PQconninfoOption *parsed, const char *keyword)
{
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, keyword) == 0)
            return option->val != NULL && option->val[0] != '\0' ? option->val : NULL;
    }
    return NULL;
}

/* Within quotes a quote and a backslash want a backslash: conninfo_parse in fe-connect.c. */
static void put_setting(FILE *out, const char *keyword, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    (void)fprintf(out, "%s='", keyword);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\'' || *at == '\\')
            (void)fputc('\\', out);
        (void)fputc(*at, out);
    }
    (void)fputs("' ", out);
}

static void put_settings(FILE *out, const PQconninfoOption *parsed, bool secrets)
{
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (secrets || !is_secret(option))
            put_setting(out, option->keyword, option->val);
    }
}

/* A later setting takes the place of an earlier one. */
static bool merge(const ConnectOptions *base, const PQconninfoOption *below,
                  const PQconninfoOption *over, ConnectMerge *ret)
{
    size_t length;
    ret->other_server = given(over, "host") != NULL || given(over, "hostaddr") != NULL ||
                        given(over, "service") != NULL;
    ret->other_user = given(over, "user") != NULL;
    FILE *out = open_memstream(&ret->conninfo, &length);
    if (out == NULL)
        return false;
    if (!ret->other_server) {
        put_settings(out, below, !ret->other_user);
        put_setting(out, "host", base->host);
        put_setting(out, "port", base->port);
        put_setting(out, "user", base->user);
    }
    put_settings(out, over, true);
    bool whole = ferror(out) == 0;
    if (fclose(out) == 0 && whole)
        return true;
    free(ret->conninfo);
    ret->conninfo = NULL;
    return false;
}

bool connect_options_merge(const ConnectOptions *base, const char *over, ConnectMerge *ret,
                           Error *err)
{
    const ConnectOptions above = {.conninfo = over};
    PQconninfoOption *below_parsed = parameters_parse(base, err);
    if (below_parsed == NULL)
        return false;
    PQconninfoOption *over_parsed = parameters_parse(&above, err);
    bool ok = over_parsed != NULL;
    if (ok && !merge(base, below_parsed, over_parsed, ret))
        ok = error_set(err, ERROR_MEMORY, "out of memory for connection settings");
    PQconninfoFree(over_parsed);
    PQconninfoFree(below_parsed);
    return ok;
}
