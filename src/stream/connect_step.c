/* SPDX-License-Identifier: PostgreSQL
 *
 * See connect_step.h. A detached thread for each step; thread and caller hold the job together, and
 * whoever lets go of it last frees it.
 */
#include "connect_step.h"

#include "connect_failure.h"

#include "walrx/os/wakeup.h"
#include "walrx/stream/connection.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct Job {
    atomic_int holders;
    atomic_bool done;
    Bell bell;
    Parameters parameters; /* to start with; the job's own copies */
    bool start;
    PGconn *pg;
    ReceiveMeter meter;
    ConnectStepResult result;
} Job;

/* Of jobs, from their making until nothing of libpq is left to do for them. */
static atomic_int steps_under_way;

bool connection_attempts_left(void)
{
    return atomic_load(&steps_under_way) > 0;
}

static void let_go(Job *job)
{
    if (atomic_fetch_sub(&job->holders, 1) > 1)
        return;
    PQfinish(job->pg);
    bell_close(&job->bell);
    for (size_t i = 0; i < job->parameters.count; i++)
        free((char *)(uintptr_t)job->parameters.values[i]);
    free(job);
    /* Only now: closing a connection that nobody waited for is libpq's work, too. */
    (void)atomic_fetch_sub(&steps_under_way, 1);
}

static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message; /* notices to a receiver carry nothing that an error does not say again */
}

static void start(Job *job)
{
    job->pg = PQconnectStartParams(job->parameters.keywords, job->parameters.values, 0);
    job->result.state = PGRES_POLLING_FAILED;
    if (job->pg == NULL)
        return;
    (void)PQsetErrorVerbosity(job->pg, PQERRORS_VERBOSE);
    (void)PQsetNoticeProcessor(job->pg, ignore_notice, NULL);
    if (PQstatus(job->pg) == CONNECTION_BAD)
        job->result.name_unknown = connect_name_unknown(job->pg);
    else
        job->result.state = PGRES_POLLING_WRITING;
}

static void *job_main(void *argument)
{
    Job *job = argument;
    receive_meter_use(&job->meter);
    if (job->start)
        start(job);
    else
        job->result.state = PQconnectPoll(job->pg);
    receive_meter_use(NULL);
    atomic_store(&job->done, true);
    bell_ring(&job->bell);
    let_go(job);
    return NULL;
}

static bool copy_parameters(const Parameters *from, Parameters *to)
{
    for (size_t i = 0; i < from->count; i++) {
        char *value = strdup(from->values[i]);
        if (value == NULL)
            return false;
        to->keywords[i] = from->keywords[i]; /* constants of ours or libpq's */
        to->values[i] = value;
        to->count++;
    }
    return true;
}

/* On success the thread runs, and has taken over *pg. */
static Job *job_begin(const ConnectStep *step, PGconn **pg, Error *err)
{
    pthread_t thread;
    Job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        (void)error_set(err, ERROR_MEMORY, "out of memory while connecting");
        return NULL;
    }
    (void)atomic_fetch_add(&steps_under_way, 1);
    atomic_init(&job->holders, 1);
    job->bell.fd = -1;
    job->start = step->parameters != NULL;
    job->meter = *step->meter;
    if (job->start && !copy_parameters(step->parameters, &job->parameters)) {
        (void)error_set(err, ERROR_MEMORY, "out of memory while connecting");
        let_go(job);
        return NULL;
    }
    if (!bell_open(&job->bell, err)) {
        let_go(job);
        return NULL;
    }
    job->pg = *pg;
    atomic_store(&job->holders, 2);
    int rc = pthread_create(&thread, NULL, job_main, job);
    if (rc == 0) {
        (void)pthread_detach(thread);
        *pg = NULL;
        return job;
    }
    (void)error_set_errno(err, ERROR_RETRY, rc, "could not start a thread to connect");
    atomic_store(&job->holders, 1);
    job->pg = NULL; /* stays the caller's */
    let_go(job);
    return NULL;
}

ControlWait connect_step(const ConnectStep *step, PGconn **pg, ConnectStepResult *ret, Error *err)
{
    if (atomic_load(&steps_under_way) >= CONNECT_STEPS_MAX) {
        (void)error_set(err, ERROR_RETRY,
                        "could not connect: %d earlier attempts have not come back",
                        CONNECT_STEPS_MAX);
        (void)error_hint(err, "Name lookup or authentication takes without end; look at the name "
                              "servers of this host, or use an address in place of a name.");
        return CONTROL_STOP;
    }
    Job *job = job_begin(step, pg, err);
    if (job == NULL)
        return CONTROL_STOP;
    ControlWait wait = control_wait(step->control, job->bell.fd, POLLIN, step->deadline_ms);
    /* The bell is rung when it is done; the load makes what the thread wrote visible. */
    if (wait != CONTROL_STOP && atomic_load(&job->done)) {
        *pg = job->pg;
        job->pg = NULL;
        *step->meter = job->meter;
        *ret = job->result;
        wait = CONTROL_READY;
    } else if (wait == CONTROL_STOP) {
        (void)error_set(err, ERROR_STOPPED, "stopped while connecting");
    }
    let_go(job);
    return wait;
}
