#include "service/md_run.h"

#include "io/configuration.h"
#include "io/trajectory.h"
#include "service/md_h5md.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct gd_md_run {
    struct gd_md *md;
    struct gd_trajectory *file[GD_MD_FIN]; /* NULL: not asked for */
    struct gd_md_h5md *h5md;               /* in place of file[GD_MD_TRC] */
    char *final_path;
    struct gd_energy_frame *energy;
    double (*distances)[3], (*angles)[2], (*dihedrals)[2];
    int32_t (*jvalue_atoms)[4];
    int64_t every[GD_MD_FIN];
    uint64_t fingerprint;
};

static const enum gd_trajectory_kind kinds[GD_MD_FIN] = {GD_TRAJECTORY_POSITIONS, GD_TRAJECTORY_VELOCITIES, GD_TRAJECTORY_FORCES,
                                                         GD_TRAJECTORY_ENERGIES, GD_TRAJECTORY_SPECIAL};

/* ---- making ---- */

static int open_files(struct gd_md_run *run, const char *const path[GD_MD_FILES], const char *title, int64_t resume_step,
                      struct gd_err *err)
{
    for (int k = 0; k < GD_MD_FIN; k++) {
        if (path[k] == NULL || path[k][0] == '\0')
            continue;
        if (gd_md_h5md_named(path[k])) {
            if (k != GD_MD_TRC)
                return gd_err_set(err, GD_E_UNSUPPORTED,
                                  "%s: the H5MD file of a run is its trc, which holds energies, velocities and forces too; this one is "
                                  "in GROMOS format, so its name must not end in .h5 or .h5md",
                                  path[k]);
            int code = gd_md_h5md_create(&run->h5md, path[k], run->md, resume_step, err);
            if (code != 0)
                return code;
            continue;
        }
        int code = resume_step >= 0 ? gd_trajectory_resume_at_step(&run->file[k], path[k], kinds[k], resume_step - 1, err)
                                    : gd_trajectory_create(&run->file[k], path[k], kinds[k], title, err);
        if (code != 0)
            return code;
    }
    if (path[GD_MD_FIN] == NULL || path[GD_MD_FIN][0] == '\0')
        return 0;
    run->final_path = strdup(path[GD_MD_FIN]);
    if (run->final_path == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a path");
    return gd_io_check_configuration_path(run->final_path, err); /* now, not when the run is over */
}

static int make_special(struct gd_md_run *run, const struct gd_restraints *restraints, struct gd_err *err)
{
    if (restraints == NULL)
        return 0;
    struct gd_md_restraint_report report = gd_md_restraint_report(run->md);
    run->distances = calloc(report.num_distances + 1, sizeof *run->distances);
    run->angles = calloc(report.num_angles + 1, sizeof *run->angles);
    run->dihedrals = calloc(report.num_dihedrals + 1, sizeof *run->dihedrals);
    run->jvalue_atoms = calloc(report.num_jvalues + 1, sizeof *run->jvalue_atoms);
    if (run->distances == NULL || run->angles == NULL || run->dihedrals == NULL || run->jvalue_atoms == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the restraints' report");
    for (size_t i = 0; i < report.num_jvalues && i < restraints->num_jvalues; i++)
        memcpy(run->jvalue_atoms[i], restraints->jvalues[i].atom, sizeof run->jvalue_atoms[i]);
    return 0;
}

/* ---- what may continue what ---- */

static uint64_t hash(uint64_t seed, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        seed = (seed ^ p[i]) * 0x100000001b3u; /* FNV-1a */
    return seed;
}

static uint64_t fingerprint(const struct gd_topology *top, const struct gd_parameters *parameters, const struct gd_restraints *res)
{
    uint64_t h = 0xcbf29ce484222325u;
    struct gd_parameters *p = malloc(sizeof *p);
    if (p == NULL)
        return 0;
    memcpy(p, parameters, sizeof *p);
    p->step.nstlim = 0;
    p->step.t0 = 0.0;
    memset(p->title, 0, sizeof p->title);
    memset(&p->write, 0, sizeof p->write);
    memset(&p->print, 0, sizeof p->print);
    h = hash(h, p, sizeof *p);
    free(p);
    h = hash(h, top->mass, top->num_atoms * sizeof *top->mass);
    h = hash(h, top->charge, top->num_atoms * sizeof *top->charge);
    h = hash(h, top->type, top->num_atoms * sizeof *top->type);
    h = hash(h, top->bonds, top->num_bonds * sizeof *top->bonds);
    h = hash(h, top->constraints, top->num_constraints * sizeof *top->constraints);
    h = hash(h, top->angles, top->num_angles * sizeof *top->angles);
    h = hash(h, top->dihedrals, top->num_dihedrals * sizeof *top->dihedrals);
    if (res != NULL) {
        h = hash(h, res->position_atom, res->num_position_atoms * sizeof *res->position_atom);
        h = hash(h, res->distances, res->num_distances * sizeof *res->distances);
        h = hash(h, res->dihedrals, res->num_dihedrals * sizeof *res->dihedrals);
    }
    return h;
}

uint64_t gd_md_run_fingerprint(const struct gd_md_run *run)
{
    return run->fingerprint;
}

int gd_md_run_create(struct gd_md_run **out, const struct gd_topology *topology, const struct gd_parameters *parameters,
                     const struct gd_configuration *start, const struct gd_restraints *restraints, int threads,
                     const char *const path[GD_MD_FILES], int64_t resume_step, struct gd_err *err)
{
    struct gd_md_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a run");
    int code = gd_md_create(&run->md, topology, parameters, start, restraints, threads, err);
    if (code == 0)
        code = gd_energy_frame_create(&run->energy, gd_md_num_baths(run->md), gd_md_energies(run->md)->num_groups, err);
    if (code == 0)
        code = make_special(run, restraints, err);
    if (code == 0)
        code = open_files(run, path, parameters->title, resume_step, err);
    if (code != 0) {
        gd_md_run_destroy(&run);
        return code;
    }
    int64_t special = parameters->distance_restraint.ntwdir;
    if (special == 0)
        special = parameters->angle_restraint.ntwalr != 0 ? parameters->angle_restraint.ntwalr : parameters->dihedral_restraint.ntwdlr;
    if (special == 0)
        special = parameters->jvalue.ntwjv;
    const int64_t every[GD_MD_FIN] = {parameters->write.ntwx, parameters->write.ntwv, parameters->write.ntwf, parameters->write.ntwe,
                                      special};
    memcpy(run->every, every, sizeof every);
    run->fingerprint = fingerprint(topology, parameters, restraints);
    *out = run;
    return 0;
}

void gd_md_run_destroy(struct gd_md_run **pointer)
{
    struct gd_md_run *run = *pointer;
    *pointer = NULL;
    if (run == NULL)
        return;
    for (int k = 0; k < GD_MD_FIN; k++)
        gd_trajectory_close(&run->file[k], NULL);
    gd_md_h5md_close(&run->h5md, NULL);
    gd_energy_frame_destroy(&run->energy);
    gd_md_destroy(&run->md);
    free(run->distances);
    free(run->angles);
    free(run->dihedrals);
    free(run->jvalue_atoms);
    free(run->final_path);
    free(run);
}

struct gd_md *gd_md_run_engine(struct gd_md_run *run)
{
    return run->md;
}

void gd_md_run_rates(struct gd_md_run *run, int64_t positions_every, int64_t energies_every)
{
    if (positions_every >= 0)
        run->every[GD_MD_TRC] = positions_every;
    if (energies_every >= 0)
        run->every[GD_MD_TRE] = energies_every;
}

/* ---- frames ---- */

static void fill_totals(struct gd_energy_frame *frame, const struct gd_md_energies *e)
{
    double *total = frame->total;
    memset(total, 0, sizeof frame->total);
    total[GD_ENE_TOTAL] = total[GD_ENE_EDS_VR] = total[GD_ENE_EDS_REFERENCE] = e->total;
    total[GD_ENE_KINETIC] = e->kinetic;
    total[GD_ENE_POTENTIAL] = e->potential;
    total[GD_ENE_COVALENT] = e->covalent;
    total[GD_ENE_BOND] = e->bond;
    total[GD_ENE_ANGLE] = e->angle;
    total[GD_ENE_IMPROPER] = e->improper;
    total[GD_ENE_DIHEDRAL] = e->dihedral;
    total[GD_ENE_CROSS_DIHEDRAL] = e->crossdihedral;
    total[GD_ENE_NONBONDED] = e->nonbonded;
    total[GD_ENE_LJ] = e->lj;
    total[GD_ENE_COULOMB] = e->crf;
    total[GD_ENE_SPECIAL] = e->special;
    total[GD_ENE_CONSTRAINT] = e->constraint;
    total[GD_ENE_DISTANCE_RESTRAINT] = e->distance_restraint;
    total[GD_ENE_DIHEDRAL_RESTRAINT] = e->dihedral_restraint;
    total[GD_ENE_POSITION_RESTRAINT] = e->position_restraint;
    total[GD_ENE_JVALUE_RESTRAINT] = e->jvalue;
    total[GD_ENE_ANGLE_RESTRAINT] = e->angle_restraint;
}

static void fill_groups(struct gd_energy_frame *frame, const struct gd_md_energies *e)
{
    size_t n = e->num_groups;
    for (size_t g = 0; g < n; g++) {
        const double bonded[5] = {e->group_bond[g], e->group_angle[g], e->group_improper[g], e->group_dihedral[g],
                                  e->group_crossdihedral[g]};
        memcpy(frame->bonded[g], bonded, sizeof bonded);
        memset(frame->special[g], 0, sizeof frame->special[g]);
        frame->special[g][GD_ENE_SPECIAL_CONSTRAINT] = e->group_constraint[g];
        frame->special[g][GD_ENE_SPECIAL_POSITION] = e->group_position[g];
        frame->special[g][GD_ENE_SPECIAL_DISTANCE] = e->group_distance[g];
        frame->special[g][GD_ENE_SPECIAL_ANGLE] = e->group_angle_restraint[g];
        frame->special[g][GD_ENE_SPECIAL_DIHEDRAL] = e->group_dihedral_restraint[g];
        /* J-value restraints stay zero here: the original writes their sum only. */
        for (size_t h = g; h < n; h++) {
            double *row = frame->nonbonded[gd_energy_pair(n, g, h)];
            memset(row, 0, sizeof frame->nonbonded[0]);
            row[0] = e->pair_lj[g * n + h];
            row[1] = e->pair_crf[g * n + h];
        }
    }
}

static void copy_tensor(double to[3][3], double *mean, const double (*from)[3])
{
    memcpy(to, from, 9 * sizeof(double));
    *mean = (from[0][0] + from[1][1] + from[2][2]) / 3.0;
}

static void fill_energies(struct gd_md_run *run, int64_t step, double time)
{
    struct gd_energy_frame *frame = run->energy;
    const struct gd_md *md = run->md;
    const struct gd_md_energies *e = gd_md_energies(md);
    frame->step = step;
    frame->time = time;
    fill_totals(frame, e);
    fill_groups(frame, e);
    for (size_t b = 0; b < frame->num_baths; b++) {
        frame->bath[b][0] = e->bath_kinetic[b];
        frame->bath[b][1] = e->bath_com[b];
        frame->bath[b][2] = e->bath_internal[b];
        for (int part = 0; part < 3; part++)
            frame->bath_temperature[b][part] = gd_md_bath_temperature(md, b, part);
        frame->bath_temperature[b][3] = gd_md_bath(md, b)->scale;
    }
    frame->has_volume = 1;
    frame->mass = gd_md_mass(md);
    gd_energy_frame_set_box(frame, gd_md_previous_box(md));
    copy_tensor(frame->pressure_tensor, &frame->pressure, gd_md_pressure(md));
    copy_tensor(frame->virial_tensor, &frame->virial, gd_md_virial(md));
    copy_tensor(frame->molecular_kinetic_tensor, &frame->molecular_kinetic, gd_md_kinetic_tensor(md));
}

static int write_special(struct gd_md_run *run, int64_t step, double time, struct gd_err *err)
{
    struct gd_md_restraint_report report = gd_md_restraint_report(run->md);
    for (size_t i = 0; i < report.num_distances; i++) {
        run->distances[i][0] = report.distance[i];
        run->distances[i][1] = report.distance_energy[i];
        run->distances[i][2] = report.distance_average != NULL ? report.distance_average[i] : 0.0;
    }
    for (size_t i = 0; i < report.num_angles; i++) {
        run->angles[i][0] = report.angle[i];
        run->angles[i][1] = report.angle_energy[i];
    }
    for (size_t i = 0; i < report.num_dihedrals; i++) {
        run->dihedrals[i][0] = report.dihedral[i];
        run->dihedrals[i][1] = report.dihedral_energy[i];
    }
    struct gd_special_frame frame = {step,
                                     time,
                                     report.num_distances,
                                     (const double(*)[3])run->distances,
                                     report.num_angles,
                                     (const double(*)[2])run->angles,
                                     report.num_dihedrals,
                                     (const double(*)[2])run->dihedrals,
                                     report.num_jvalues,
                                     (const int32_t(*)[4])run->jvalue_atoms,
                                     report.jvalue_average,
                                     report.jvalue_grid,
                                     report.jvalue_elevation};
    return gd_trajectory_put_special(run->file[GD_MD_TRS], &frame, err);
}

static int due(const struct gd_md_run *run, enum gd_md_file file, int64_t step)
{
    int64_t every = run->every[file] < 0 ? -run->every[file] : run->every[file];
    bool asked = run->file[file] != NULL || (file == GD_MD_TRC && run->h5md != NULL);
    return asked && every != 0 && step % every == 0;
}

/* Positions and velocities of a step are written before it moves them, as the original does. */
static int write_before(struct gd_md_run *run, int64_t step, double time, struct gd_err *err)
{
    int positions = due(run, GD_MD_TRC, step), velocities = due(run, GD_MD_TRV, step);
    if (!positions && !velocities)
        return 0;
    struct gd_configuration *now = NULL;
    int code = positions && run->h5md != NULL ? gd_md_h5md_before(run->h5md, run->md, err) : 0;
    positions = positions && run->h5md == NULL;
    if (code == 0 && (positions || velocities))
        code = gd_md_get_configuration(run->md, &now, err);
    if (code == 0 && positions)
        code = gd_trajectory_put_positions(run->file[GD_MD_TRC], step, time, (struct gd_rows){now->position, now->num_atoms, GD_FLOAT64},
                                           gd_md_box(run->md), err);
    if (code == 0 && velocities)
        code = gd_trajectory_put_velocities(run->file[GD_MD_TRV], step, time, (struct gd_rows){now->velocity, now->num_atoms, GD_FLOAT64},
                                            err);
    gd_configuration_destroy(&now);
    return code;
}

static int write_after(struct gd_md_run *run, int64_t step, double time, struct gd_err *err)
{
    size_t n = gd_md_num_atoms(run->md);
    int code = 0;
    if (due(run, GD_MD_TRE, step)) {
        fill_energies(run, step, time);
        code = gd_trajectory_put_energies(run->file[GD_MD_TRE], run->energy, err);
    }
    if (code == 0 && due(run, GD_MD_TRF, step))
        code = gd_trajectory_put_forces(run->file[GD_MD_TRF], step, time, (struct gd_rows){gd_md_forces(run->md), n, GD_FLOAT64},
                                        (struct gd_rows){gd_md_constraint_forces(run->md), n, GD_FLOAT64}, err);
    if (code == 0 && run->h5md != NULL && due(run, GD_MD_TRC, step))
        code = gd_md_h5md_after(run->h5md, run->md, step, time, err);
    if (code == 0 && due(run, GD_MD_TRS, step))
        code = write_special(run, step, time, err);
    return code;
}

int gd_md_run_step(struct gd_md_run *run, int published, struct gd_err *err)
{
    int64_t step = gd_md_step_number(run->md);
    double time = gd_md_time(run->md);
    gd_md_want_energies(run->md, published || due(run, GD_MD_TRE, step) || (run->h5md != NULL && due(run, GD_MD_TRC, step)));
    int code = write_before(run, step, time, err);
    if (code == 0)
        code = gd_md_step(run->md, err);
    return code != 0 ? code : write_after(run, step, time, err);
}

int gd_md_run_finish(struct gd_md_run *run, struct gd_err *err)
{
    int code = 0;
    for (int k = 0; k < GD_MD_FIN; k++) {
        int closed = gd_trajectory_close(&run->file[k], code == 0 ? err : NULL);
        code = code != 0 ? code : closed;
    }
    int closed = gd_md_h5md_close(&run->h5md, code == 0 ? err : NULL);
    code = code != 0 ? code : closed;
    if (code != 0 || run->final_path == NULL)
        return code;
    struct gd_configuration *last = NULL;
    code = gd_md_get_configuration(run->md, &last, err);
    if (code == 0)
        code = gd_io_write_configuration(run->final_path, last, err);
    gd_configuration_destroy(&last);
    return code;
}
