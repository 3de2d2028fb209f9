/* SPDX-License-Identifier: PostgreSQL
 *
 * The commands' side of reading ahead: take what is ready, tell the helper what was asked for,
 * start one where none is, clear up behind one that was killed. Whatever is not as it should be
 * means that nothing is ready; the file is then restored as it always was.
 */
#include "prefetch_internal.h"

#include "walrx/os/background.h"
#include "walrx/os/clock.h"
#include "walrx/os/dirlock.h"
#include "walrx/os/durable.h"
#include "walrx/os/mailbox.h"

#include <poll.h>
#include <stdlib.h>

#define WAIT_MS 1       /* between two looks at what is being made */
#define STALLED_MS 1000 /* it does not grow any more */
#define LIFE_EVERY 64   /* looks: whether it lives, by its lock */
/* Where the server is that, a helper becomes its child, and the server takes the death of a child
 * it does not know for a crash and starts recovery anew (CleanupBackend, postmaster.c, PostgreSQL
 * 15). */
#define FIRST_PROCESS 1
#define RELEASE_MS 5000   /* for a helper to end */
#define RELEASE_LOOK_MS 5 /* between two tries */

static bool tell(const Get *get, PrefetchKind kind)
{
    PrefetchMessage message = {.token = get->prefetch.token,
                               .kind = (uint32_t)kind,
                               .timeline = get->file.timeline,
                               .segno = get->segno};
    return mailbox_send(&get->target.dir, PREFETCH_BOX, &message, sizeof(message));
}

void prefetch_begin(Get *get)
{
    GetPrefetch *prefetch = &get->prefetch;
    uint64_t bytes = get->request->prefetch;
    uint64_t pid;
    PrefetchServer server;
    *prefetch = (GetPrefetch){.on = false};
    if (bytes == 0)
        return;
    server = prefetch_server_look(&get->target, &pid);
    if (server == PREFETCH_SERVER_DOWN ||
        (bytes == GET_PREFETCH_AUTO &&
         (server == PREFETCH_SERVER_UNKNOWN || pid == FIRST_PROCESS)) ||
        !prefetch_token(&get->archive, &prefetch->token))
        return;
    prefetch->on = true;
    if (get->file.kind == WAL_FILE_SEGMENT && !get->file.partial)
        prefetch_look(&get->archive, get->file.timeline, get->segno, &prefetch->source);
    if (prefetch->source.found)
        (void)prefetch_name(prefetch->token, &prefetch->source, get->file.timeline, get->segno,
                            get->archive.segment_size, prefetch->name);
}

static bool is_ready(const Get *get)
{
    return prefetch_is_sealed(&get->target.dir, get->prefetch.name, get->archive.segment_size);
}

/* A helper that is making it will be done before anybody who begins now; for as long as it lives
 * and gets on. */
static bool becomes_ready(const Get *get)
{
    char part[PREFETCH_NAME_SIZE];
    uint64_t last = 0;
    uint64_t since = clock_monotonic_ms();
    (void)prefetch_part_name(get->prefetch.name, part);
    for (unsigned i = 0;; i++) {
        bool exists;
        uint64_t size;
        uint64_t now = clock_monotonic_ms();
        Error ignored;
        if (!file_status(&get->target.dir, part, &exists, &size, &ignored) || !exists)
            return is_ready(get);
        if (i % LIFE_EVERY == 0 && dirlock_try_directory(&get->target.dir))
            return false;
        if (size != last)
            since = now;
        last = size;
        if (now - since >= STALLED_MS)
            return false;
        (void)poll(NULL, 0, WAIT_MS);
    }
}

/* Durable where that is wanted; the helper's own sync has left little to do. */
static bool is_durable(const Get *get)
{
    const Dir *dir = &get->target.dir;
    Error ignored;
    int fd;
    if (!dir->sync)
        return true;
    if (!file_open(dir, get->prefetch.name, FILE_READ, &fd, &ignored))
        return false;
    bool durable = durable_file(dir, get->prefetch.name, fd, &ignored);
    file_close(dir, fd);
    return durable;
}

bool prefetch_take(Get *get, bool *ret_placed, Error *err)
{
    Dir unsynced = get->target.dir;
    Error ignored;
    unsynced.sync = false;
    *ret_placed =
        get->prefetch.on && get->prefetch.source.found && (is_ready(get) || becomes_ready(get)) &&
        is_durable(get) &&
        durable_replace(&unsynced, get->prefetch.name, &unsynced, get->target.name, &ignored);
    return !*ret_placed || durable_directory(&get->target.dir, err);
}

void prefetch_note(Get *get)
{
    GetPrefetch *prefetch = &get->prefetch;
    bool exists = false;
    uint64_t size;
    Error ignored;
    if (!prefetch->on || !file_status(&get->target.dir, PREFETCH_BOX, &exists, &size, &ignored) ||
        !exists)
        return;
    if (prefetch->source.found)
        (void)tell(get, PREFETCH_ASKED);
    prefetch->helper =
        dirlock_try_directory(&get->target.dir) ? PREFETCH_HELPER_DEAD : PREFETCH_HELPER_LIVES;
}

static bool has_next(const Get *get)
{
    PrefetchPath *path = malloc(sizeof(*path));
    PrefetchStep step = {.timeline = get->file.timeline, .segno = get->segno};
    bool has = false;
    if (path != NULL) {
        prefetch_path_begin(path, &get->archive, step.timeline);
        has = prefetch_path_next(path, &step, &step);
    }
    free(path);
    return has;
}

static void serve(void *context)
{
    prefetch_serve(context);
}

void prefetch_end(Get *get, bool placed)
{
    const GetPrefetch *prefetch = &get->prefetch;
    const int keep[] = {get->target.dir.fd, get->target.data.fd, get->archive.dir.fd};
    if (!prefetch->on || prefetch->helper == PREFETCH_HELPER_LIVES)
        return;
    bool start = placed && prefetch->source.found && has_next(get);
    /* Without the lock another helper begins or ends just now. */
    if ((!start && prefetch->helper == PREFETCH_HELPER_NONE) ||
        !dirlock_try_directory(&get->target.dir))
        return;
    if (!start ||
        !background_run("walrx-prefetch", keep, sizeof(keep) / sizeof(keep[0]), serve, get))
        prefetch_sweep(&get->target.dir);
}

bool prefetch_release(Get *get)
{
    uint64_t since = clock_monotonic_ms();
    if (!get->prefetch.on || get->prefetch.helper == PREFETCH_HELPER_NONE)
        return false;
    for (;;) {
        if (dirlock_try_directory(&get->target.dir) || clock_monotonic_ms() - since >= RELEASE_MS)
            break;
        (void)tell(get, PREFETCH_RELEASE); /* each time: another request may write over it */
        (void)poll(NULL, 0, RELEASE_LOOK_MS);
    }
    /* One that does not answer, being stopped, is not asked: what it misses it makes no use of. */
    prefetch_sweep(&get->target.dir);
    get->prefetch.on = false;
    return true;
}
