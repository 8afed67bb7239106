/* A job's own thread: steps, and what happens between them. Everything it needs of others it asks the loop thread for. */
#include "core/check.h"
#include "core/log.h"
#include "kernels/compute.h"
#include "service/job_internal.h"
#include "service/service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE_NS 2000000000ull
#define SAY_OFTEN_NS 1000000000ull
#define SAY_SELDOM_NS 60000000000ull

/* Asks the loop thread and sleeps until it has answered. Returns 0, or -1 when the State is gone. */
static int ask(struct gd_job *job, enum gd_job_ask what)
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
    /* A single point moves nothing, not even into the box as a run does. */
    uint32_t moved = job->spec.steps == 0 ? 0 : GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES);
    atomic_store(&live->dirty_mask, GD_DIRTY_SMALL | moved | GD_ARRAY_BIT(GD_FORCES) | GD_ARRAY_BIT(GD_ENERGIES));
    if (moved != 0) {
        gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_POSITIONS), GD_FLOAT64, gd_md_positions(md), count);
        gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_VELOCITIES), GD_FLOAT64, gd_md_velocities(md), count);
    }
    gd_compute_convert(kernels, state->spec.dtype, gd_state_array(state, GD_FORCES), GD_FLOAT64, gd_md_forces(md), count);
    gd_md_energy_vector(md, gd_state_array(state, GD_ENERGIES));
    live->small.step = job->step_base + gd_md_step_number(md);
    live->small.time = gd_md_time(md);
    live->small.box = *gd_md_box(md);
    pthread_mutex_lock(&job->mutex);
    memcpy(job->energies, gd_state_array(state, GD_ENERGIES), job->num_energies * sizeof(double));
    pthread_mutex_unlock(&job->mutex);
}

/* The energies of a published step, after refresh_live. */
static void record(struct gd_job *job)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    pthread_mutex_lock(&job->mutex);
    gd_job_record_put(&job->record, job->step_base + gd_md_step_number(md), gd_md_time(md), job->energies);
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
        else
            gd_job_say(job, GD_JOB_LINE_INFO, "step %lld: an edit of the State was taken over",
                       (long long)(job->step_base + gd_md_step_number(gd_md_run_engine(job->run))));
    }
    free(x);
    free(v);
    job->seen_version = version;
    return code;
}

/* Target temperatures are part of the engine's state; these are not. */
static void keep_rates(struct gd_job *job, const struct gd_job_change *change, int accepted)
{
    struct gd_job_rates rates = gd_job_kept_rates(job->kept);
    if (change->publish_every > 0)
        rates.publish_every = change->publish_every;
    if (change->positions_every >= 0)
        rates.positions_every = change->positions_every;
    if (change->energies_every >= 0)
        rates.energies_every = change->energies_every;
    if (accepted && !isnan(change->pressure))
        rates.pressure = change->pressure;
    gd_job_kept_set_rates(job->kept, &rates);
}

static int set_pressure(struct gd_md *md, double pressure, struct gd_err *err)
{
    const double reference[3][3] = {{pressure, 0, 0}, {0, pressure, 0}, {0, 0, pressure}};
    return gd_md_set_pressure(md, reference, gd_md_parameters(md)->pressure.tau, err);
}

static void say_change(struct gd_job *job, const struct gd_job_change *change, int code, const struct gd_err *err)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    long long step = (long long)(job->step_base + gd_md_step_number(md));
    if (code != 0)
        gd_job_say(job, GD_JOB_LINE_WARNING, "step %lld: a change was refused: %s", step, err->text);
    if (code == 0 && (!isnan(change->temperature) || !isnan(change->tau)))
        gd_job_say(job, GD_JOB_LINE_INFO, "from step %lld: bath %zu has %g K, tau %g ps", step, change->bath + 1,
                   gd_md_bath(md, change->bath)->reference, gd_md_bath(md, change->bath)->tau);
    if (code == 0 && !isnan(change->pressure))
        gd_job_say(job, GD_JOB_LINE_INFO, "from step %lld: the reference pressure is %g kJ mol^-1 nm^-3", step, change->pressure);
    if (change->publish_every > 0)
        gd_job_say(job, GD_JOB_LINE_INFO, "from step %lld: a frame every %lld steps", step, (long long)change->publish_every);
    if (change->positions_every >= 0)
        gd_job_say(job, GD_JOB_LINE_INFO, "from step %lld: positions are written every %lld steps", step,
                   (long long)change->positions_every);
    if (change->energies_every >= 0)
        gd_job_say(job, GD_JOB_LINE_INFO, "from step %lld: energies are written every %lld steps", step, (long long)change->energies_every);
}

static void take_change(struct gd_job *job, const struct gd_job_change *change)
{
    struct gd_md *md = gd_md_run_engine(job->run);
    struct gd_err err = {0};
    int code = 0;
    if (!isnan(change->temperature) || !isnan(change->tau)) {
        const struct gd_md_bath *bath = gd_md_bath(md, change->bath);
        code = gd_md_set_bath(md, change->bath, isnan(change->temperature) ? bath->reference : change->temperature,
                              isnan(change->tau) ? bath->tau : change->tau, &err);
    }
    if (code == 0 && !isnan(change->pressure))
        code = set_pressure(md, change->pressure, &err);
    if (change->publish_every > 0)
        job->spec.publish_every = change->publish_every;
    gd_md_run_rates(job->run, change->positions_every, change->energies_every);
    keep_rates(job, change, code == 0);
    if (code != 0)
        gd_log_warn("job", "job %llu: a change was refused: %s", (unsigned long long)job->number, err.text);
    say_change(job, change, code, &err);
}

static void take_changes(struct gd_job *job)
{
    struct gd_job_change changes[GD_JOB_CHANGES];
    pthread_mutex_lock(&job->mutex);
    size_t count = job->num_changes;
    memcpy(changes, job->changes, count * sizeof *changes);
    job->num_changes = 0;
    pthread_mutex_unlock(&job->mutex);
    for (size_t k = 0; k < count; k++)
        take_change(job, &changes[k]);
}

/* For progress: steps per second over the last two seconds, or since the start until two have passed. */
struct meter {
    uint64_t since_ns, steps;
    bool whole; /* a span of two seconds has passed */
    double per_second, busy;
    uint64_t said_ns; /* of the last line about it */
    int64_t said_step;
};

/* A line at each tenth of the run, but not more often than each second, and at least every minute. */
static void say_progress(struct gd_job *job, struct meter *meter)
{
    uint64_t now = gd_now_ns(), since = now - meter->said_ns;
    double tenth = (double)job->spec.steps / 10.0;
    int64_t step = job->progress.step;
    if (since < SAY_SELDOM_NS && (since < SAY_OFTEN_NS || floor((double)step / tenth) == floor((double)meter->said_step / tenth)))
        return;
    meter->said_ns = now;
    meter->said_step = step;
    gd_job_say_rate(job);
}

static void measure(struct gd_job *job, struct meter *meter, uint64_t step_ns)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    uint64_t now = gd_now_ns();
    meter->steps++;
    meter->busy += (double)step_ns * 1e-9;
    uint64_t span = now - meter->since_ns;
    if (!meter->whole || span > RATE_NS)
        meter->per_second = (double)meter->steps / ((double)span * 1e-9 + 1e-9);
    if (span > RATE_NS) {
        meter->whole = true;
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

/* The engine as it is now, for a daemon that takes over from this one. version: of the State that goes with it. */
static void save(struct gd_job *job, uint64_t version)
{
    const struct gd_job_mark mark = {gd_md_step_number(gd_md_run_engine(job->run)), job->first_step, job->step_base, version,
                                     gd_md_run_fingerprint(job->run)};
    gd_job_kept_save(job->kept, job->run, &mark);
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

/* Everything between two steps. Returns 0 to go on, 1 to end. */
static int boundary(struct gd_job *job, int64_t done)
{
    if (atomic_load(&job->cancelled))
        return 1;
    take_changes(job);
    int publish = done > 0 && done % job->spec.publish_every == 0;
    int nudged = atomic_exchange(&job->nudged, 0);
    int park = atomic_load(&job->paused);
    if (!publish && !nudged && !park)
        return 0;
    refresh_live(job);
    if (publish)
        record(job);
    job->seen_version = gd_state_version(job->state) + 1; /* of the commit that is asked for */
    save(job, job->seen_version);
    int use = (nudged & GD_NUDGE_USE) != 0;
    if (use || park)
        keep_end(job); /* who comes in may want a checkpoint */
    if (ask(job, park ? GD_ASK_PARK : !nudged ? GD_ASK_PUBLISH : use || publish ? GD_ASK_YIELD : GD_ASK_SHOW) != 0)
        return 1;
    uint64_t expected = job->seen_version;
    int code = take_edit(job);
    if (code == 0 && job->seen_version != expected)
        save(job, job->seen_version); /* the edit is the engine's now: it must not be lost with this process */
    return code != 0 || atomic_load(&job->cancelled);
}

static int load_last_end(struct gd_job *job, int *continues)
{
    struct gd_state *state = job->state;
    const struct gd_run_state *last = &state->run_state;
    if (!job->spec.continue_run || last->bytes == 0 || last->version != gd_state_version(state))
        return 0;
    struct gd_md *md = gd_md_run_engine(job->run);
    if (last->bytes != gd_md_state_size(md) || last->fingerprint != gd_md_run_fingerprint(job->run))
        return 0;
    *continues = 1;
    return gd_md_load_state(md, last->data, last->bytes, &job->err);
}

/* After the daemon died: the engine as it was saved, and what somebody changed in the State since. */
static int load_kept(struct gd_job *job, const struct gd_job_mark *mark, const void *data, size_t bytes)
{
    struct gd_md *md = gd_md_run_engine(job->run);
    struct gd_job_rates rates = gd_job_kept_rates(job->kept);
    if (mark->fingerprint != gd_md_run_fingerprint(job->run))
        return gd_err_set(&job->err, GD_E_CORRUPT_DATA, "what was kept of the run does not belong to it");
    int code = gd_md_load_state(md, data, bytes, &job->err);
    if (code != 0)
        return code;
    job->first_step = mark->first_step;
    job->step_base = mark->step_base;
    if (rates.publish_every > 0)
        job->spec.publish_every = rates.publish_every;
    gd_md_run_rates(job->run, rates.positions_every, rates.energies_every);
    if (!isnan(rates.pressure))
        code = set_pressure(md, rates.pressure, &job->err);
    uint64_t version = gd_state_version(job->state);
    if (version == mark->version || version + 1 == mark->version) { /* its commit may not have been made any more */
        job->seen_version = version;
        return code;
    }
    job->seen_version = mark->version;
    return code != 0 ? code : take_edit(job);
}

static int run_steps(struct gd_job *job)
{
    struct gd_md *md = gd_md_run_engine(job->run);
    struct meter meter = {.since_ns = gd_now_ns(), .said_ns = gd_now_ns(), .said_step = gd_md_step_number(md) - job->first_step};
    job->progress.begun = meter.said_step;
    for (int64_t done = meter.said_step; done < job->spec.steps && !gd_md_converged(md); done++) {
        if (boundary(job, done))
            return job->err.code;
        uint64_t begin = gd_now_ns();
        int published = (done + 1) % job->spec.publish_every == 0 || done + 1 == job->spec.steps;
        int code = gd_md_run_step(job->run, published, &job->err);
        if (code != 0)
            return code;
        measure(job, &meter, gd_now_ns() - begin);
        say_progress(job, &meter);
    }
    return 0;
}

static int work(struct gd_job *job)
{
    const char *path[GD_MD_FILES];
    for (int k = 0; k < GD_MD_FILES; k++)
        path[k] = job->spec.path[k];
    struct gd_job_mark mark;
    const void *data;
    size_t bytes;
    int resumes = gd_job_kept_last(job->kept, &mark, &data, &bytes), continues = 0;
    int code = gd_md_run_create(&job->run, job->spec.topology, job->spec.parameters, job->spec.start, job->spec.restraints,
                                job->spec.threads, path, resumes ? mark.step : -1, &job->err);
    if (code != 0)
        return code;
    if (resumes) {
        code = load_kept(job, &mark, data, bytes);
    } else {
        code = load_last_end(job, &continues);
        job->first_step = gd_md_step_number(gd_md_run_engine(job->run));
        job->step_base = job->spec.start->step - job->first_step;
    }
    if (code != 0)
        return code;
    gd_md_name_steps_from(gd_md_run_engine(job->run), job->step_base);
    if (resumes)
        gd_job_say(job, GD_JOB_LINE_INFO, "goes on from step %lld, which was kept", (long long)(job->step_base + mark.step));
    else
        gd_job_say_start(job, continues);
    if (job->spec.steps == 0)
        code = gd_md_single_point(gd_md_run_engine(job->run), &job->err);
    else
        code = run_steps(job);
    /* Also after a failure: the last good step is what stays. */
    int lost = 0;
    if (!job->lease_lost) {
        refresh_live(job);
        record(job);
        job->seen_version = gd_state_version(job->state) + 1;
        if (code == 0)
            save(job, job->seen_version);
        keep_end(job);
        lost = ask(job, GD_ASK_PUBLISH);
    }
    struct gd_err *err = code == 0 ? &job->err : NULL;
    int finished = job->spec.steps > 0 ? gd_md_run_finish(job->run, err) : 0;
    (void)lost;
    return code != 0 ? code : finished;
}

void gd_job_thread(void *argument)
{
    struct gd_job *job = argument;
    GD_MAGIC_CHECK(job, GD_JOB_MAGIC);
    struct gd_running *running = &job->jobs->service->running;
    int slot = gd_running_begin(running, "job", "", job->number);
    if (ask(job, GD_ASK_LEASE) == 0) {
        job->seen_version = gd_state_version(job->state);
        job->err.code = work(job);
    }
    gd_md_run_destroy(&job->run);
    gd_running_end(running, slot);
    ask(job, GD_ASK_END);
}
