/* Stochastic (Langevin) dynamics by the leap-frog of van Gunsteren and Berendsen 1988; coefficients c1 to c9 as the GROMOS96
 * manual has them (section 2.11.2, equation numbers below; c6 with 1/120 where the manual prints 1/10), a series where
 * friction times step is small. Friction: CFRIC for
 * all atoms, or scaled by how exposed an atom is. Random numbers are drawn atom by atom, so that seeds reproduce. */
#include <stdlib.h>

#include "engine/constraints.h"
#include "engine/md_internal.h"

struct coefficients {
    double gamma; /* ps^-1 */
    double c1, c2, c3, c4, c5, c6, c7, c8, c9;
};

struct gd_stochastic {
    struct gd_random random;
    struct coefficients *c; /* [n] */
    gd_vec3 *integral;      /* [n] */
    gd_vec3 *drawn[4];      /* [n] of this step */
    int32_t *neighbours;    /* [n] */
};

/* Series in h = gamma dt / 2 or closed forms; both from the manual. */
static void set_closed(struct coefficients *c, double gdt)
{
    double gdth = 0.5 * gdt, em = exp(-gdth), ep = exp(gdth), em2 = em * em, ep2 = ep * ep;
    double omdt = 1.0 - em2, cdth = gdt - 3.0 + 4.0 * em - em2, ddth = 2.0 - ep - em;
    double bp = gdt * (ep2 - 1.0) - 4.0 * (ep - 1.0) * (ep - 1.0), bm = gdt * omdt - 4.0 * (em - 1.0) * (em - 1.0);
    double g = fabs(c->gamma);
    c->c1 = em2;
    c->c2 = omdt / gdt;
    c->c3 = sqrt(fabs(omdt));
    c->c4 = sqrt(fabs(bp / cdth));
    c->c5 = g * ddth / cdth;
    c->c6 = (ep - em) / gdt;
    c->c7 = sqrt(fabs(cdth)) / g;
    c->c8 = sqrt(fabs(bm / omdt)) / g;
    c->c9 = -ddth / (g * omdt);
}

/* Horner's rule, lowest power first. */
static double series(const double *a, int n, double x)
{
    double sum = 0.0;
    for (int k = n - 1; k >= 0; k--)
        sum = sum * x + a[k];
    return sum;
}

#define SERIES(x, ...) series((const double[]){__VA_ARGS__}, (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)), x)

static void set_series(struct coefficients *c, double gdt, double dt)
{
    double h = 0.5 * gdt;
    c->c1 = exp(-gdt);
    c->c2 = SERIES(h, 1.0, -1.0, 2.0 / 3.0, -1.0 / 3.0, 2.0 / 15.0, -2.0 / 45.0, 4.0 / 315.0);
    c->c3 = sqrt(fabs(c->c2) * 2.0 * h);
    c->c4 = sqrt(fabs(SERIES(h, 0.0, 1.0 / 2.0, 7.0 / 8.0, 367.0 / 480.0, 857.0 / 1920.0, 52813.0 / 268800.0, 224881.0 / 3225600.0,
                             1341523.0 / 64512000.0)));
    c->c5 = -2.0 / dt * SERIES(h, 1.5, 9.0 / 8.0, 71.0 / 160.0, 81.0 / 640.0, 7807.0 / 268800.0, 1971.0 / 358400.0, 56417.0 / 64512000.0);
    c->c6 = SERIES(h, 1.0, 0.0, 1.0 / 6.0, 0.0, 1.0 / 120.0, 0.0, 1.0 / 5040.0);
    c->c7 =
        dt * 0.5 * sqrt(fabs(SERIES(h, 0.0, 2.0 / 3.0, -1.0 / 2.0, 7.0 / 30.0, -1.0 / 12.0, 31.0 / 1260.0, -1.0 / 160.0, 127.0 / 90720.0)));
    c->c8 = dt * 0.5 * sqrt(fabs(SERIES(h, 0.0, 1.0 / 6.0, 0.0, -1.0 / 60.0, 0.0, 17.0 / 10080.0, 0.0, -31.0 / 181440.0)));
    c->c9 = dt * 0.5 * SERIES(h, 0.5, 0.5, 5.0 / 24.0, 1.0 / 24.0, 1.0 / 240.0, 1.0 / 720.0, 5.0 / 8064.0);
}

static void draw(struct gd_random *random, double stddev, double out[3])
{
    for (int d = 0; d < 3; d++)
        out[d] = gd_random_gauss(random, stddev);
}

/* sqrt(kB T / m) of the reference temperature */
static double thermal_speed(const struct gd_md *md, size_t i)
{
    return sqrt(md->top->boltzmann * md->par.stochastic.tempsd / md->mass[i]);
}

static void count_neighbours(struct gd_md *md)
{
    struct gd_stochastic *s = md->stochastic;
    double cutoff2 = md->par.stochastic.rcutf * md->par.stochastic.rcutf, r[3];
    memset(s->neighbours, 0, md->n * sizeof *s->neighbours);
    for (size_t i = 0; i < md->n; i++)
        for (size_t j = i + 1; j < md->n; j++) {
            gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], r);
            if (gd_vec3_norm2(r) < cutoff2) {
                s->neighbours[i]++;
                s->neighbours[j]++;
            }
        }
}

/* Friction and coefficients of all atoms; `generate` also draws the stochastic integrals of a new start. */
static void set_friction(struct gd_md *md, int generate)
{
    struct gd_stochastic *s = md->stochastic;
    const double dt = md->par.step.dt;
    if (md->par.stochastic.ntfr == 3)
        count_neighbours(md);
    for (size_t i = 0; i < md->n; i++) {
        double factor = md->par.stochastic.ntfr == 1 ? 1.0 : 0.0;
        if (md->par.stochastic.ntfr == 3)
            factor = fmax(0.0, 1.0 - s->neighbours[i] / (double)md->par.stochastic.nbref);
        s->c[i].gamma = md->par.stochastic.cfric * factor;
        double gdt = fabs(s->c[i].gamma) * dt, em = exp(-0.5 * gdt);
        if (gdt > 0.05)
            set_closed(&s->c[i], gdt);
        else
            set_series(&s->c[i], gdt, dt);
        if (!generate)
            continue;
        if (s->c[i].gamma < 1e-14)
            memset(s->integral[i], 0, sizeof s->integral[i]);
        else
            draw(&s->random, thermal_speed(md, i) / s->c[i].gamma * sqrt(gdt - 3.0 + 4.0 * em - em * em), s->integral[i]);
    }
}

static int check(const struct gd_md *md, struct gd_err *err)
{
    const struct gd_parameters *p = &md->par;
    if (p->stochastic.ntfr == 2)
        return gd_err_set(err, GD_E_UNSUPPORTED, "STOCHDYN: NTFR 2 (friction coefficients from a file) is not available");
    if (p->stochastic.ntfr == 3 && (p->stochastic.nbref <= 0 || p->stochastic.nsfr <= 0))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "STOCHDYN: NSFR %lld and NBREF %lld must be positive with NTFR 3",
                          (long long)p->stochastic.nsfr, (long long)p->stochastic.nbref);
    if (md->constraints->solute != GD_CONSTRAINT_OFF && md->constraints->solute != GD_CONSTRAINT_SHAKE)
        return gd_err_set(err, GD_E_UNSUPPORTED, "STOCHDYN: the solute's constraints must be shake, or off");
    return 0;
}

int gd_stochastic_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    if (md->par.stochastic.ntsd == 0)
        return 0;
    int rc = check(md, err);
    if (rc != 0)
        return rc;
    struct gd_stochastic *s = calloc(1, sizeof *s);
    if (s == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for stochastic dynamics");
    md->stochastic = s;
    rc = gd_md_allocate((void **)&s->c, md->n, sizeof *s->c, err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&s->integral, md->n, sizeof *s->integral, err);
    for (int k = 0; k < 4 && rc == 0; k++)
        rc = gd_md_allocate((void **)&s->drawn[k], md->n, sizeof(gd_vec3), err);
    if (rc == 0)
        rc = gd_md_allocate((void **)&s->neighbours, md->n, sizeof *s->neighbours, err);
    if (rc != 0)
        return rc;
    int generate = md->par.initialise.ntisti != 0;
    gd_random_seed(&s->random, (int)md->par.random.generator, md->par.initialise.ig);
    if (!generate) {
        if (conf->stochastic_integral == NULL)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "INITIALISE: NTISTI 0 needs STOCHINT in the configuration; use 1");
        memcpy(s->integral, conf->stochastic_integral, md->n * sizeof *s->integral);
    }
    set_friction(md, generate);
    return 0;
}

void gd_stochastic_destroy(struct gd_stochastic **stochastic)
{
    if (stochastic == NULL || *stochastic == NULL)
        return;
    free((*stochastic)->c);
    free((*stochastic)->integral);
    for (int k = 0; k < 4; k++)
        free((*stochastic)->drawn[k]);
    free((*stochastic)->neighbours);
    free(*stochastic);
    *stochastic = NULL;
}

/* Velocities before constraints: 2.11.2.2 with the integrals of 2.11.2.20. */
static void first_velocities(struct gd_md *md)
{
    struct gd_stochastic *s = md->stochastic;
    const double dt = md->par.step.dt;
    for (size_t i = 0; i < md->n; i++) {
        const struct coefficients *c = &s->c[i];
        if (c->gamma == 0.0) {
            for (int d = 0; d < 3; d++)
                md->vel[i][d] = md->old_vel[i][d] + md->force[i][d] * dt / md->mass[i];
            continue;
        }
        double speed = thermal_speed(md, i), kick = dt * c->c2 / md->mass[i];
        draw(&s->random, c->c3 * speed, s->drawn[0][i]);
        draw(&s->random, speed * c->c4, s->drawn[1][i]);
        for (int d = 0; d < 3; d++) {
            double correlated = s->integral[i][d] * c->c5 + s->drawn[1][i][d];
            md->vel[i][d] = (md->old_vel[i][d] - correlated) * c->c1 + md->force[i][d] * kick + s->drawn[0][i][d];
            s->integral[i][d] = s->drawn[0][i][d];
        }
        draw(&s->random, speed * c->c7, s->drawn[2][i]);
        draw(&s->random, speed * c->c8, s->drawn[3][i]);
    }
    s->random.g96_stored = 0; /* the GROMOS96 generator forgets its spare number when its seed is written, every step */
}

/* The random part of the positions: 2.11.2.25 and 26. */
static void second_positions(struct gd_md *md)
{
    struct gd_stochastic *s = md->stochastic;
    for (size_t i = 0; i < md->n; i++) {
        if (s->c[i].gamma == 0.0)
            continue;
        for (int d = 0; d < 3; d++) {
            double correlated = s->integral[i][d] * s->c[i].c9 + s->drawn[3][i][d];
            s->integral[i][d] = s->drawn[2][i][d];
            md->pos[i][d] += s->drawn[2][i][d] - correlated;
        }
    }
}

int gd_stochastic_step(struct gd_md *md, struct gd_err *err)
{
    struct gd_stochastic *s = md->stochastic;
    const double dt = md->par.step.dt;
    if (md->par.stochastic.ntfr == 3 && md->step % md->par.stochastic.nsfr == 0)
        set_friction(md, md->step == 0 && md->par.initialise.ntisti != 0);
    gd_reservoir_arrive(md);
    gd_md_exchange(md);
    first_velocities(md);
    gd_thermostat_apply(md);
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->pos[i][d] = md->old_pos[i][d] + md->vel[i][d] * dt * s->c[i].c6;
    int rc = gd_constraints_apply(md, 0, err);
    if (rc != 0)
        return rc;
    if (md->constraints->solute != GD_CONSTRAINT_OFF || md->constraints->solvent != GD_CONSTRAINT_OFF)
        for (size_t i = 0; i < md->n; i++) { /* 2.11.2.24 */
            double r[3];
            gd_nearest_image(&md->pbc, md->pos[i], md->old_pos[i], r);
            for (int d = 0; d < 3; d++)
                md->vel[i][d] = r[d] / (s->c[i].c6 * dt);
        }
    gd_temperature_compute(md);
    gd_reservoir_stochastic(md);
    gd_pressure_compute(md);
    rc = gd_barostat_apply(md, err);
    if (rc == 0)
        rc = gd_md_sum_energies(md, err);
    if (rc != 0)
        return rc;
    second_positions(md);
    rc = gd_constraints_apply(md, 0, err);
    if (rc == 0)
        gd_reservoir_depart(md);
    return rc;
}

void gd_stochastic_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    struct gd_stochastic *s = md->stochastic;
    if (s == NULL)
        return;
    visit(context, &s->random, sizeof s->random);
    visit(context, s->c, md->n * sizeof *s->c);
    visit(context, s->integral, md->n * sizeof *s->integral);
}

const gd_vec3 *gd_stochastic_integral(const struct gd_md *md)
{
    return md->stochastic != NULL ? (const gd_vec3 *)md->stochastic->integral : NULL;
}
