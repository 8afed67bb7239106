/* Jobs: long work on a State, on a thread of its own.
 *
 * A running job holds its State's lease (as the daemon), so the live arrays are the engine's to refresh. It never takes or gives the
 * lease itself: at a step boundary it asks the loop thread (publish this, let others in, I am done) and sleeps until that is
 * done. Somebody who queues for the lease makes the loop thread raise `nudged`; the job looks at it between steps, refreshes
 * the live arrays, and lets the queue go first. What an edit changed is taken into the engine before the next step.
 *
 * Loop thread only, unless said otherwise. Jobs wait in a queue while all compute threads are taken. */
#ifndef GD_SERVICE_JOBS_H
#define GD_SERVICE_JOBS_H

#include "core/err.h"
#include "service/job_spec.h"

#include <msgpack.h>
#include <stdint.h>

struct gd_job;
struct gd_jobs;
struct gd_request;
struct gd_service;
struct gd_session;
struct gd_state;

int gd_jobs_create(struct gd_jobs **out, struct gd_service *service, struct gd_err *err);
/* Cancels all and waits for their threads. Before the loop's last run. */
void gd_jobs_stop(struct gd_jobs *jobs);
/* Closes its handle; before the loop's last run. */
void gd_jobs_close(struct gd_jobs *jobs);
void gd_jobs_free(struct gd_jobs **jobs);

/* Queued at once, its number in *number; consumes the spec, also on failure. Its memory is charged to `session` until it has ended:
 * GD_E_QUOTA_EXCEEDED or GD_E_OUT_OF_MEMORY, before anything is made. GD_E_CONFLICT when the State has a job already. */
int gd_jobs_start(struct gd_jobs *jobs, struct gd_state *state, struct gd_session *session, struct gd_job_spec *spec, uint64_t *number,
                  struct gd_err *err);

/* A job that was there when the daemon died: goes on if it was to resume, else is remembered as failed. What is kept of it is
 * consumed. state NULL: it is gone. */
struct gd_job_kept;
void gd_jobs_adopt(struct gd_jobs *jobs, struct gd_state *state, struct gd_job_kept *kept);

/* The last number given; and not to give one up to this again. */
uint64_t gd_jobs_last_number(const struct gd_jobs *jobs);
void gd_jobs_count_from(struct gd_jobs *jobs, uint64_t number);

struct gd_job *gd_jobs_find(struct gd_jobs *jobs, uint64_t number, struct gd_err *err);
size_t gd_jobs_active(const struct gd_jobs *jobs);
/* Threads that running jobs have now. */
int gd_jobs_threads(const struct gd_jobs *jobs);

int gd_job_pause(struct gd_job *job, struct gd_err *err);
int gd_job_resume(struct gd_job *job, struct gd_err *err);
void gd_job_cancel(struct gd_job *job);

/* A change for the next step boundary; NAN or < 0: leave as it is. */
struct gd_job_change {
    size_t bath;
    double temperature, tau, pressure;
    int64_t publish_every, energies_every, positions_every;
};
int gd_job_change(struct gd_job *job, const struct gd_job_change *change, struct gd_err *err);

/* Answers the request (job.wait) when the job has ended or the deadline is over. */
void gd_job_wait(struct gd_job *job, struct gd_request *request);
void gd_jobs_tick(struct gd_jobs *jobs, uint64_t now_ns);
void gd_jobs_forget_session(struct gd_jobs *jobs, const struct gd_session *session); /* its waits; NULL: all */

/* Somebody queues for this State's lease: its job lets them in at the next step. Who only computes on the arrays as they are then
 * needs neither a frame nor the engine's state of that step. */
enum gd_nudge { GD_NUDGE_LOOK = 1, GD_NUDGE_USE = 2 };
void gd_jobs_nudge(struct gd_jobs *jobs, struct gd_state *state, enum gd_nudge why);
/* The State is being deleted: its job ends. */
void gd_jobs_state_gone(struct gd_jobs *jobs, struct gd_state *state);
int gd_jobs_has(struct gd_jobs *jobs, const struct gd_state *state);

/* job.describe's fields into a reply, or as a map into a packer. */
void gd_job_reply(struct gd_job *job, struct gd_request *request);
void gd_job_pack(struct gd_job *job, msgpack_packer *packer);
/* job.energies: the rows at and after `after`, at most `limit`. */
int gd_job_reply_energies(struct gd_job *job, struct gd_request *request, uint64_t after, size_t limit, struct gd_err *err);
/* job.log: lines at and after `after`, at most `limit`. */
void gd_job_reply_log(struct gd_job *job, struct gd_request *request, uint64_t after, size_t limit);
void gd_jobs_pack_all(struct gd_jobs *jobs, struct gd_request *request);

#endif
