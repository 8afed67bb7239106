/* A job from the inside: shared by jobs.c (the loop thread's side), job_thread.c (the job's own thread), job_report.c and
 * job_summary.c. Nobody else includes this. */
#ifndef GD_SERVICE_JOB_INTERNAL_H
#define GD_SERVICE_JOB_INTERNAL_H

#include "core/state.h"
#include "service/edit.h"
#include "service/job_keep.h"
#include "service/job_log.h"
#include "service/job_record.h"
#include "service/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define GD_JOB_MAGIC 0x10bu
#define GD_JOB_CHANGES 32 /* that can wait: a paused job takes them when it goes on */

enum gd_job_status { GD_JOB_QUEUED, GD_JOB_RUNNING, GD_JOB_PAUSED, GD_JOB_DONE, GD_JOB_FAILED, GD_JOB_CANCELLED };
const char *gd_job_status_name(enum gd_job_status status);

/* What the job's thread asks of the loop thread. */
enum gd_job_ask {
    GD_ASK_NOTHING,
    GD_ASK_LEASE,
    GD_ASK_PUBLISH,
    GD_ASK_YIELD, /* publish, let others in */
    GD_ASK_SHOW,  /* let others in to look: a commit without a frame */
    GD_ASK_PARK,
    GD_ASK_END
};

/* How fast, how far: written by the job, read by anybody. */
struct gd_job_progress {
    int64_t step, begun; /* begun: where this process took it up */
    double time, elapsed, steps_per_second, timestep;
    double phase[GD_MD_PHASES];
};

struct gd_job {
    uint32_t magic;
    struct gd_jobs *jobs;
    struct gd_job *next; /* all jobs, newest first */
    uint64_t number;

    /* loop thread */
    enum gd_job_status status;
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
    int adopted;              /* it ran under a daemon that died */
    struct gd_charge *charge; /* for its memory, until it has ended */
    struct gd_job_kept *kept; /* what survives this process; NULL: nothing (shared with the job's thread, see job_keep.h) */

    /* job thread */
    struct gd_job_spec spec;
    struct gd_md_run *run;
    uint64_t seen_version;         /* of the live arrays, as the engine knows them */
    int64_t first_step, step_base; /* the engine's number at the start; what the State's step is ahead of it */
    struct gd_err err;

    /* both */
    _Atomic int nudged; /* enum gd_nudge, both together too */
    _Atomic int paused, cancelled;
    uv_sem_t answered;
    pthread_mutex_t mutex; /* of what follows */
    enum gd_job_ask ask;
    int lease_lost; /* the State is gone */
    struct gd_job_progress progress;
    struct gd_job_change changes[GD_JOB_CHANGES]; /* for the next step boundary, in their order */
    size_t num_changes;
    char message[GD_ERR_TEXT];
    double *energies;
    size_t num_energies;
    struct gd_job_record record;
    struct gd_job_log log;
};

struct gd_jobs {
    struct gd_service *service;
    struct gd_job *first;
    uint64_t next_number;
    uv_async_t async;
    int stopping;
};

/* One or more lines for the log. Any thread, without the mutex. */
void gd_job_say(struct gd_job *job, enum gd_job_line_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The input in words, before the first step; how it goes; how it ended (loop thread). */
void gd_job_say_start(struct gd_job *job, int continues);
void gd_job_say_rate(struct gd_job *job);
void gd_job_say_end(struct gd_job *job);

/* What the job's thread runs: uv_thread_create's function and argument (a gd_job). */
void gd_job_thread(void *argument);

#endif
