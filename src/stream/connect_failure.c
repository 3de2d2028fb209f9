/* SPDX-License-Identifier: PostgreSQL
 *
 * What a failed attempt to connect means: worth another try, or does a person have to act? libpq
 * gives no code for it, only its text, in which the server's SQLSTATE stands when verbose; what
 * never reached a server is told apart by when it failed. The program never calls setlocale, so the
 * text is libpq's own.
 */
#include "connect_failure.h"

#include "host_list.h"

#include "walrx/stream/sqlstate.h"

#include <ctype.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* libpq prints the SQLSTATE of a refusal in verbose errors as "SEVERITY:  28P01: text"; there is no
 * call that gives it while connecting. Finds the code at `text`, or NULL. */
static const char *find_sqlstate(const char *text)
{
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 3, ":  ")) {
        const char *code = at + 3;
        int i = 0;
        while (i < 5 && (isdigit((unsigned char)code[i]) || isupper((unsigned char)code[i])))
            i++;
        if (i == 5 && code[5] == ':' && code[6] == ' ')
            return code;
    }
    return NULL;
}

/* One line of libpq's message: its SQLSTATE is noted and cut out, the LOCATION line of verbose
 * errors dropped. */
static void take_line(char *line, char *text, size_t capacity, char sqlstate[6], bool *ret_retry)
{
    if (strncmp(line, "LOCATION:", 9) == 0)
        return;
    char *code = (char *)(uintptr_t)find_sqlstate(line);
    if (code != NULL) {
        memcpy(sqlstate, code, 5);
        sqlstate[5] = '\0';
        if (sqlstate_class(sqlstate) != ERROR_OPERATOR)
            *ret_retry = true;
        memmove(code, code + 7, strlen(code + 7) + 1);
    } else if (strstr(line, " failed: ") != NULL) {
        *ret_retry = true; /* a host that could not be reached at all may come back */
    }
    size_t length = strlen(text);
    (void)snprintf(text + length, capacity - length, "%s%s", length > 0 ? "\n" : "", line);
}

bool connect_name_unknown(PGconn *pg)
{
    PQconninfoOption *options = PQconninfo(pg);
    bool unknown = false;
    const char *hosts = "";
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL;
         option++) {
        if (strcmp(option->keyword, "host") == 0 && option->val != NULL)
            hosts = option->val;
    }
    while (!unknown && hosts != NULL && *hosts != '\0') {
        char host[256];
        struct addrinfo *found = NULL;
        (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(hosts, ","), hosts);
        if (host[0] != '/' && host[0] != '@' && host[0] != '\0')
            unknown = getaddrinfo(host, NULL, NULL, &found) != 0;
        if (found != NULL)
            freeaddrinfo(found);
        hosts = host_list_rest(hosts, 0);
        if (hosts != NULL && strchr(hosts, ',') == NULL && strcmp(hosts, host) == 0)
            break;
    }
    PQconninfoFree(options);
    return unknown;
}

static bool give_hint(const char *sqlstate, PGconn *pg, Error *err)
{
    if (strcmp(sqlstate, "28P01") == 0)
        return error_hint(err, "The password is wrong or the user has none. A line of ~/.pgpass "
                               "needs the database name \"replication\".");
    if (strncmp(sqlstate, "28", 2) == 0)
        return error_hint(err, "The user needs the REPLICATION attribute, and pg_hba.conf a line "
                               "\"host replication USER ...\" for this machine.");
    if (PQconnectionNeedsPassword(pg))
        return error_hint(err, "Put a line host:port:replication:user:password into ~/.pgpass of "
                               "the user who runs this (mode 0600).");
    return false;
}

/* With several hosts there is one failure for each: worth another try unless a person must act for
 * all. */
bool connect_failed(PGconn *pg, ConnectFailedWhen when, Error *err)
{
    char message[ERROR_MESSAGE_SIZE];
    char text[ERROR_MESSAGE_SIZE] = "";
    char sqlstate[6] = "";
    bool retry = false;
    (void)snprintf(message, sizeof(message), "%s", PQerrorMessage(pg));
    char *rest = message;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (*line != '\0')
            take_line(line, text, sizeof(text), sqlstate, &retry);
    }
    if (text[0] == '\0')
        (void)snprintf(text, sizeof(text), "could not connect to server");
    bool person = sqlstate[0] != '\0' ? !retry : PQconnectionNeedsPassword(pg) != 0;
    if (when == CONNECT_FAILED_AT_ONCE && !retry)
        person = true; /* a name without an address may get one: a name server is down */
    error_set(err, person ? ERROR_OPERATOR : ERROR_RETRY, "%s", text);
    (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
    return give_hint(sqlstate, pg, err);
}
