/* Conjugate gradients after Fletcher and Reeves, or Polak and Ribiere: along each search direction the minimum is bracketed by
 * doubling and found by cubic interpolation. With constraints, forces are what SHAKE leaves of them. Source: GROMOS96 manual,
 * chapter on energy minimisation. */
#include "engine/constraints.h"
#include "engine/minimise.h"

int gd_minimise_conjugate_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    gd_vec3 **vectors[] = {&m->direction, &m->previous_direction, &m->force, &m->start_force, &m->scratch};
    int rc = 0;
    for (size_t k = 0; k < sizeof vectors / sizeof vectors[0] && rc == 0; k++)
        rc = gd_md_allocate((void **)vectors[k], md->n, sizeof(gd_vec3), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&m->energy_numbers, md->num_energy_numbers, sizeof(double), err);
    if (rc == 0 && md->constraints->solvent != GD_CONSTRAINT_OFF && md->constraints->solvent != GD_CONSTRAINT_SHAKE)
        rc = gd_err_set(err, GD_E_UNSUPPORTED, "ENERGYMIN: conjugate gradients need NTCS shake");
    if (rc == 0 && md->constraints->solute != GD_CONSTRAINT_OFF && md->constraints->solute != GD_CONSTRAINT_SHAKE)
        rc = gd_err_set(err, GD_E_UNSUPPORTED, "ENERGYMIN: conjugate gradients need NTCP shake");
    return rc;
}

static int constrained(const struct gd_md *md)
{
    return md->constraints->solute != GD_CONSTRAINT_OFF || md->constraints->solvent != GD_CONSTRAINT_OFF;
}

static double dot_all(const gd_vec3 *a, const gd_vec3 *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += gd_vec3_dot(a[i], b[i]);
    return sum;
}

/* Replaces the forces by the displacement that SHAKE leaves of a step of length `reach` along them. */
static int constrain_forces(struct gd_md *md, double reach, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    if (!constrained(md))
        return 0;
    double scale = reach / sqrt(dot_all((const gd_vec3 *)md->force, (const gd_vec3 *)md->force, md->n));
    gd_vec3 *pos = md->pos, *old = md->old_pos;
    md->old_pos = pos;
    md->pos = m->scratch;
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            m->scratch[i][d] = pos[i][d] + scale * md->force[i][d];
    int rc = gd_constraints_apply(md, 0, err);
    for (size_t i = 0; i < md->n && rc == 0; i++)
        for (int d = 0; d < 3; d++)
            md->force[i][d] = (m->scratch[i][d] - pos[i][d]) / scale;
    md->pos = pos;
    md->old_pos = old;
    return rc;
}

/* Forces and energy at old_pos + x direction; the slope along the direction. */
static int evaluate(struct gd_md *md, double x, double reach, double *energy, double *slope, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->pos[i][d] = md->old_pos[i][d] + x * m->direction[i][d];
    int rc = gd_md_compute_forces(md, err);
    if (rc == 0)
        rc = gd_md_sum_energies(md, err);
    if (rc != 0)
        return rc;
    *energy = gd_minimise_energy(md);
    gd_position_constraints_apply(md);
    rc = constrain_forces(md, reach, err);
    *slope = dot_all((const gd_vec3 *)m->direction, (const gd_vec3 *)md->force, md->n);
    return rc;
}

static double choose_beta(const struct gd_md *md)
{
    const struct gd_minimisation *m = md->minimiser;
    const gd_vec3 *now = (const gd_vec3 *)md->force, *before = (const gd_vec3 *)m->force;
    double before2 = dot_all(before, before, md->n), change = 0.0;
    if (!m->has_previous || before2 == 0.0 || (md->par.minimise.ncyc != 0 && md->step % md->par.minimise.ncyc == 0))
        return 0.0;
    if (md->par.minimise.ntem == GD_MINIMISE_FLETCHER_REEVES)
        return dot_all(now, now, md->n) / before2;
    for (size_t i = 0; i < md->n; i++) {
        double difference[3];
        gd_vec3_sub(now[i], before[i], difference);
        change += gd_vec3_dot(difference, now[i]);
    }
    return change / before2;
}

/* direction = force + beta previous direction; returns the slope along it. */
static double set_direction(struct gd_md *md, double beta)
{
    struct gd_minimisation *m = md->minimiser;
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            m->direction[i][d] = md->force[i][d] + (beta != 0.0 ? beta * m->previous_direction[i][d] : 0.0);
    return dot_all((const gd_vec3 *)m->direction, (const gd_vec3 *)md->force, md->n);
}

struct bracket {
    double a, energy_a, slope_a;
    double b, energy_b, slope_b;
};

/* Doubles b until the minimum lies before it. */
static int find_upper(struct gd_md *md, struct bracket *s, int *doubled, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    for (int tries = 0; tries < 200; tries++) {
        int rc = evaluate(md, s->b, m->step_size, &s->energy_b, &s->slope_b, err);
        if (rc != 0)
            return rc;
        if (s->slope_b < 0.0 || s->energy_b > s->energy_a)
            return 0;
        s->b *= 2.0;
        m->step_size *= 1.1;
        *doubled = 1;
    }
    return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the energy falls without end along the search direction",
                      gd_md_named_step(md));
}

static double interpolate(const struct bracket *s)
{
    double z = 3.0 * (s->energy_a - s->energy_b) / (s->b - s->a) - s->slope_a - s->slope_b;
    double w = sqrt(z * z - s->slope_a * s->slope_b);
    return s->b - (w - z - s->slope_b) * (s->b - s->a) / (s->slope_a - s->slope_b + 2.0 * w);
}

static int find_minimum(struct gd_md *md, struct bracket *s, double *x, struct gd_err *err)
{
    const struct gd_minimisation *m = md->minimiser;
    double before, energy, slope;
    *x = 0.0;
    for (int count = 1;; count++) {
        before = *x;
        *x = interpolate(s);
        if (!isfinite(*x))
            return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the search along a direction failed", gd_md_named_step(md));
        double moved = fabs(*x - before) * sqrt(m->direction2 / (double)md->n);
        if (moved < md->par.minimise.cgic || count >= md->par.minimise.cgim)
            return 0;
        int rc = evaluate(md, *x, *x * sqrt(m->direction2), &energy, &slope, err);
        if (rc != 0)
            return rc;
        if (slope > 0.0 && energy < s->energy_a) {
            s->a = *x;
            s->energy_a = energy;
            s->slope_a = slope;
        } else {
            s->b = *x;
            s->energy_b = energy;
            s->slope_b = slope;
        }
    }
}

/* The step's own forces and energies (those of its start) are kept over the search, which overwrites them. */
struct kept {
    struct gd_md_energies energies;
    gd_mat3 virial, kinetic;
};

static void keep(struct gd_md *md, struct kept *k)
{
    struct gd_minimisation *m = md->minimiser;
    k->energies = md->energies;
    memcpy(k->virial, md->virial, sizeof k->virial);
    memcpy(k->kinetic, md->kinetic_tensor, sizeof k->kinetic);
    memcpy(m->energy_numbers, md->energy_numbers, md->num_energy_numbers * sizeof(double));
    memcpy(m->start_force, md->force, md->n * sizeof *md->force);
}

static void restore(struct gd_md *md, const struct kept *k)
{
    struct gd_minimisation *m = md->minimiser;
    md->energies = k->energies;
    memcpy(md->virial, k->virial, sizeof k->virial);
    memcpy(md->kinetic_tensor, k->kinetic, sizeof k->kinetic);
    memcpy(md->energy_numbers, m->energy_numbers, md->num_energy_numbers * sizeof(double));
    memcpy(md->force, m->start_force, md->n * sizeof *md->force);
}

static void finish(struct gd_md *md, const struct bracket *first, double x, int doubled)
{
    struct gd_minimisation *m = md->minimiser;
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->pos[i][d] = md->old_pos[i][d] + x * m->direction[i][d];
    m->minimum = x;
    memcpy(m->force, md->force, md->n * sizeof *m->force);
    gd_vec3 *swap = m->previous_direction;
    m->previous_direction = m->direction;
    m->direction = swap;
    m->has_previous = 1;
    if (x < first->b / 10.0)
        m->step_size *= 0.9;
    if (doubled && m->step_size > md->par.minimise.dxm)
        m->step_size = md->par.minimise.dxm;
}

int gd_minimise_conjugate_step(struct gd_md *md, struct gd_err *err)
{
    struct gd_minimisation *m = md->minimiser;
    int rc = gd_md_sum_energies(md, err), doubled = 0;
    double reach = m->minimum * sqrt(m->direction2), x = 0.0;
    if (rc == 0)
        rc = constrain_forces(md, reach != 0.0 ? reach : m->step_size, err);
    if (rc != 0)
        return rc;
    double f2 = dot_all((const gd_vec3 *)md->force, (const gd_vec3 *)md->force, md->n);
    if (f2 == 0.0 || (md->step > md->par.minimise.nmin && sqrt(f2 / (double)md->n) < md->par.minimise.dele)) {
        m->converged = 1;
        return 0;
    }
    gd_minimise_limit_force(md);
    if (constrained(md) && m->has_previous)
        for (size_t i = 0; i < md->n; i++)
            for (int d = 0; d < 3; d++)
                m->previous_direction[i][d] = (md->pos[i][d] - md->old_pos[i][d]) / m->minimum;
    double beta = choose_beta(md);
    struct bracket search = {.energy_a = gd_minimise_energy(md)};
    search.slope_a = set_direction(md, beta);
    if (search.slope_a < 0.0)
        search.slope_a = set_direction(md, 0.0);
    m->direction2 = dot_all((const gd_vec3 *)m->direction, (const gd_vec3 *)m->direction, md->n);
    search.b = m->step_size / sqrt(m->direction2);
    struct bracket first = search;
    struct kept start;
    keep(md, &start);
    gd_md_exchange(md);
    rc = find_upper(md, &search, &doubled, err);
    if (rc == 0)
        rc = find_minimum(md, &search, &x, err);
    if (rc != 0)
        return rc;
    restore(md, &start);
    finish(md, &first, x, doubled);
    return 0;
}
