/* What a job is to do: as it was ordered (texts and numbers), and as it will be done (read and checked). */
#ifndef GD_SERVICE_JOB_SPEC_H
#define GD_SERVICE_JOB_SPEC_H

#include "core/err.h"
#include "io/messages.h"
#include "service/md_run.h"

#include <stddef.h>
#include <stdint.h>

/* The GROMOS files of an order, as their bytes. */
enum gd_job_text {
    GD_JOB_TOPOLOGY,
    GD_JOB_INPUT,
    GD_JOB_POSRESSPEC,
    GD_JOB_REFPOS,
    GD_JOB_DISTREST,
    GD_JOB_ANGREST,
    GD_JOB_DIHREST,
    GD_JOB_JVAL,
    GD_JOB_TEXTS
};
const char *gd_job_text_name(enum gd_job_text text);

/* Everything is borrowed. */
struct gd_job_order {
    struct {
        const void *data; /* NULL: not given */
        size_t bytes;
    } text[GD_JOB_TEXTS];
    const char *path[GD_MD_FILES]; /* NULL: not written */
    int64_t steps;                 /* -1: as the input says */
    int64_t publish_every;
    int threads, continue_run, resume;
};

struct gd_job_spec {
    struct gd_topology *topology; /* expanded */
    struct gd_parameters *parameters;
    struct gd_restraints *restraints; /* NULL: none */
    struct gd_configuration *start;
    char *path[GD_MD_FILES];
    int64_t steps; /* 0: forces and energies once */
    int64_t publish_every;
    int threads;
    int continue_run, resume;
    const struct gd_job_order *order; /* borrowed for gd_jobs_start alone */
};

/* All of it but `start`. topology: already read, or NULL: the order's text is. num_atoms of the State. faults may be NULL. The same
 * order gives the same spec, bit for bit. On failure the spec is to be cleared all the same. */
int gd_job_spec_read(struct gd_job_spec *spec, const struct gd_job_order *order, const struct gd_topology *topology, size_t num_atoms,
                     struct gd_messages *faults, struct gd_err *err);
void gd_job_spec_clear(struct gd_job_spec *spec);

#endif
