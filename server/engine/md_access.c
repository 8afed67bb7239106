/* Reading and changing a run between steps. Contract: md.h. */
#include "core/box.h"
#include "engine/md_internal.h"

size_t gd_md_num_atoms(const struct gd_md *md)
{
    return md->n;
}

void gd_md_name_steps_from(struct gd_md *md, int64_t number)
{
    md->named_from = number;
}

long long gd_md_named_step(const struct gd_md *md)
{
    return md->named_from + md->step;
}

int64_t gd_md_step_number(const struct gd_md *md)
{
    return md->step;
}

double gd_md_time(const struct gd_md *md)
{
    return md->time;
}

const struct gd_topology *gd_md_topology(const struct gd_md *md)
{
    return md->top;
}

const struct gd_parameters *gd_md_parameters(const struct gd_md *md)
{
    return &md->par;
}

const double (*gd_md_positions(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->pos;
}

const double (*gd_md_velocities(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->vel;
}

const double (*gd_md_previous_positions(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->old_pos;
}

const double (*gd_md_previous_velocities(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->old_vel;
}

const double (*gd_md_forces(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->force;
}

const double (*gd_md_constraint_forces(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->constraint_force;
}

const int32_t (*gd_md_lattice_shifts(const struct gd_md *md))[3]
{
    return (const int32_t(*)[3])md->lattice_shift;
}

const struct gd_box *gd_md_box(const struct gd_md *md)
{
    return &md->box;
}

const struct gd_box *gd_md_previous_box(const struct gd_md *md)
{
    return &md->old_box;
}

void gd_md_want_energies(struct gd_md *md, int wanted)
{
    md->energies_wanted = wanted;
}

const struct gd_md_energies *gd_md_energies(const struct gd_md *md)
{
    gd_nonbonded_complete(md);
    return &md->energies;
}

size_t gd_md_num_baths(const struct gd_md *md)
{
    return md->num_baths;
}

const struct gd_md_bath *gd_md_bath(const struct gd_md *md, size_t index)
{
    return index < md->num_baths ? &md->bath[index] : NULL;
}

double gd_md_volume(const struct gd_md *md)
{
    return gd_box_volume(&md->old_box);
}

const double (*gd_md_pressure(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->report_pressure;
}

const double (*gd_md_virial(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->report_virial;
}

const double (*gd_md_kinetic_tensor(const struct gd_md *md))[3]
{
    return (const double(*)[3])md->report_kinetic;
}

double gd_md_mass(const struct gd_md *md)
{
    return md->total_mass;
}

int gd_md_converged(const struct gd_md *md)
{
    return gd_minimiser_converged(md);
}

double gd_md_phase_seconds(const struct gd_md *md, enum gd_md_phase phase)
{
    return md->phase_seconds[phase];
}

const char *gd_md_phase_name(enum gd_md_phase phase)
{
    static const char *const names[GD_MD_PHASES] = {"pair list", "nonbonded", "bonded", "constraints", "integration", "other"};
    return names[phase];
}

static int check_finite(const char *what, const double (*v)[3], size_t n, struct gd_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i][0]) || !isfinite(v[i][1]) || !isfinite(v[i][2]))
            return gd_err_set(err, GD_E_NOT_FINITE, "%s of atom %zu is not finite", what, i + 1);
    return 0;
}

int gd_md_set_state(struct gd_md *md, const double (*positions)[3], const double (*velocities)[3], const struct gd_box *box,
                    struct gd_err *err)
{
    int rc = positions != NULL ? check_finite("the position", positions, md->n, err) : 0;
    if (rc == 0 && velocities != NULL)
        rc = check_finite("the velocity", velocities, md->n, err);
    if (rc == 0 && box != NULL)
        rc = gd_box_check(box, err);
    if (rc == 0 && box != NULL && box->kind != md->box.kind)
        rc = gd_err_set(err, GD_E_INVALID_ARGUMENT, "a running simulation cannot change the kind of its box");
    if (rc == 0 && box != NULL && gd_box_half_width(box) < md->par.pairlist.rcutl)
        rc = gd_err_set(err, GD_E_INVALID_ARGUMENT, "half the width of the box, %g nm, is below the cutoff RCUTL %g nm",
                        gd_box_half_width(box), md->par.pairlist.rcutl);
    if (rc != 0)
        return rc;
    if (box != NULL) {
        md->box = *box;
        gd_periodicity_set(&md->pbc, &md->box);
    }
    if (positions != NULL) {
        memcpy(md->pos, positions, md->n * sizeof *md->pos);
        gd_charge_groups_gather(md);
    }
    if (velocities != NULL) {
        memcpy(md->vel, velocities, md->n * sizeof *md->vel);
        memcpy(md->old_vel, velocities, md->n * sizeof *md->vel);
        gd_temperature_compute(md); /* what coupling looks at in the next step */
    }
    if (positions != NULL || velocities != NULL)
        gd_flexible_from_velocities(md);
    md->reservoir.on_the_way = 0;
    gd_nonbonded_invalidate(md);
    if (positions != NULL || box != NULL)
        gd_velocity_verlet_invalidate(md);
    return 0;
}

int gd_md_set_bath(struct gd_md *md, size_t index, double temperature, double tau, struct gd_err *err)
{
    if (index >= md->num_baths)
        return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "bath %zu of %zu", index + 1, md->num_baths);
    if (!isfinite(temperature) || temperature < 0.0 || !(tau == -1.0 || (isfinite(tau) && tau > 0.0)))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a bath of %g K with a time of %g ps (> 0, or -1 for none)", temperature, tau);
    md->bath[index].reference = temperature;
    md->bath[index].tau = tau;
    md->coupled |= tau != -1.0 && md->par.multibath.thermostat != GD_THERMOSTAT_NONE;
    return 0;
}

int gd_md_set_pressure(struct gd_md *md, const double reference[3][3], double tau, struct gd_err *err)
{
    if (md->par.pressure.couple != GD_PRESSURE_SCALE)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "this run does not couple its pressure");
    if (!(isfinite(tau) && tau > 0.0) || check_finite("the reference pressure", reference, 3, NULL) != 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a pressure coupling time of %g ps, or a pressure that is not finite", tau);
    memcpy(md->par.pressure.reference, reference, sizeof md->par.pressure.reference);
    md->par.pressure.tau = tau;
    return 0;
}

/* What time-averaged restraints have in memory. */
static int export_averages(const struct gd_md *md, struct gd_configuration *conf, struct gd_err *err)
{
    struct gd_md_restraint_report report = gd_md_restraint_report(md);
    int rc = 0;
    if (md->par.distance_restraint.ntdir < 0 && report.distance_average != NULL) {
        rc = gd_configuration_set_distance_averages(conf, report.num_distances, err);
        if (rc == 0)
            memcpy(conf->distance_average, report.distance_average, report.num_distances * sizeof(double));
    }
    if (rc == 0 && md->par.jvalue.ntjvr < 0 && report.jvalue_average != NULL) {
        rc = gd_configuration_set_jvalue_averages(conf, report.num_jvalues, err);
        if (rc == 0)
            memcpy(conf->jvalue_average, report.jvalue_average, report.num_jvalues * sizeof(double));
    }
    if (rc == 0 && report.jvalue_grid > 0) {
        rc = gd_configuration_set_jvalue_elevations(conf, report.num_jvalues * report.jvalue_grid, err);
        if (rc == 0)
            memcpy(conf->jvalue_elevation, report.jvalue_elevation, report.num_jvalues * report.jvalue_grid * sizeof(double));
    }
    return rc;
}

static int export_extras(const struct gd_md *md, struct gd_configuration *conf, struct gd_err *err)
{
    int rc = 0;
    int chain = md->par.multibath.thermostat == GD_THERMOSTAT_NOSE_HOOVER          ? 1
                : md->par.multibath.thermostat == GD_THERMOSTAT_NOSE_HOOVER_CHAINS ? md->par.multibath.chain_length
                                                                                   : 0;
    if (chain > 0) {
        rc = gd_configuration_set_nhc(conf, md->num_baths, (size_t)chain, err);
        for (size_t b = 0; b < md->num_baths && rc == 0; b++)
            memcpy(conf->nhc_zeta + b * (size_t)chain, md->bath[b].zeta, (size_t)chain * sizeof(double));
    }
    if (rc == 0 && md->reference_position != NULL) {
        rc = gd_configuration_add(conf, GD_CONF_REFERENCE_POSITION, err);
        if (rc == 0)
            rc = gd_configuration_add(conf, GD_CONF_BFACTOR, err);
        if (rc == 0) {
            memcpy(conf->reference_position, md->reference_position, md->n * sizeof *md->reference_position);
            memcpy(conf->bfactor, md->bfactor, md->n * sizeof *md->bfactor);
        }
    }
    if (rc == 0 && gd_stochastic_integral(md) != NULL) {
        rc = gd_configuration_add(conf, GD_CONF_STOCHASTIC_INTEGRAL, err);
        if (rc == 0)
            memcpy(conf->stochastic_integral, gd_stochastic_integral(md), md->n * sizeof(gd_vec3));
    }
    if (rc == 0)
        rc = export_averages(md, conf, err);
    if (rc == 0)
        rc = gd_rottrans_export(md, conf, err);
    return rc;
}

static void label_atoms(const struct gd_md *md, struct gd_configuration *conf)
{
    const struct gd_topology *top = md->top;
    for (size_t i = 0; i < md->n; i++) {
        struct gd_atom_label *label = &conf->labels[i];
        int solvent = i >= top->num_solute_atoms;
        label->atom = top->name[i];
        label->residue_number = solvent ? (int32_t)((i - top->num_solute_atoms) / top->num_solvent_atoms) + 1 : top->residue[i] + 1;
        if (solvent)
            gd_name_set(&label->residue, "SOLV");
        else
            label->residue = top->residue_names[top->residue[i]];
    }
}

int gd_md_get_configuration(const struct gd_md *md, struct gd_configuration **out, struct gd_err *err)
{
    struct gd_configuration *conf;
    int rc = gd_configuration_create(&conf, md->n, err);
    if (rc != 0)
        return rc;
    rc = gd_configuration_add(conf, GD_CONF_VELOCITY, err);
    if (rc == 0)
        rc = gd_configuration_add(conf, GD_CONF_LABELS, err);
    if (rc == 0 && md->box.kind != GD_BOX_VACUUM)
        rc = gd_configuration_add(conf, GD_CONF_LATTICE_SHIFT, err);
    if (rc == 0)
        rc = export_extras(md, conf, err);
    if (rc != 0) {
        gd_configuration_destroy(&conf);
        return rc;
    }
    memcpy(conf->position, md->pos, md->n * sizeof *md->pos);
    memcpy(conf->velocity, md->vel, md->n * sizeof *md->vel);
    if (conf->lattice_shift != NULL)
        memcpy(conf->lattice_shift, md->lattice_shift, md->n * sizeof *md->lattice_shift);
    gd_charge_groups_wrap(md, conf->position);
    label_atoms(md, conf);
    conf->box = md->box;
    conf->has_box = 1;
    memcpy(conf->euler, md->euler, sizeof conf->euler);
    memcpy(conf->origin, md->origin, sizeof conf->origin);
    conf->has_time = 1;
    conf->step = md->step;
    conf->time = md->time;
    *out = conf;
    return 0;
}
