/* One molecular-dynamics run: the engine and its output files, one step at a time. The only place where engine and io meet.
 * Used by one thread, without a loop: service/jobs.h drives it. */
#ifndef GD_SERVICE_MD_RUN_H
#define GD_SERVICE_MD_RUN_H

#include "core/configuration.h"
#include "core/err.h"
#include "core/parameters.h"
#include "core/restraints.h"
#include "core/topology.h"
#include "engine/md.h"

#include <stdint.h>

enum gd_md_file { GD_MD_TRC, GD_MD_TRV, GD_MD_TRF, GD_MD_TRE, GD_MD_TRS, GD_MD_FIN, GD_MD_FILES };

struct gd_md_run;

/* Everything is copied or read; nothing is kept. path[] may be NULL each. resume_step >= 0: the files exist, what stands in them
 * at and after this step is cut off. Opens the files, prepares the start. Errors of gd_md_create and gd_trajectory_create. */
int gd_md_run_create(struct gd_md_run **out, const struct gd_topology *topology, const struct gd_parameters *parameters,
                     const struct gd_configuration *start, const struct gd_restraints *restraints, int threads,
                     const char *const path[GD_MD_FILES], int64_t resume_step, struct gd_err *err);

/* One step, written as WRITETRAJ says; `published`: its energies will be looked at besides. A failed step leaves the state
 * before it. */
int gd_md_run_step(struct gd_md_run *run, int published, struct gd_err *err);

/* Writes the final configuration, closes the files. */
int gd_md_run_finish(struct gd_md_run *run, struct gd_err *err);
void gd_md_run_destroy(struct gd_md_run **run);

/* Of topology, parameters (but for lengths and rates), restraints: equal for runs that may continue one another. */
uint64_t gd_md_run_fingerprint(const struct gd_md_run *run);

struct gd_md *gd_md_run_engine(struct gd_md_run *run);

/* Output rates from the next step on; < 0: as it is. */
void gd_md_run_rates(struct gd_md_run *run, int64_t positions_every, int64_t energies_every);

#endif
