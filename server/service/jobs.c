#include "service/jobs.h"

#include "core/check.h"
#include "core/log.h"
#include "core/state.h"
#include "core/configuration_pack.h"
#include "proto/gd_energies.h"
#include "service/charges.h"
#include "service/edit.h"
#include "service/events.h"
#include "service/job_internal.h"
#include "service/keep.h"
#include "service/registering.h"
#include "service/request.h"
#include "service/service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REMEMBERED 256       /* ended jobs kept for job.describe */
#define RECORDED 16          /* of them with their energies */
#define OUTPUT_BYTES 65536u  /* of an output file's buffer, */
#define OUTPUT_PER_ATOM 128u /* and a frame's text or numbers in it */

/* ---- the loop thread's side ---- */

static void answer(struct gd_job *job)
{
    uv_sem_post(&job->answered);
}

static void lose(struct gd_job *job)
{
    pthread_mutex_lock(&job->mutex);
    job->lease_lost = 1;
    pthread_mutex_unlock(&job->mutex);
    atomic_store(&job->cancelled, 1);
}

static struct gd_job *job_of(struct gd_edit_owner *owner)
{
    struct gd_job *job = (struct gd_job *)((char *)owner - offsetof(struct gd_job, owner));
    GD_MAGIC_CHECK(job, GD_JOB_MAGIC);
    return job;
}

static void got_lease(struct gd_job *job)
{
    job->has_lease = 1;
    if (job->status == GD_JOB_PAUSED)
        job->status = GD_JOB_RUNNING;
    answer(job);
}

static void on_granted(struct gd_edit_owner *owner)
{
    got_lease(job_of(owner));
}

static void on_dropped(struct gd_edit_owner *owner, int code)
{
    (void)code; /* the State was deleted */
    struct gd_job *job = job_of(owner);
    lose(job);
    answer(job);
}

static void want_lease(struct gd_job *job)
{
    struct gd_state *state = job->state;
    struct gd_err err = {0};
    if (state->deleted) {
        lose(job);
        answer(job);
        return;
    }
    job->owner = (struct gd_edit_owner){on_granted, on_dropped};
    job->waiter = (struct gd_lease_waiter){.session = GD_LEASE_DAEMON, .managed = 1, .deadline = GD_LEASE_NEVER, .owner = &job->owner};
    int code = gd_lease_request(&state->lease, gd_state_header(state), &job->waiter, gd_now_ns(), &err);
    if (code == GD_LEASE_GRANTED)
        got_lease(job);
    else if (code < 0) {
        gd_log_error("job", "job %llu: %s", (unsigned long long)job->number, err.text);
        lose(job);
        answer(job);
    }
}

static void release(struct gd_job *job)
{
    if (job->has_lease)
        gd_edit_release(job->jobs->service, job->state, GD_LEASE_DAEMON);
    job->has_lease = 0;
}

static void published(struct gd_publish *publish)
{
    struct gd_job *job = (struct gd_job *)((char *)publish - offsetof(struct gd_job, publish));
    GD_MAGIC_CHECK(job, GD_JOB_MAGIC);
    enum gd_job_ask what = job->ask;
    job->ask = GD_ASK_NOTHING;
    job->publish.state = NULL;
    gd_job_kept_published(job->kept, job->progress.step, what == GD_ASK_PARK);
    if (what == GD_ASK_PUBLISH) {
        answer(job);
        return;
    }
    release(job);
    if (what == GD_ASK_PARK && atomic_load(&job->paused)) {
        job->parked = 1;
        job->status = GD_JOB_PAUSED;
        gd_job_say(job, GD_JOB_LINE_INFO, "paused after %lld steps", (long long)job->progress.step);
    } else {
        want_lease(job); /* behind those who wait already */
    }
}

static void schedule(struct gd_jobs *jobs);

static void answer_waits(struct gd_job *job)
{
    while (job->waits != NULL) {
        struct gd_request *request = job->waits;
        job->waits = request->next;
        gd_job_reply(job, request);
        gd_request_answer(request);
    }
}

static void tell(const struct gd_job *job, const char *happened)
{
    char text[GD_ERR_TEXT + 64];
    snprintf(text, sizeof text, "job %llu %s%s%s", (unsigned long long)job->number, happened, job->message[0] ? ": " : "", job->message);
    gd_events_tell(job->jobs->service, job->state, &(struct gd_state_event){"run", 0, text});
}

static void end(struct gd_job *job)
{
    uv_thread_join(&job->thread);
    job->thread_runs = 0;
    release(job);
    if (job->err.code != 0) {
        job->status = GD_JOB_FAILED;
        snprintf(job->message, sizeof job->message, "%s", job->err.text);
    } else {
        job->status = atomic_load(&job->cancelled) ? GD_JOB_CANCELLED : GD_JOB_DONE;
    }
    gd_log(job->status == GD_JOB_FAILED ? GD_LOG_WARN : GD_LOG_INFO, "job", "job %llu on %s: %s after %lld steps%s%s",
           (unsigned long long)job->number, job->name, gd_job_status_name(job->status), (long long)job->progress.step,
           job->message[0] ? ": " : "", job->message);
    gd_job_say_end(job);
    tell(job, gd_job_status_name(job->status));
    gd_job_spec_clear(&job->spec);
    if (!job->jobs->stopping || job->status != GD_JOB_CANCELLED)
        gd_job_kept_drop(&job->kept);
    struct gd_service *service = job->jobs->service;
    struct gd_state *state = job->state;
    job->state = NULL;
    state->num_handles--;
    gd_charge_job_end(service, state, &job->charge);
    if (!state->deleted)
        gd_charge_run_state(service, state, gd_keep_used(service->keep) ? 2 : 1);
    gd_keep_run(service->keep, state);
    /* Whoever had a nameless State before the daemon died is given time to come back (service.c, end_orphans). */
    if (state->num_handles == 0 && state->name[0] == '\0' && !job->adopted)
        gd_unregister_state(service, state, "its last handle was given back");
    gd_state_unref(&state);
    answer_waits(job);
}

static void attend(struct gd_job *job)
{
    pthread_mutex_lock(&job->mutex);
    enum gd_job_ask what = job->ask;
    pthread_mutex_unlock(&job->mutex);
    if (what == GD_ASK_NOTHING || job->parked || job->publish.state != NULL || job->waiter.lease != NULL)
        return;
    struct gd_state *state = job->state;
    switch (what) {
    case GD_ASK_LEASE:
        job->ask = GD_ASK_NOTHING;
        want_lease(job);
        break;
    case GD_ASK_END:
        job->ask = GD_ASK_NOTHING;
        uv_sem_post(&job->answered);
        end(job);
        schedule(job->jobs);
        break;
    default:
        if (state->deleted) {
            job->ask = GD_ASK_NOTHING;
            lose(job);
            answer(job);
        } else if (!state->publishing) {
            gd_edit_commit(job->jobs->service, state, what != GD_ASK_SHOW, &job->publish, published);
        }
    }
}

static void on_async(uv_async_t *async)
{
    struct gd_jobs *jobs = async->data;
    for (struct gd_job *job = jobs->first, *next; job != NULL; job = next) {
        next = job->next;
        if (job->thread_runs)
            attend(job);
    }
}

/* ---- starting ---- */

int gd_jobs_threads(const struct gd_jobs *jobs)
{
    int taken = 0;
    for (const struct gd_job *job = jobs->first; job != NULL; job = job->next)
        taken += job->thread_runs && !job->parked ? job->spec.threads : 0;
    return taken;
}

/* Oldest first: the list is newest first. */
static struct gd_job *oldest_queued(struct gd_jobs *jobs)
{
    struct gd_job *oldest = NULL;
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        if (job->status == GD_JOB_QUEUED)
            oldest = job;
    }
    return oldest;
}

/* Its thread never ran. */
static void end_unstarted(struct gd_job *job, enum gd_job_status status)
{
    struct gd_service *service = job->jobs->service;
    struct gd_state *state = job->state;
    job->status = status;
    gd_job_say_end(job);
    job->state = NULL;
    if (!job->jobs->stopping)
        gd_job_kept_drop(&job->kept);
    gd_charge_job_end(service, state, &job->charge);
    gd_job_spec_clear(&job->spec);
    state->num_handles--;
    if (state->num_handles == 0 && state->name[0] == '\0' && !state->deleted)
        gd_unregister_state(service, state, "its last handle was given back");
    gd_state_unref(&state);
    answer_waits(job);
}

static void schedule(struct gd_jobs *jobs)
{
    struct gd_job *job;
    while (!jobs->stopping && (job = oldest_queued(jobs)) != NULL) {
        int taken = gd_jobs_threads(jobs);
        if (taken > 0 && taken + job->spec.threads > jobs->service->threads)
            return;
        job->status = GD_JOB_RUNNING;
        job->thread_runs = 1;
        tell(job, "started");
        gd_job_kept_started(job->kept);
        if (uv_thread_create(&job->thread, gd_job_thread, job) != 0) {
            job->thread_runs = 0;
            snprintf(job->message, sizeof job->message, "no thread could be started");
            end_unstarted(job, GD_JOB_FAILED);
        }
    }
}

static void free_job(struct gd_job *job)
{
    gd_job_spec_clear(&job->spec);
    gd_job_kept_free(&job->kept);
    uv_sem_destroy(&job->answered);
    pthread_mutex_destroy(&job->mutex);
    free(job->energies);
    gd_job_record_clear(&job->record);
    gd_job_log_clear(&job->log);
    job->magic = 0;
    free(job);
}

static void forget_old(struct gd_jobs *jobs)
{
    size_t count = 0;
    for (struct gd_job **at = &jobs->first; *at != NULL;) {
        struct gd_job *job = *at;
        if (job->status >= GD_JOB_DONE && job->waits == NULL)
            count++;
        if (job->status >= GD_JOB_DONE && count > RECORDED)
            gd_job_record_clear(&job->record);
        if (job->status >= GD_JOB_DONE && job->waits == NULL && count > REMEMBERED) {
            *at = job->next;
            free_job(job);
        } else {
            at = &job->next;
        }
    }
}

int gd_jobs_has(struct gd_jobs *jobs, const struct gd_state *state)
{
    for (const struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        if (job->state == state)
            return 1;
    }
    return 0;
}

static struct gd_job *new_job(struct gd_jobs *jobs, size_t num_energies, struct gd_err *err)
{
    struct gd_job *job = calloc(1, sizeof *job);
    double *energies = calloc(num_energies + 1, sizeof *energies);
    if (job == NULL || energies == NULL) {
        free(job);
        free(energies);
        gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a job");
        return NULL;
    }
    job->magic = GD_JOB_MAGIC;
    job->jobs = jobs;
    job->energies = energies;
    job->num_energies = num_energies;
    gd_job_record_init(&job->record, num_energies);
    uv_sem_init(&job->answered, 0);
    pthread_mutex_init(&job->mutex, NULL);
    return job;
}

/* The job is for this State, its spec is consumed; it is the newest one. */
static void enter_job(struct gd_job *job, struct gd_state *state, struct gd_job_spec *spec, uint64_t number)
{
    struct gd_jobs *jobs = job->jobs;
    job->number = number;
    job->spec = *spec;
    job->spec.order = NULL;
    memset(spec, 0, sizeof *spec);
    job->progress.timestep = job->spec.parameters->step.dt;
    if (job->spec.threads > jobs->service->threads)
        job->spec.threads = jobs->service->threads;
    job->state = state;
    gd_state_ref(state);
    state->num_handles++; /* a job keeps its State as a session does */
    memcpy(job->uuid, state->uuid, sizeof job->uuid);
    snprintf(job->name, sizeof job->name, "%s", state->name);
    job->next = jobs->first;
    jobs->first = job;
}

static size_t count_energies(const struct gd_state *state)
{
    return gd_energies_count(state->spec.num_temperature_groups, state->spec.num_energy_groups);
}

/* What the job will take, reckoned before there is any of it: the engine, what it is made from, what its end leaves for the next run,
 * energies of published steps, output of a step, and what is kept for a daemon that takes over. */
static size_t count_bytes(const struct gd_jobs *jobs, const struct gd_state *state, const struct gd_job_spec *spec,
                          const struct gd_job_order *order)
{
    int threads = spec->threads < jobs->service->threads ? spec->threads : jobs->service->threads;
    struct gd_md_memory md = gd_md_memory(spec->topology, spec->parameters, spec->start, threads);
    size_t atoms = state->spec.num_atoms;
    size_t bytes = md.engine + md.state + gd_topology_bytes(spec->topology) + gd_configuration_packed_bytes(spec->start);
    bytes += gd_job_record_bytes(count_energies(state), (uint64_t)(spec->steps / spec->publish_every) + 2);
    for (int k = 0; k < GD_MD_FILES; k++)
        bytes += spec->path[k] != NULL ? OUTPUT_BYTES + OUTPUT_PER_ATOM * atoms : 0;
    return bytes + gd_job_kept_bytes(jobs->service->keep, spec, order, md.state);
}

int gd_jobs_start(struct gd_jobs *jobs, struct gd_state *state, struct gd_session *session, struct gd_job_spec *spec, uint64_t *number,
                  struct gd_err *err)
{
    struct gd_job *job = NULL;
    int code = 0;
    if (jobs->stopping)
        code = gd_err_set(err, GD_E_SHUTTING_DOWN, "the daemon is stopping and takes no new jobs");
    else if (gd_jobs_has(jobs, state))
        code = gd_err_set(err, GD_E_CONFLICT, "the State has a job already; wait for it or cancel it");
    else if ((job = new_job(jobs, count_energies(state), err)) == NULL)
        code = GD_E_OUT_OF_MEMORY;
    else if ((code = gd_charge_job(jobs->service, state, session, count_bytes(jobs, state, spec, spec->order), &job->charge, err)) != 0)
        free_job(job);
    if (code != 0) {
        gd_job_spec_clear(spec);
        return code;
    }
    *number = ++jobs->next_number;
    gd_keep_counters(jobs->service->keep);
    gd_job_kept_create(&job->kept, jobs->service->keep, state->uuid, *number, spec, spec->order);
    enter_job(job, state, spec, *number);
    gd_log_info("job", "job %llu on %s: %lld steps, %d threads", (unsigned long long)job->number, job->name, (long long)job->spec.steps,
                job->spec.threads);
    gd_job_say(job, GD_JOB_LINE_INFO, "job %llu on %s", (unsigned long long)job->number, job->name[0] ? job->name : "a State without name");
    forget_old(jobs);
    schedule(jobs);
    return 0;
}

/* ---- after the daemon died ---- */

/* Nothing runs any more; that is told to whoever asks. */
static void remember(struct gd_jobs *jobs, const struct gd_state *state, struct gd_job_kept **kept, enum gd_job_status status,
                     const char *why)
{
    struct gd_err err = {0};
    struct gd_job *job = new_job(jobs, state != NULL ? count_energies(state) : 0, &err);
    if (job != NULL) {
        job->number = gd_job_kept_number(*kept);
        gd_job_kept_facts(*kept, &job->spec.steps, &job->progress.step, &job->spec.threads);
        memcpy(job->uuid, gd_job_kept_uuid(*kept), sizeof job->uuid);
        if (state != NULL)
            memcpy(job->name, state->name, sizeof job->name);
        job->status = status;
        snprintf(job->message, sizeof job->message, "%s", why);
        gd_job_kept_lines(*kept, &job->log);
        gd_job_say_end(job);
        job->next = jobs->first;
        jobs->first = job;
        gd_log_warn("job", "job %llu on %s: %s after %lld steps: %s", (unsigned long long)job->number, job->name,
                    gd_job_status_name(status), (long long)job->progress.step, why);
    }
    gd_job_kept_drop(kept);
}

static int take_up(struct gd_jobs *jobs, struct gd_state *state, struct gd_job_kept **kept, struct gd_err *err)
{
    struct gd_job_order order;
    struct gd_job_spec spec = {0};
    struct gd_job *job = NULL;
    int code = gd_job_kept_order(*kept, &order, &spec.start, err);
    if (code == 0)
        code = gd_job_spec_read(&spec, &order, NULL, state->spec.num_atoms, NULL, err);
    if (code == 0 && (job = new_job(jobs, count_energies(state), err)) == NULL)
        code = GD_E_OUT_OF_MEMORY;
    else if (code == 0 &&
             (code = gd_charge_job_adopted(jobs->service, state, count_bytes(jobs, state, &spec, &order), &job->charge, err)) != 0)
        free_job(job);
    if (code != 0) {
        gd_job_spec_clear(&spec);
        return code;
    }
    job->kept = *kept;
    *kept = NULL;
    job->adopted = 1;
    gd_job_kept_lines(job->kept, &job->log);
    atomic_store(&job->paused, gd_job_kept_is_paused(job->kept));
    gd_job_kept_facts(job->kept, &(int64_t){0}, &job->progress.step, &(int){0});
    enter_job(job, state, &spec, gd_job_kept_number(job->kept));
    gd_log_info("job", "job %llu on %s: the daemon died while it ran; it goes on", (unsigned long long)job->number, job->name);
    gd_job_say(job, GD_JOB_LINE_WARNING, "the daemon died; this job goes on under another");
    return 0;
}

void gd_jobs_adopt(struct gd_jobs *jobs, struct gd_state *state, struct gd_job_kept *kept)
{
    struct gd_err err = {0};
    if (gd_job_kept_number(kept) > jobs->next_number)
        jobs->next_number = gd_job_kept_number(kept);
    if (gd_job_kept_is_cancelled(kept))
        remember(jobs, state, &kept, GD_JOB_CANCELLED, "cancelled just before the daemon died");
    else if (state == NULL)
        remember(jobs, NULL, &kept, GD_JOB_FAILED, "the daemon died, and its State did not survive");
    else if (!gd_job_kept_resumes(kept))
        remember(jobs, state, &kept, GD_JOB_FAILED,
                 "the daemon died while it ran; the State is at its newest frame (a run with resume=True would go on)");
    else if (gd_job_kept_keeps_dying(kept))
        remember(jobs, state, &kept, GD_JOB_FAILED, "the daemon died twice in a row while this job ran; it is not started again by itself");
    else if (take_up(jobs, state, &kept, &err) != 0)
        remember(jobs, state, &kept, GD_JOB_FAILED, err.text);
    schedule(jobs);
}

uint64_t gd_jobs_last_number(const struct gd_jobs *jobs)
{
    return jobs->next_number;
}

void gd_jobs_count_from(struct gd_jobs *jobs, uint64_t number)
{
    if (number > jobs->next_number)
        jobs->next_number = number;
}

/* ---- control ---- */

struct gd_job *gd_jobs_find(struct gd_jobs *jobs, uint64_t number, struct gd_err *err)
{
    struct gd_job *job = jobs->first;
    while (job != NULL && job->number != number)
        job = job->next;
    if (job == NULL && number > 0 && number <= gd_jobs_last_number(jobs))
        gd_err_set(err, GD_E_NOT_FOUND, "job %llu has ended and is not remembered: the daemon died since, or many others have ended",
                   (unsigned long long)number);
    else if (job == NULL)
        gd_err_set(err, GD_E_NOT_FOUND, "there is no job %llu; job.list names those the daemon remembers", (unsigned long long)number);
    return job;
}

size_t gd_jobs_active(const struct gd_jobs *jobs)
{
    size_t count = 0;
    for (const struct gd_job *job = jobs->first; job != NULL; job = job->next)
        count += job->status < GD_JOB_DONE;
    return count;
}

int gd_job_pause(struct gd_job *job, struct gd_err *err)
{
    if (job->status >= GD_JOB_DONE)
        return gd_err_set(err, GD_E_CONFLICT, "job %llu has ended (%s)", (unsigned long long)job->number, gd_job_status_name(job->status));
    atomic_store(&job->paused, 1);
    gd_job_kept_paused(job->kept, 1);
    return 0;
}

static void unpark(struct gd_job *job)
{
    atomic_store(&job->paused, 0);
    gd_job_kept_paused(job->kept, 0);
    if (!job->parked)
        return;
    job->parked = 0;
    if (!atomic_load(&job->cancelled))
        gd_job_say(job, GD_JOB_LINE_INFO, "resumed");
    want_lease(job);
}

int gd_job_resume(struct gd_job *job, struct gd_err *err)
{
    if (job->status >= GD_JOB_DONE)
        return gd_err_set(err, GD_E_CONFLICT, "job %llu has ended (%s)", (unsigned long long)job->number, gd_job_status_name(job->status));
    unpark(job);
    return 0;
}

void gd_job_cancel(struct gd_job *job)
{
    atomic_store(&job->cancelled, 1);
    if (!job->jobs->stopping)
        gd_job_kept_cancelled(job->kept);
    if (job->status == GD_JOB_QUEUED) {
        end_unstarted(job, GD_JOB_CANCELLED);
        return;
    }
    if (job->status < GD_JOB_DONE)
        unpark(job);
}

int gd_job_change(struct gd_job *job, const struct gd_job_change *change, struct gd_err *err)
{
    if (job->status >= GD_JOB_DONE)
        return gd_err_set(err, GD_E_CONFLICT, "job %llu has ended (%s)", (unsigned long long)job->number, gd_job_status_name(job->status));
    int64_t baths = job->spec.parameters->multibath.num_baths;
    int bath = !isnan(change->temperature) || !isnan(change->tau);
    if (bath && baths == 0)
        return gd_err_set(err, GD_E_CONFLICT, "the run has no temperature bath (MULTIBATH) that could be changed");
    if (bath && (int64_t)change->bath >= baths)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'bath' is %zu; the run has %lld, counted from 0", change->bath, (long long)baths);
    if (!isnan(change->tau) && change->tau != -1.0 && !(change->tau > 0.0))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'tau' is %g; it must be above 0 ps, or -1 for a bath that is not coupled",
                          change->tau);
    if (!isnan(change->pressure) && job->spec.parameters->pressure.couple != GD_PRESSURE_SCALE)
        return gd_err_set(err, GD_E_CONFLICT, "the run does not couple its pressure (PRESSURESCALE)");
    pthread_mutex_lock(&job->mutex);
    int full = job->num_changes == GD_JOB_CHANGES;
    if (!full)
        job->changes[job->num_changes++] = *change;
    pthread_mutex_unlock(&job->mutex);
    return full ? gd_err_set(err, GD_E_CONFLICT, "%d changes wait for job %llu to go on already", GD_JOB_CHANGES,
                             (unsigned long long)job->number)
                : 0;
}

void gd_jobs_nudge(struct gd_jobs *jobs, struct gd_state *state, enum gd_nudge why)
{
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        if (job->state == state && job->thread_runs)
            atomic_fetch_or(&job->nudged, (int)why);
    }
}

void gd_jobs_state_gone(struct gd_jobs *jobs, struct gd_state *state)
{
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        if (job->state == state)
            gd_job_cancel(job);
    }
}

/* ---- waiting ---- */

void gd_job_wait(struct gd_job *job, struct gd_request *request)
{
    if (job->status >= GD_JOB_DONE) {
        gd_job_reply(job, request);
        return;
    }
    request->deferred = 1;
    request->next = job->waits;
    job->waits = request;
}

static void sweep_waits(struct gd_job *job, int (*over)(const struct gd_request *request, const void *what), const void *what)
{
    for (struct gd_request **at = &job->waits; *at != NULL;) {
        struct gd_request *request = *at;
        if (!over(request, what)) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        gd_job_reply(job, request);
        gd_request_answer(request);
    }
}

static int time_over(const struct gd_request *request, const void *now_ns)
{
    return request->deadline_ns <= *(const uint64_t *)now_ns;
}

static int of_session(const struct gd_request *request, const void *session)
{
    return session == NULL || request->session == session;
}

void gd_jobs_tick(struct gd_jobs *jobs, uint64_t now_ns)
{
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        sweep_waits(job, time_over, &now_ns);
        if (job->thread_runs)
            attend(job); /* what could not be served while somebody else published */
    }
}

void gd_jobs_forget_session(struct gd_jobs *jobs, const struct gd_session *session)
{
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next)
        sweep_waits(job, of_session, session);
}

/* ---- life ---- */

int gd_jobs_create(struct gd_jobs **out, struct gd_service *service, struct gd_err *err)
{
    struct gd_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for jobs");
    jobs->service = service;
    GD_CHECK(uv_async_init(service->loop, &jobs->async, on_async) == 0);
    jobs->async.data = jobs;
    *out = jobs;
    return 0;
}

void gd_jobs_stop(struct gd_jobs *jobs)
{
    if (jobs == NULL)
        return;
    jobs->stopping = 1;
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        if (job->status < GD_JOB_DONE)
            gd_job_cancel(job);
    }
    gd_jobs_forget_session(jobs, NULL);
}

void gd_jobs_close(struct gd_jobs *jobs)
{
    if (jobs != NULL)
        uv_close((uv_handle_t *)&jobs->async, NULL);
}

void gd_jobs_free(struct gd_jobs **pointer)
{
    struct gd_jobs *jobs = *pointer;
    *pointer = NULL;
    if (jobs == NULL)
        return;
    while (jobs->first != NULL) {
        struct gd_job *job = jobs->first;
        GD_CHECK(!job->thread_runs);
        jobs->first = job->next;
        free_job(job);
    }
    free(jobs);
}
