#include "service/jobs.h"

#include "core/check.h"
#include "core/log.h"
#include "core/state.h"
#include "core/uuid.h"
#include "kernels/compute.h"
#include "proto/gd_energies.h"
#include "service/edit.h"
#include "service/registering.h"
#include "service/request.h"
#include "service/service.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define JOB_MAGIC 0x10bu
#define REMEMBERED 256 /* ended jobs kept for job.describe */
#define RATE_NS 2000000000ull

enum status { QUEUED, RUNNING, PAUSED, DONE, FAILED, CANCELLED };
static const char *const status_names[] = {"queued", "running", "paused", "done", "failed", "cancelled"};

/* What the job's thread asks of the loop thread. */
enum ask { ASK_NOTHING, ASK_LEASE, ASK_PUBLISH, ASK_YIELD, ASK_PARK, ASK_END };

/* How fast, how far: written by the job, read by anybody. */
struct progress {
    int64_t step;
    double time, elapsed, steps_per_second, timestep;
    double phase[GD_MD_PHASES];
};

struct gd_job {
    uint32_t magic;
    struct gd_jobs *jobs;
    struct gd_job *next; /* all jobs, newest first */
    uint64_t number;

    /* loop thread */
    enum status status;
    struct gd_state *state; /* holds a reference until it has ended */
    uint8_t uuid[16];
    char name[GD_DOOR_NAME];
    struct gd_edit_owner owner;
    struct gd_lease_waiter waiter;
    int has_lease, parked;
    struct gd_publish publish;
    struct gd_request *waits;
    uv_thread_t thread;
    int thread_runs;

    /* job thread */
    struct gd_job_spec spec;
    struct gd_md_run *run;
    uint64_t seen_version; /* of the live arrays, as the engine knows them */
    int64_t first_step, step_base; /* the engine's number at the start; what the State's step is ahead of it */
    struct gd_err err;

    /* both */
    _Atomic int nudged, paused, cancelled;
    uv_sem_t answered;
    pthread_mutex_t mutex; /* of what follows */
    enum ask ask;
    int lease_lost; /* the State is gone */
    struct progress progress;
    int has_change;
    struct gd_job_change change;
    char message[GD_ERR_TEXT];
    double *energies;
    size_t num_energies;
};

struct gd_jobs {
    struct gd_service *service;
    struct gd_job *first;
    uint64_t next_number;
    uv_async_t async;
    int stopping;
};

/* ---- the job's thread ---- */

/* Asks the loop thread and sleeps until it has answered. Returns 0, or -1 when the State is gone. */
static int ask(struct gd_job *job, enum ask what)
{
    pthread_mutex_lock(&job->mutex);
    job->ask = what;
    pthread_mutex_unlock(&job->mutex);
    uv_async_send(&job->jobs->async);
    uv_sem_wait(&job->answered);
    pthread_mutex_lock(&job->mutex);
    int lost = job->lease_lost;
    pthread_mutex_unlock(&job->mutex);
    return lost ? -1 : 0;
}

/* The live arrays become what the engine has. Under the lease. */
static void refresh_live(struct gd_job *job)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    struct gd_state *state = job->state;
    const struct gd_kernels *kernels = &job->jobs->service->kernels;
    size_t count = 3 * gd_md_num_atoms(md);
    struct gd_live_header *live = gd_state_header(state);
    atomic_store(&live->dirty_mask, GD_DIRTY_SMALL | GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES) | GD_ARRAY_BIT(GD_FORCES) |
                                        GD_ARRAY_BIT(GD_ENERGIES));
    gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_POSITIONS), GD_FLOAT64, gd_md_positions(md), count);
    gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_VELOCITIES), GD_FLOAT64, gd_md_velocities(md), count);
    gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_FORCES), GD_FLOAT64, gd_md_forces(md), count);
    gd_md_energy_vector(md, gd_state_array(state, GD_ENERGIES));
    live->small.step = job->step_base + gd_md_step_number(md);
    live->small.time = gd_md_time(md);
    live->small.box = *gd_md_box(md);
    pthread_mutex_lock(&job->mutex);
    memcpy(job->energies, gd_state_array(state, GD_ENERGIES), job->num_energies * sizeof(double));
    pthread_mutex_unlock(&job->mutex);
}

/* What somebody else committed while we did not hold the lease goes into the engine. */
static int take_edit(struct gd_job *job)
{
    struct gd_state *state = job->state;
    uint64_t version = gd_state_version(state);
    if (version == job->seen_version)
        return 0;
    size_t n = state->spec.num_atoms;
    double(*x)[3] = malloc(n * sizeof *x), (*v)[3] = malloc(n * sizeof *v);
    int code = x == NULL || v == NULL ? gd_err_set(&job->err, GD_E_OUT_OF_MEMORY, "no memory to take in an edit") : 0;
    if (code == 0) {
        const struct gd_kernels *kernels = &job->jobs->service->kernels;
        struct gd_small small;
        gd_state_small(state, &small);
        gd_compute_convert(kernels, GD_FLOAT64, x, state->spec.dtype, gd_state_array(state, GD_POSITIONS), 3 * n);
        gd_compute_convert(kernels, GD_FLOAT64, v, state->spec.dtype, gd_state_array(state, GD_VELOCITIES), 3 * n);
        code = gd_md_set_state(gd_md_run_engine(job->run), (const double(*)[3])x, (const double(*)[3])v, &small.box, &job->err);
        if (code != 0)
            gd_err_context(&job->err, "an edit of the running State cannot be taken over");
    }
    free(x);
    free(v);
    job->seen_version = version;
    return code;
}

static void take_change(struct gd_job *job)
{
    pthread_mutex_lock(&job->mutex);
    int has = job->has_change;
    struct gd_job_change change = job->change;
    job->has_change = 0;
    pthread_mutex_unlock(&job->mutex);
    if (!has)
        return;
    struct gd_md *md = gd_md_run_engine(job->run);
    struct gd_err err = {0};
    int code = 0;
    if (!isnan(change.temperature) || !isnan(change.tau)) {
        const struct gd_md_bath *bath = gd_md_bath(md, change.bath);
        code = gd_md_set_bath(md, change.bath, isnan(change.temperature) ? bath->reference : change.temperature,
                              isnan(change.tau) ? bath->tau : change.tau, &err);
    }
    if (code == 0 && !isnan(change.pressure)) {
        const double reference[3][3] = {{change.pressure, 0, 0}, {0, change.pressure, 0}, {0, 0, change.pressure}};
        code = gd_md_set_pressure(md, reference, gd_md_parameters(md)->pressure.tau, &err);
    }
    if (change.publish_every > 0)
        job->spec.publish_every = change.publish_every;
    gd_md_run_rates(job->run, change.positions_every, change.energies_every);
    if (code != 0)
        gd_log_warn("job", "job %llu: a change was refused: %s", (unsigned long long)job->number, err.text);
}

/* For progress: steps per second over the last two seconds. */
struct meter {
    uint64_t since_ns, steps;
    double per_second, busy;
};

static void measure(struct gd_job *job, struct meter *meter, uint64_t step_ns)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    uint64_t now = gd_now_ns();
    meter->steps++;
    meter->busy += (double)step_ns * 1e-9;
    if (now - meter->since_ns > RATE_NS || meter->per_second == 0.0) {
        meter->per_second = (double)meter->steps / ((double)(now - meter->since_ns) * 1e-9 + 1e-9);
        meter->since_ns = now;
        meter->steps = 0;
    }
    pthread_mutex_lock(&job->mutex);
    job->progress.step = gd_md_step_number(md) - job->first_step;
    job->progress.time = gd_md_time(md);
    job->progress.elapsed = meter->busy;
    job->progress.steps_per_second = meter->per_second;
    for (int k = 0; k < GD_MD_PHASES; k++)
        job->progress.phase[k] = gd_md_phase_seconds(md, (enum gd_md_phase)k);
    pthread_mutex_unlock(&job->mutex);
}

/* Everything between two steps. Returns 0 to go on, 1 to end. */
static int boundary(struct gd_job *job, int64_t done)
{
    if (atomic_load(&job->cancelled))
        return 1;
    take_change(job);
    int publish = done > 0 && done % job->spec.publish_every == 0;
    int yield = atomic_exchange(&job->nudged, 0);
    int park = atomic_load(&job->paused);
    if (!publish && !yield && !park)
        return 0;
    refresh_live(job);
    job->seen_version = gd_state_version(job->state) + 1; /* of the commit that is asked for */
    if (ask(job, park ? ASK_PARK : yield ? ASK_YIELD : ASK_PUBLISH) != 0)
        return 1;
    return take_edit(job) != 0 || atomic_load(&job->cancelled);
}

static int load_last_end(struct gd_job *job)
{
    struct gd_state *state = job->state;
    const struct gd_run_state *last = &state->run_state;
    if (!job->spec.continue_run || last->bytes == 0 || last->version != gd_state_version(state))
        return 0;
    struct gd_md *md = gd_md_run_engine(job->run);
    if (last->bytes != gd_md_state_size(md) || last->fingerprint != gd_md_run_fingerprint(job->run))
        return 0;
    return gd_md_load_state(md, last->data, last->bytes, &job->err);
}

/* For the next job on this State, which goes on bit for bit if nothing changes in between. */
static void keep_end(struct gd_job *job)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    struct gd_run_state *last = &job->state->run_state;
    size_t bytes = gd_md_state_size(md);
    void *data = realloc(last->data, bytes);
    if (data == NULL)
        return;
    gd_md_save_state(md, data);
    last->data = data;
    last->bytes = bytes;
    last->version = job->seen_version;
    last->fingerprint = gd_md_run_fingerprint(job->run);
}

static int run_steps(struct gd_job *job)
{
    struct meter meter = {.since_ns = gd_now_ns()};
    struct gd_md *md = gd_md_run_engine(job->run);
    for (int64_t done = 0; done < job->spec.steps && !gd_md_converged(md); done++) {
        if (boundary(job, done))
            return job->err.code;
        uint64_t begin = gd_now_ns();
        int code = gd_md_run_step(job->run, &job->err);
        if (code != 0)
            return code;
        measure(job, &meter, gd_now_ns() - begin);
    }
    return 0;
}

static int work(struct gd_job *job)
{
    const char *path[GD_MD_FILES];
    for (int k = 0; k < GD_MD_FILES; k++)
        path[k] = job->spec.path[k];
    int code = gd_md_run_create(&job->run, job->spec.topology, job->spec.parameters, job->spec.start, job->spec.restraints,
                                job->spec.threads, path, -1, &job->err);
    if (code == 0)
        code = load_last_end(job);
    if (code != 0)
        return code;
    job->first_step = gd_md_step_number(gd_md_run_engine(job->run));
    job->step_base = job->spec.start->step - job->first_step;
    if (job->spec.steps == 0)
        code = gd_md_single_point(gd_md_run_engine(job->run), &job->err);
    else
        code = run_steps(job);
    /* Also after a failure: the last good step is what stays. */
    int lost = 0;
    if (!job->lease_lost) {
        refresh_live(job);
        job->seen_version = gd_state_version(job->state) + 1;
        keep_end(job);
        lost = ask(job, ASK_PUBLISH);
    }
    struct gd_err *err = code == 0 ? &job->err : NULL;
    int finished = job->spec.steps > 0 ? gd_md_run_finish(job->run, err) : 0;
    (void)lost;
    return code != 0 ? code : finished;
}

static void job_thread(void *argument)
{
    struct gd_job *job = argument;
    GD_MAGIC_CHECK(job, JOB_MAGIC);
    if (ask(job, ASK_LEASE) == 0) {
        job->seen_version = gd_state_version(job->state);
        job->err.code = work(job);
    }
    gd_md_run_destroy(&job->run);
    ask(job, ASK_END);
}

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
    GD_MAGIC_CHECK(job, JOB_MAGIC);
    return job;
}

static void got_lease(struct gd_job *job)
{
    job->has_lease = 1;
    if (job->status == PAUSED)
        job->status = RUNNING;
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
    GD_MAGIC_CHECK(job, JOB_MAGIC);
    enum ask what = job->ask;
    job->ask = ASK_NOTHING;
    job->publish.state = NULL;
    if (what == ASK_PUBLISH) {
        answer(job);
        return;
    }
    release(job);
    if (what == ASK_PARK && atomic_load(&job->paused)) {
        job->parked = 1;
        job->status = PAUSED;
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

static void end(struct gd_job *job)
{
    uv_thread_join(&job->thread);
    job->thread_runs = 0;
    release(job);
    if (job->err.code != 0) {
        job->status = FAILED;
        snprintf(job->message, sizeof job->message, "%s", job->err.text);
    } else {
        job->status = atomic_load(&job->cancelled) ? CANCELLED : DONE;
    }
    gd_log(job->status == FAILED ? GD_LOG_WARN : GD_LOG_INFO, "job", "job %llu on %s: %s after %lld steps%s%s",
           (unsigned long long)job->number, job->name, status_names[job->status], (long long)job->progress.step,
           job->message[0] ? ": " : "", job->message);
    gd_job_spec_clear(&job->spec);
    struct gd_service *service = job->jobs->service;
    struct gd_state *state = job->state;
    job->state = NULL;
    state->num_handles--;
    if (state->num_handles == 0 && state->name[0] == '\0')
        gd_unregister_state(service, state, "its last handle was given back");
    gd_state_unref(&state);
    answer_waits(job);
}

static void attend(struct gd_job *job)
{
    pthread_mutex_lock(&job->mutex);
    enum ask what = job->ask;
    pthread_mutex_unlock(&job->mutex);
    if (what == ASK_NOTHING || job->parked || job->publish.state != NULL || job->waiter.lease != NULL)
        return;
    struct gd_state *state = job->state;
    switch (what) {
    case ASK_LEASE:
        job->ask = ASK_NOTHING;
        want_lease(job);
        break;
    case ASK_END:
        job->ask = ASK_NOTHING;
        uv_sem_post(&job->answered);
        end(job);
        schedule(job->jobs);
        break;
    default:
        if (state->deleted) {
            job->ask = ASK_NOTHING;
            lose(job);
            answer(job);
        } else if (!state->publishing) {
            gd_edit_commit(job->jobs->service, state, 1, &job->publish, published);
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

static int threads_taken(const struct gd_jobs *jobs)
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
        if (job->status == QUEUED)
            oldest = job;
    }
    return oldest;
}

static void schedule(struct gd_jobs *jobs)
{
    struct gd_job *job;
    while (!jobs->stopping && (job = oldest_queued(jobs)) != NULL) {
        int taken = threads_taken(jobs);
        if (taken > 0 && taken + job->spec.threads > jobs->service->threads)
            return;
        job->status = RUNNING;
        job->thread_runs = 1;
        if (uv_thread_create(&job->thread, job_thread, job) != 0) {
            job->thread_runs = 0;
            job->status = FAILED;
            snprintf(job->message, sizeof job->message, "no thread could be started");
            answer_waits(job);
        }
    }
}

void gd_job_spec_clear(struct gd_job_spec *spec)
{
    gd_topology_destroy(&spec->topology);
    gd_restraints_destroy(&spec->restraints);
    gd_configuration_destroy(&spec->start);
    free(spec->parameters);
    spec->parameters = NULL;
    for (int k = 0; k < GD_MD_FILES; k++) {
        free(spec->path[k]);
        spec->path[k] = NULL;
    }
}

static void free_job(struct gd_job *job)
{
    gd_job_spec_clear(&job->spec);
    uv_sem_destroy(&job->answered);
    pthread_mutex_destroy(&job->mutex);
    free(job->energies);
    job->magic = 0;
    free(job);
}

static void forget_old(struct gd_jobs *jobs)
{
    size_t count = 0;
    for (struct gd_job **at = &jobs->first; *at != NULL;) {
        struct gd_job *job = *at;
        if (job->status >= DONE && job->waits == NULL && ++count > REMEMBERED) {
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

int gd_jobs_start(struct gd_jobs *jobs, struct gd_state *state, struct gd_job_spec *spec, uint64_t *number, struct gd_err *err)
{
    struct gd_job *job = NULL;
    int code = 0;
    if (jobs->stopping)
        code = gd_err_set(err, GD_E_SHUTTING_DOWN, "the daemon is stopping and takes no new jobs");
    else if (gd_jobs_has(jobs, state))
        code = gd_err_set(err, GD_E_CONFLICT, "the State has a job already; wait for it or cancel it");
    else if ((job = calloc(1, sizeof *job)) == NULL)
        code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a job");
    if (code == 0) {
        job->num_energies = gd_energies_count(state->spec.num_temperature_groups, state->spec.num_energy_groups);
        job->energies = calloc(job->num_energies, sizeof *job->energies);
        if (job->energies == NULL)
            code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a job");
    }
    if (code != 0) {
        free(job);
        gd_job_spec_clear(spec);
        return code;
    }
    job->magic = JOB_MAGIC;
    job->jobs = jobs;
    job->number = ++jobs->next_number;
    job->spec = *spec;
    job->progress.timestep = spec->parameters->step.dt;
    memset(spec, 0, sizeof *spec);
    if (job->spec.threads > jobs->service->threads)
        job->spec.threads = jobs->service->threads;
    uv_sem_init(&job->answered, 0);
    pthread_mutex_init(&job->mutex, NULL);
    job->state = state;
    gd_state_ref(state);
    state->num_handles++; /* a job keeps its State as a session does */
    memcpy(job->uuid, state->uuid, sizeof job->uuid);
    snprintf(job->name, sizeof job->name, "%s", state->name);
    job->next = jobs->first;
    jobs->first = job;
    *number = job->number;
    gd_log_info("job", "job %llu on %s: %lld steps, %d threads", (unsigned long long)job->number, job->name, (long long)job->spec.steps,
                job->spec.threads);
    forget_old(jobs);
    schedule(jobs);
    return 0;
}

/* ---- control ---- */

struct gd_job *gd_jobs_find(struct gd_jobs *jobs, uint64_t number, struct gd_err *err)
{
    struct gd_job *job = jobs->first;
    while (job != NULL && job->number != number)
        job = job->next;
    if (job == NULL)
        gd_err_set(err, GD_E_NOT_FOUND, "there is no job %llu; job.list names those the daemon remembers", (unsigned long long)number);
    return job;
}

size_t gd_jobs_active(const struct gd_jobs *jobs)
{
    size_t count = 0;
    for (const struct gd_job *job = jobs->first; job != NULL; job = job->next)
        count += job->status < DONE;
    return count;
}

int gd_job_pause(struct gd_job *job, struct gd_err *err)
{
    if (job->status >= DONE)
        return gd_err_set(err, GD_E_CONFLICT, "job %llu has ended (%s)", (unsigned long long)job->number, status_names[job->status]);
    atomic_store(&job->paused, 1);
    return 0;
}

static void unpark(struct gd_job *job)
{
    atomic_store(&job->paused, 0);
    if (!job->parked)
        return;
    job->parked = 0;
    want_lease(job);
}

int gd_job_resume(struct gd_job *job, struct gd_err *err)
{
    if (job->status >= DONE)
        return gd_err_set(err, GD_E_CONFLICT, "job %llu has ended (%s)", (unsigned long long)job->number, status_names[job->status]);
    unpark(job);
    return 0;
}

void gd_job_cancel(struct gd_job *job)
{
    atomic_store(&job->cancelled, 1);
    if (job->status == QUEUED) {
        job->status = CANCELLED;
        struct gd_state *state = job->state;
        job->state = NULL;
        state->num_handles--;
        if (state->num_handles == 0 && state->name[0] == '\0' && !state->deleted)
            gd_unregister_state(job->jobs->service, state, "its last handle was given back");
        gd_state_unref(&state);
        answer_waits(job);
        return;
    }
    if (job->status < DONE)
        unpark(job);
}

int gd_job_change(struct gd_job *job, const struct gd_job_change *change, struct gd_err *err)
{
    if (job->status >= DONE)
        return gd_err_set(err, GD_E_CONFLICT, "job %llu has ended (%s)", (unsigned long long)job->number, status_names[job->status]);
    int64_t baths = job->spec.parameters->multibath.num_baths;
    if ((!isnan(change->temperature) || !isnan(change->tau)) && (int64_t)change->bath >= (baths > 0 ? baths : 1))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'bath' is %zu; the run has %lld", change->bath, (long long)baths);
    if (!isnan(change->pressure) && job->spec.parameters->pressure.couple != GD_PRESSURE_SCALE)
        return gd_err_set(err, GD_E_CONFLICT, "the run does not couple its pressure (PRESSURESCALE)");
    pthread_mutex_lock(&job->mutex);
    job->change = *change;
    job->has_change = 1;
    pthread_mutex_unlock(&job->mutex);
    return 0;
}

void gd_jobs_nudge(struct gd_jobs *jobs, struct gd_state *state)
{
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next) {
        if (job->state == state && job->thread_runs)
            atomic_store(&job->nudged, 1);
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
    if (job->status >= DONE) {
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

/* ---- telling ---- */

static double left(const struct gd_job *job, const struct progress *progress)
{
    if (job->status >= DONE)
        return 0.0;
    if (progress->steps_per_second <= 0.0)
        return -1.0;
    return (double)(job->spec.steps - progress->step) / progress->steps_per_second;
}

#define JOB_FIELDS 14

static void pack_fields(struct gd_job *job, msgpack_packer *p)
{
    pthread_mutex_lock(&job->mutex);
    struct progress progress = job->progress;
    double *energies = malloc(job->num_energies * sizeof *energies);
    if (energies != NULL)
        memcpy(energies, job->energies, job->num_energies * sizeof *energies);
    pthread_mutex_unlock(&job->mutex);
    gd_pack_str(p, "job");
    msgpack_pack_uint64(p, job->number);
    gd_pack_str(p, "state");
    msgpack_pack_bin(p, 16);
    msgpack_pack_bin_body(p, job->uuid, 16);
    gd_pack_str(p, "state_name");
    gd_pack_str(p, job->name);
    gd_pack_str(p, "status");
    gd_pack_str(p, status_names[job->status]);
    gd_pack_str(p, "step");
    msgpack_pack_int64(p, progress.step);
    gd_pack_str(p, "steps");
    msgpack_pack_int64(p, job->spec.steps);
    gd_pack_str(p, "time");
    msgpack_pack_double(p, progress.time);
    gd_pack_str(p, "elapsed");
    msgpack_pack_double(p, progress.elapsed);
    gd_pack_str(p, "ns_per_day");
    msgpack_pack_double(p, progress.steps_per_second * progress.timestep * 86.4);
    gd_pack_str(p, "left");
    msgpack_pack_double(p, left(job, &progress));
    gd_pack_str(p, "message");
    gd_pack_str(p, job->message);
    gd_pack_str(p, "threads");
    msgpack_pack_int(p, job->spec.threads);
    gd_pack_str(p, "energies");
    gd_pack_reals(p, energies, energies != NULL ? job->num_energies : 0);
    gd_pack_str(p, "phases");
    msgpack_pack_map(p, GD_MD_PHASES);
    for (int k = 0; k < GD_MD_PHASES; k++) {
        gd_pack_str(p, gd_md_phase_name((enum gd_md_phase)k));
        msgpack_pack_double(p, progress.phase[k]);
    }
    free(energies);
}

void gd_job_pack(struct gd_job *job, msgpack_packer *packer)
{
    msgpack_pack_map(packer, JOB_FIELDS);
    pack_fields(job, packer);
}

void gd_job_reply(struct gd_job *job, struct gd_request *request)
{
    pack_fields(job, &request->reply.packer);
    request->reply.fields += JOB_FIELDS;
}

void gd_jobs_pack_all(struct gd_jobs *jobs, struct gd_request *request)
{
    size_t count = 0;
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next)
        count++;
    gd_reply_list(&request->reply, "jobs", count);
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next)
        gd_job_pack(job, &request->reply.packer);
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
        if (job->status < DONE)
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
