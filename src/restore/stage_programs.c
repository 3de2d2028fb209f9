/* SPDX-License-Identifier: PostgreSQL
 *
 * The server's programs: a data directory is of one major version and needs that one's.
 */
#include "stage_internal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_SIZE 1024
#define PORT_FIRST 5433
#define PORT_LAST 5532

typedef struct Search {
    Stage *stage;
    bool found;
    char seen[ERROR_DETAIL_SIZE]; /* what was there instead */
} Search;

/* "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "... 19devel" */
static bool read_version(const char *output, char version[STAGE_VERSION_SIZE])
{
    const char *at = strstr(output, "(PostgreSQL) ");
    if (at == NULL)
        return false;
    at += strlen("(PostgreSQL) ");
    (void)snprintf(version, STAGE_VERSION_SIZE, "%.*s", (int)strcspn(at, " \n"), at);
    return true;
}

static void try_directory(Search *search, const char *directory)
{
    Stage *stage = search->stage;
    char path[DIR_PATH_SIZE];
    char output[OUTPUT_SIZE];
    char version[STAGE_VERSION_SIZE];
    const char *argv[] = {path, "--version", NULL};
    int status;
    Error ignored; /* then it is no such program */
    int written = snprintf(path, sizeof(path), "%s/postgres", directory);
    if (search->found || directory[0] != '/' || written < 0 || (size_t)written >= sizeof(path) ||
        access(path, X_OK) != 0 ||
        !process_run(argv, &stage->user, output, sizeof(output), &status, &ignored) ||
        status != 0 || !read_version(output, version))
        return;
    if (strtoul(version, NULL, 10) == (unsigned long)stage->base.major) {
        search->found = true;
        (void)snprintf(stage->bindir, sizeof(stage->bindir), "%s", directory);
        (void)snprintf(stage->version, sizeof(stage->version), "%s", version);
        return;
    }
    size_t used = strlen(search->seen);
    (void)snprintf(search->seen + used, sizeof(search->seen) - used, "%s\"%.200s\" has %s",
                   used > 0 ? ", " : "", directory, version);
}

/* Each directory of PATH, and what pg_config there says. */
static void try_path(Search *search)
{
    char path[DIR_PATH_SIZE];
    char output[DIR_PATH_SIZE];
    const char *argv[] = {path, "--bindir", NULL};
    const char *list = getenv("PATH");
    while (list != NULL && *list != '\0' && !search->found) {
        int status;
        Error ignored;
        size_t length = strcspn(list, ":");
        (void)snprintf(path, sizeof(path), "%.*s", (int)length, list);
        try_directory(search, path);
        (void)snprintf(path, sizeof(path), "%.*s/pg_config", (int)length, list);
        if (!search->found && path[0] == '/' && access(path, X_OK) == 0 &&
            process_run(argv, &search->stage->user, output, sizeof(output), &status, &ignored) &&
            status == 0) {
            output[strcspn(output, "\n")] = '\0';
            try_directory(search, output);
        }
        list += length;
        list += *list == ':' ? 1 : 0;
    }
}

static bool not_found(const StageRequest *request, const Search *search, Error *err)
{
    error_set(err, ERROR_OPERATOR, "found no programs of PostgreSQL %d, which backup \"%s\" is of",
              search->stage->base.major, search->stage->backup);
    if (search->seen[0] != '\0')
        error_detail(err, "%s.", search->seen);
    return error_hint(err, request->bindir != NULL
                               ? "--bindir is the directory of the program postgres of that "
                                 "version."
                               : "Install the server of that version, or say where it is: "
                                 "--bindir.");
}

bool stage_programs_find(const StageRequest *request, Stage *stage, Error *err)
{
    static const char *const usual[] = {"/usr/lib/postgresql/%d/bin", "/usr/pgsql-%d/bin",
                                        "/usr/local/pgsql-%d/bin", "/opt/pgsql-%d/bin"};
    Search search = {.stage = stage};
    char directory[DIR_PATH_SIZE];
    if (request->bindir != NULL) {
        if (!process_absolute(request->bindir, directory, sizeof(directory), err))
            return false;
        try_directory(&search, directory);
        return search.found || not_found(request, &search, err);
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        /* One %d each. */
        const char *mark = strstr(usual[i], "%d");
        (void)snprintf(directory, sizeof(directory), "%.*s%d%s", (int)(mark - usual[i]), usual[i],
                       stage->base.major, mark + 2);
        try_directory(&search, directory);
    }
    try_path(&search);
    if (!search.found)
        try_directory(&search, "/usr/local/pgsql/bin");
    return search.found || !request->start || not_found(request, &search, err);
}

static bool port_in_use(uint16_t port)
{
    static const char *const places[] = {"/var/run/postgresql", "/tmp"};
    char path[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/.s.PGSQL.%u", places[i], (unsigned)port);
        if (access(path, F_OK) == 0)
            return true;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    bool taken = bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0;
    (void)close(fd);
    return taken;
}

/* Its socket lies in a directory of its own, where every port is free. It is still one that no
 * other server has: a client that forgets to name the directory must not reach production. */
uint16_t stage_programs_port(void)
{
    for (uint16_t port = PORT_FIRST; port < PORT_LAST; port++) {
        if (!port_in_use(port))
            return port;
    }
    return PORT_LAST;
}
