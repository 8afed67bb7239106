/* What survives the daemon of a job: its order and its log (kept memory of role "job") and, if it is to resume by itself, the engine's complete
 * state (role "engine"), both handed to whoever holds descriptors for us (keep.h).
 *
 * The engine's state stands there twice, written in turn at every publish, so that a daemon that dies while it writes one leaves the
 * other. Without a holder nothing is kept and every function takes NULL. Functions say which thread they belong to; save is the
 * job's own, the loop thread looks at nothing it writes but after the job has asked. */
#ifndef GD_SERVICE_JOB_KEEP_H
#define GD_SERVICE_JOB_KEEP_H

#include "core/err.h"
#include "core/segment.h"
#include "service/job_log.h"
#include "service/job_spec.h"

#include <stdint.h>

struct gd_job_kept;
struct gd_keep;
struct gd_md_run;

/* ---- loop thread ---- */

/* At the start of a job; *out stays NULL when nothing keeps our memory or there is none (logged). order: what it was made from. */
void gd_job_kept_create(struct gd_job_kept **out, struct gd_keep *keep, const uint8_t uuid[16], uint64_t number,
                        const struct gd_job_spec *spec, const struct gd_job_order *order);

/* What that takes of shared memory when an engine's state has `state_bytes`: 0 when nothing keeps ours. */
size_t gd_job_kept_bytes(const struct gd_keep *keep, const struct gd_job_spec *spec, const struct gd_job_order *order, size_t state_bytes);

/* From what survived; the segments are consumed on success (engine: GD_SEGMENT_NONE when there was none). GD_E_CORRUPT_DATA. */
int gd_job_kept_adopt(struct gd_job_kept **out, struct gd_keep *keep, struct gd_segment *job, struct gd_segment *engine,
                      struct gd_err *err);

const uint8_t *gd_job_kept_uuid(const struct gd_job_kept *kept);
uint64_t gd_job_kept_number(const struct gd_job_kept *kept);
int gd_job_kept_resumes(const struct gd_job_kept *kept);     /* it is to start again by itself */
int gd_job_kept_keeps_dying(const struct gd_job_kept *kept); /* started twice without getting further */
int gd_job_kept_is_paused(const struct gd_job_kept *kept);
int gd_job_kept_is_cancelled(const struct gd_job_kept *kept);
/* Steps, threads and how far it was, for reporting it. */
void gd_job_kept_facts(const struct gd_job_kept *kept, int64_t *steps, int64_t *done, int *threads);
/* The order as it was given, with its texts in kept memory, and the configuration it started from. */
int gd_job_kept_order(const struct gd_job_kept *kept, struct gd_job_order *order, struct gd_configuration **start, struct gd_err *err);

/* The log as it was, and a line more of it (any thread, under the job's mutex). NULL-safe. */
void gd_job_kept_lines(const struct gd_job_kept *kept, struct gd_job_log *log);
void gd_job_kept_put_line(struct gd_job_kept *kept, const struct gd_job_line *line);

void gd_job_kept_started(struct gd_job_kept *kept);
/* What was saved is a commit of the State now: hands over what is new. done: steps. rests: it is paused, so a death is not its doing. */
void gd_job_kept_published(struct gd_job_kept *kept, int64_t done, int rests);
void gd_job_kept_paused(struct gd_job_kept *kept, int paused);
void gd_job_kept_cancelled(struct gd_job_kept *kept); /* somebody wants no more of it */
/* The job has ended, or will not be taken up: the holder drops it. NULL-safe. */
void gd_job_kept_drop(struct gd_job_kept **kept);
/* This process ends in order; what the holder has stays as it is. NULL-safe. */
void gd_job_kept_free(struct gd_job_kept **kept);

/* ---- the job's thread ---- */

/* Where a run is: the engine's step and what the live arrays' version is (or will be, by the commit that is asked for). */
struct gd_job_mark {
    int64_t step, first_step, step_base;
    uint64_t version, fingerprint;
};

/* The newest one, or 0 when there is none. data stays valid until the next save. */
int gd_job_kept_last(const struct gd_job_kept *kept, struct gd_job_mark *mark, const void **data, size_t *bytes);
/* Without memory: logged, the job goes on and would start from an older point. */
void gd_job_kept_save(struct gd_job_kept *kept, struct gd_md_run *run, const struct gd_job_mark *mark);

/* Changes made while it runs, so that they hold after a resume. */
struct gd_job_rates {
    int64_t publish_every, energies_every, positions_every; /* < 0: as ordered */
    double pressure;                                        /* NAN: as ordered */
};
void gd_job_kept_set_rates(struct gd_job_kept *kept, const struct gd_job_rates *rates);
struct gd_job_rates gd_job_kept_rates(const struct gd_job_kept *kept);

#endif
