/* SPDX-License-Identifier: PostgreSQL
 *
 * The helper: one thread listens, others make segments ready. It ends when the server is gone or
 * no longer recovers, when nothing was asked for in a while, when nothing is ready and nothing can
 * be made, when room is needed, and by a signal; then nothing of it is left. If it is killed, the
 * kernel lets its lock go; a mailbox without a lock tells the next command.
 */
#include "prefetch_internal.h"

#include "walrx/os/clock.h"
#include "walrx/os/host.h"
#include "walrx/os/mailbox.h"
#include "walrx/os/wakeup.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 250        /* at the server, at the room that is left */
#define UNTOLD_MS 20       /* at the mailbox, where nothing tells of mail */
#define IDLE_MS 60000      /* a server may replay one segment for long, or pause */
#define ALONE_IDLE_MS 5000 /* where there is no server to look at */

typedef struct Helper {
    const Get *get;
    PrefetchExtent extent;
    PrefetchPath path; /* the listening thread's */
    uint64_t server_pid;
    uint64_t asked_ms;
    bool ending;
    Mailbox box;
    int signals;
    Bell bell; /* a worker has finished something */
    pthread_t threads[PREFETCH_MAX_WORKERS];
    unsigned thread_count;
    atomic_bool stop;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t work;
    Plan plan;
    bool full; /* no room for more; until something is taken */
} Helper;

typedef struct Worker {
    Helper *helper;
    unsigned number;
} Worker;

static uint64_t bytes_ahead(const Helper *helper)
{
    return (uint64_t)helper->extent.ahead * helper->get->archive.segment_size;
}

static void drop(void *context, const char *name)
{
    const Helper *helper = context;
    bool existed;
    Error ignored; /* the sweep at the end comes by again */
    (void)!file_remove(&helper->get->target.dir, name, &existed, &ignored);
}

/* Workers ------------------------------------------------------------------------------------- */

/* With the lock held; without it while the segment is made. */
static void make_one(Helper *helper, unsigned number, const PlanItem *wanted)
{
    PlanItem item = *wanted;
    char *busy = helper->plan.busy[number];
    (void)snprintf(busy, PREFETCH_NAME_SIZE, "%s", item.name);
    (void)pthread_mutex_unlock(&helper->lock);
    PrefetchMade made = prefetch_make(helper->get, &item.step, item.name, bytes_ahead(helper));
    (void)pthread_mutex_lock(&helper->lock);
    busy[0] = '\0';
    PlanItem *now = plan_find(&helper->plan, item.name);
    if (made == PREFETCH_NO_ROOM)
        helper->full = true;
    else if (now != NULL)
        now->state = made == PREFETCH_MADE ? PLAN_READY : PLAN_BAD;
    else if (made == PREFETCH_MADE)
        drop(helper, item.name); /* asked for meanwhile */
    bell_ring(&helper->bell);
}

static void *work(void *context)
{
    const Worker *worker = context;
    Helper *helper = worker->helper;
    (void)pthread_mutex_lock(&helper->lock);
    while (!atomic_load(&helper->stop)) {
        const PlanItem *wanted = helper->full ? NULL : plan_next(&helper->plan);
        if (wanted != NULL)
            make_one(helper, worker->number, wanted);
        else
            (void)pthread_cond_wait(&helper->work, &helper->lock);
    }
    (void)pthread_mutex_unlock(&helper->lock);
    return NULL;
}

static void start_workers(Helper *helper, Worker workers[PREFETCH_MAX_WORKERS])
{
    while (helper->thread_count < helper->extent.workers) {
        unsigned number = helper->thread_count;
        workers[number] = (Worker){.helper = helper, .number = number};
        if (pthread_create(&helper->threads[number], NULL, work, &workers[number]) != 0)
            return; /* none at all: what is wanted is never made, and the idle time ends it */
        helper->thread_count++;
    }
}

static void stop_workers(Helper *helper)
{
    atomic_store(&helper->stop, true);
    (void)pthread_mutex_lock(&helper->lock);
    (void)pthread_cond_broadcast(&helper->work);
    (void)pthread_mutex_unlock(&helper->lock);
    for (unsigned i = 0; i < helper->thread_count; i++)
        (void)pthread_join(helper->threads[i], NULL);
}

/* The plan ------------------------------------------------------------------------------------ */

/* Fills the plan up behind its last item, or behind what was asked for. */
static void extend(Helper *helper, PrefetchStep step)
{
    const Get *get = helper->get;
    char name[PREFETCH_NAME_SIZE];
    if (helper->plan.count > 0)
        step = helper->plan.items[helper->plan.count - 1].step;
    while (helper->plan.count < helper->extent.ahead &&
           prefetch_path_next(&helper->path, &step, &step)) {
        (void)prefetch_name(get->prefetch.token, &step.source, step.timeline, step.segno,
                            get->archive.segment_size, name);
        if (!plan_add(&helper->plan, &step, name))
            return;
    }
}

static void take_request(Helper *helper, Timeline timeline, SegNo segno)
{
    PrefetchStep step = {.timeline = timeline, .segno = segno};
    (void)pthread_mutex_lock(&helper->lock);
    if (plan_pass(&helper->plan, timeline, segno, drop, helper))
        helper->path.from = timeline;
    else
        prefetch_path_asked(&helper->path, timeline, segno);
    plan_cut(&helper->plan, drop, helper);
    extend(helper, step);
    helper->full = false;
    (void)pthread_cond_broadcast(&helper->work);
    (void)pthread_mutex_unlock(&helper->lock);
    helper->asked_ms = clock_monotonic_ms();
}

/* What one that was killed has left: what is whole and wanted stays, everything else goes. */
static bool adopt_one(void *context, const char *name)
{
    Helper *helper = context;
    const Get *get = helper->get;
    PlanItem *item = plan_find(&helper->plan, name);
    if (item != NULL && prefetch_is_sealed(&get->target.dir, name, get->archive.segment_size))
        item->state = PLAN_READY;
    else if (prefetch_file_kind(name) != PREFETCH_FILE_OTHER)
        drop(helper, name);
    return true;
}

/* Listening ----------------------------------------------------------------------------------- */

static void take_mail(Helper *helper)
{
    PrefetchMessage message;
    while (mailbox_read(&helper->box, &message, sizeof(message))) {
        if (message.token != helper->get->prefetch.token || message.kind == PREFETCH_RELEASE)
            helper->ending = true; /* another archive is asked now, or room is needed */
        else if (message.kind == PREFETCH_ASKED)
            take_request(helper, message.timeline, message.segno);
    }
}

static bool has_nothing_to_do(Helper *helper)
{
    (void)pthread_mutex_lock(&helper->lock);
    bool done = plan_is_done(&helper->plan, helper->full);
    (void)pthread_mutex_unlock(&helper->lock);
    return done;
}

/* Is somebody there to read ahead for, and the room that the server may need? */
static bool is_wanted(const Helper *helper)
{
    const Get *get = helper->get;
    uint64_t idle = clock_monotonic_ms() - helper->asked_ms;
    uint64_t pid;
    uint64_t left;
    Error ignored;
    PrefetchServer server = prefetch_server_look(&get->target, &pid);
    if (server == PREFETCH_SERVER_DOWN || pid != helper->server_pid ||
        idle >= (server == PREFETCH_SERVER_UNKNOWN ? ALONE_IDLE_MS : IDLE_MS))
        return false;
    return file_space_left(&get->target.dir, &left, &ignored) && left >= bytes_ahead(helper) / 2;
}

static void listen_for_requests(Helper *helper)
{
    while (!helper->ending && is_wanted(helper)) {
        struct pollfd fds[] = {{.fd = helper->box.watch, .events = POLLIN},
                               {.fd = helper->bell.fd, .events = POLLIN},
                               {.fd = helper->signals, .events = POLLIN}};
        (void)poll(fds, sizeof(fds) / sizeof(fds[0]), helper->box.watch < 0 ? UNTOLD_MS : LOOK_MS);
        bell_silence(&helper->bell);
        take_mail(helper);
        if (signals_next(helper->signals) != 0 || has_nothing_to_do(helper))
            helper->ending = true;
    }
}

static bool open_all(Helper *helper)
{
    Error ignored;
    return signals_open(&helper->signals, &ignored) && bell_open(&helper->bell, &ignored) &&
           mailbox_open(&helper->get->target.dir, PREFETCH_BOX, &helper->box);
}

static void serve(Helper *helper)
{
    const Get *get = helper->get;
    Worker workers[PREFETCH_MAX_WORKERS];
    Error ignored;
    take_request(helper, get->file.timeline, get->segno);
    /* The mailbox is there before anything else, and goes last: while it is, something may be. */
    (void)!dir_visit(&get->target.dir, adopt_one, helper, &ignored);
    start_workers(helper, workers);
    listen_for_requests(helper);
    stop_workers(helper);
    prefetch_sweep(&get->target.dir);
    mailbox_close(&helper->box);
}

void prefetch_serve(const Get *get)
{
    Get mine = *get;
    Helper *helper = calloc(1, sizeof(*helper));
    if (helper == NULL)
        return;
    mine.stop = &helper->stop;
    helper->get = &mine;
    helper->extent = prefetch_extent(get->request->prefetch, get->archive.segment_size,
                                     host_cores(), host_memory());
    (void)pthread_mutex_init(&helper->lock, NULL);
    (void)pthread_cond_init(&helper->work, NULL);
    prefetch_path_begin(&helper->path, &mine.archive, get->file.timeline);
    (void)prefetch_server_look(&get->target, &helper->server_pid);
    if (open_all(helper))
        serve(helper);
    free(helper); /* the process ends, and with it what is open */
}
