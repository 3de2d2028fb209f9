/* SPDX-License-Identifier: PostgreSQL
 *
 * See verify.h. This thread makes the plan, starts the others, tells the progress while they scan,
 * and puts together what they found.
 */
#include "verify_internal.h"

#include "walrx/archive/segment_file.h"
#include "walrx/os/clock.h"

#include <stdlib.h>
#include <time.h>

#define JOBS_MAX 256
#define PROGRESS_NS 200000000L
#define MAGIC_SAMPLES 9

static bool has_failed(VerifyWork *work)
{
    (void)pthread_mutex_lock(&work->mutex);
    bool failed = work->failure.class != ERROR_NONE;
    (void)pthread_mutex_unlock(&work->mutex);
    return failed;
}

static void *scan_chunks(void *context)
{
    VerifyWork *work = context;
    VerifyFound found = {.problems = NULL};
    while (!has_failed(work)) {
        size_t next = atomic_fetch_add(&work->next_chunk, 1);
        if (next >= work->plan.chunk_count)
            break;
        if (!verify_chunk_run(work, &work->plan.chunks[next], &found))
            break;
        (void)pthread_mutex_lock(&work->mutex);
        verify_found_move(&found, &work->found);
        (void)pthread_mutex_unlock(&work->mutex);
    }
    verify_found_free(&found);
    (void)pthread_mutex_lock(&work->mutex);
    work->running--;
    (void)pthread_cond_signal(&work->finished);
    (void)pthread_mutex_unlock(&work->mutex);
    return NULL;
}

static void tell_progress(VerifyWork *work, uint64_t begin_ms, uint64_t problems)
{
    const VerifyOptions *options = work->options;
    uint64_t total = (uint64_t)work->plan.entry_count * work->plan.archive->segment_size;
    uint64_t done = atomic_load_explicit(&work->bytes, memory_order_relaxed);
    VerifyProgress progress = {
        .done = done < total ? done : total,
        .total = total,
        .elapsed_ms = clock_monotonic_ms() - begin_ms,
        .problems = problems,
    };
    if (options->progress != NULL)
        options->progress(options->progress_context, &progress);
}

/* Until all threads are done; the last thing told is how it ended, also of threads that were done
 * before this one looked. */
static void wait_for_threads(VerifyWork *work, uint64_t begin_ms)
{
    (void)pthread_mutex_lock(&work->mutex);
    while (work->running > 0) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PROGRESS_NS;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&work->finished, &work->mutex, &until);
        if (work->running == 0)
            break;
        uint64_t problems = work->found.total;
        (void)pthread_mutex_unlock(&work->mutex);
        tell_progress(work, begin_ms, problems);
        (void)pthread_mutex_lock(&work->mutex);
    }
    (void)pthread_mutex_unlock(&work->mutex);
    tell_progress(work, begin_ms, work->found.total);
}

static bool scan_all(VerifyWork *work, uint64_t begin_ms, Error *err)
{
    pthread_t threads[JOBS_MAX];
    unsigned jobs = work->options->jobs < 1 ? 1 : work->options->jobs;
    unsigned started = 0;
    if (jobs > JOBS_MAX)
        jobs = JOBS_MAX;
    if (jobs > work->plan.chunk_count)
        jobs = (unsigned)work->plan.chunk_count;
    work->running = jobs;
    int failed = 0;
    while (started < jobs && failed == 0) {
        failed = pthread_create(&threads[started], NULL, scan_chunks, work);
        started += failed == 0 ? 1 : 0;
    }
    (void)pthread_mutex_lock(&work->mutex);
    work->running -= jobs - started;
    (void)pthread_mutex_unlock(&work->mutex);
    wait_for_threads(work, begin_ms);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    if (started == 0 && jobs > 0)
        return error_set_errno(err, ERROR_MEMORY, failed, "could not start a thread");
    if (work->failure.class != ERROR_NONE) {
        *err = work->failure;
        return false;
    }
    verify_chunks_settle(work);
    return true;
}

/* All pages of one cluster carry one magic number. Samples decide: any single one may be wrong. */
static bool find_magic(VerifyPlan *plan, Error *err)
{
    uint16_t seen[MAGIC_SAMPLES];
    size_t count = 0;
    size_t best = 0;
    for (size_t i = 0; i < MAGIC_SAMPLES && plan->entry_count > 0; i++) {
        const VerifyEntry *entry =
            &plan->entries[i * (plan->entry_count - 1) / (MAGIC_SAMPLES - 1)];
        char name[WAL_FILE_NAME_SIZE];
        WalPageHeader header;
        bool found;
        Error why;
        if (!segment_file_header(&plan->archive->dir, verify_entry_name(plan, entry, name),
                                 verify_entry_form(entry), &found, &header, &why)) {
            if (why.class != ERROR_MEMORY)
                continue; /* its own scan tells */
            *err = why;
            return false;
        }
        if (found)
            seen[count++] = header.magic;
    }
    for (size_t i = 0; i < count; i++) {
        size_t same = 0;
        for (size_t j = 0; j < count; j++)
            same += seen[i] == seen[j] ? 1 : 0;
        if (same > best) {
            best = same;
            plan->magic = seen[i];
        }
    }
    return true;
}

static bool fill_timelines(const VerifyPlan *plan, VerifyResult *result, Error *err)
{
    result->timelines = calloc(plan->line_count + 1, sizeof(result->timelines[0]));
    if (result->timelines == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the list of timelines");
    for (size_t i = 0; i < plan->line_count; i++) {
        const VerifyLine *line = &plan->lines[i];
        VerifyTimeline *timeline = &result->timelines[result->timeline_count++];
        size_t count = line->known ? line->history.count : 0;
        *timeline = (VerifyTimeline){
            .timeline = line->timeline,
            .has_history = line->known && line->timeline > 1,
            .parent = count > 0 ? line->switches[count - 1].timeline : 0,
            .switch_lsn = count > 0 ? line->switches[count - 1].end : LSN_INVALID,
        };
    }
    return true;
}

static void finish_result(VerifyWork *work, uint64_t begin_ms)
{
    VerifyResult *result = work->result;
    verify_found_settle(&work->found);
    result->problems = work->found.problems;
    result->problem_count = work->found.count;
    result->problem_total = work->found.total;
    result->unreadable = work->found.unreadable;
    work->found = (VerifyFound){.problems = NULL};
    result->sound = result->problem_total == 0;
    for (size_t i = 0; i < result->gap_count; i++)
        result->sound = result->sound && result->gaps[i].recorded;
    result->segments = work->plan.entry_count;
    result->bytes = atomic_load(&work->bytes);
    result->major = work->plan.magic != 0 ? wal_page_major(work->plan.magic) : 0;
    result->elapsed_ms = clock_monotonic_ms() - begin_ms;
}

static bool any_segment(void *context, const char *name)
{
    bool *any = context;
    WalFileName file;
    *any = wal_file_parse(name, &file) && file.kind == WAL_FILE_SEGMENT;
    return !*any;
}

/* Nothing says which cluster it is: is there anything at all? */
static bool refuse_unknown(const Archive *archive, Error *err)
{
    bool any = false;
    if (!dir_visit(&archive->dir, any_segment, &any, err))
        return false;
    if (!any)
        return error_set(err, ERROR_ARCHIVE, "directory \"%s\" holds no WAL", archive->dir.path);
    error_set(err, ERROR_ARCHIVE,
              "could not find out the segment size of archive \"%s\": none of its newest segments "
              "begins with a sound page",
              archive->dir.path);
    return false;
}

static bool run_plan(VerifyWork *work, uint64_t begin_ms, Error *err)
{
    VerifyPlan *plan = &work->plan;
    VerifyResult *result = work->result;
    return verify_plan_list(plan, &work->found, err) &&
           verify_plan_histories(plan, &work->found, err) && find_magic(plan, err) &&
           verify_plan_split(plan, work->options->jobs < 1 ? 1 : work->options->jobs, result,
                             err) &&
           fill_timelines(plan, result, err) && scan_all(work, begin_ms, err) &&
           (verify_compare_timelines(work, &work->found) || (*err = work->failure, false)) &&
           verify_gaps_find(work, err);
}

bool verify_run(const VerifyOptions *options, VerifyResult *ret, Error *err)
{
    uint64_t begin_ms = clock_monotonic_ms();
    Archive archive;
    VerifyResult result = {.sound = false};
    bool loaded; /* either way is good enough */
    if (!archive_open_to_read(options->directory, options->files, &archive, &loaded, err))
        return false;
    VerifyWork work = {.options = options,
                       .plan = {.archive = &archive},
                       .result = &result,
                       .mutex = PTHREAD_MUTEX_INITIALIZER,
                       .finished = PTHREAD_COND_INITIALIZER};
    bool ok = archive.bound || refuse_unknown(&archive, err);
    if (ok) {
        result.system_identifier = archive.system_identifier;
        result.segment_size = archive.segment_size;
        ok = run_plan(&work, begin_ms, err);
    }
    if (ok) {
        finish_result(&work, begin_ms);
        *ret = result;
    } else {
        verify_found_free(&work.found);
        verify_result_free(&result);
    }
    verify_plan_free(&work.plan);
    archive_close(&archive);
    return ok;
}

void verify_result_free(VerifyResult *result)
{
    free(result->timelines);
    free(result->ranges);
    free(result->gaps);
    free(result->problems);
    *result = (VerifyResult){.sound = false};
}
