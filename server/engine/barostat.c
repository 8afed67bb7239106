/* Pressure and its weak coupling: box and positions are scaled after the step. Source: Berendsen et al. 1984; the
 * anisotropic forms as the GROMOS manual (volume 2) gives them, the full one with an upper triangular matrix. */
#include "core/box.h"
#include "engine/md_internal.h"

/* A truncated octahedron's tensors are reported in the frame of its triclinic cell, as GROMOS computes and writes them. */
static void report(const struct gd_md *md, double factor, const gd_mat3 from, gd_mat3 to)
{
    const gd_vec3 *axis = md->pbc.axis;
    int turn = md->pbc.kind == GD_BOX_TRUNCATED_OCTAHEDRON;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            double turned[3];
            gd_mat3_mul_vec(from, axis[b], turned);
            to[a][b] = factor * (turn ? gd_vec3_dot(axis[a], turned) : from[a][b]);
        }
}

void gd_pressure_compute(struct gd_md *md)
{
    double volume = gd_box_volume(&md->old_box);
    gd_mat3_zero(md->pressure);
    if (md->par.pressure.couple != GD_PRESSURE_OFF && volume > 0.0)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                md->pressure[a][b] = (md->kinetic_tensor[a][b] + 0.5 * md->virial[a][b]) * (2.0 / volume);
    report(md, -0.5, (const gd_vec3 *)md->virial, md->report_virial);
    report(md, 1.0, (const gd_vec3 *)md->kinetic_tensor, md->report_kinetic);
    report(md, 1.0, (const gd_vec3 *)md->pressure, md->report_pressure);
}

/* mu of one pressure difference. */
static double scale_of(const struct gd_md *md, double reference_minus_pressure)
{
    return pow(1.0 - md->par.pressure.compressibility * md->par.step.dt / md->par.pressure.tau * reference_minus_pressure, 1.0 / 3.0);
}

static int scales_reference(const struct gd_md *md)
{
    return md->par.position_restraint.ntpor != 0 && md->par.position_restraint.ntpors != 0 && md->reference_position != NULL;
}

static void note_strain(struct gd_md *md, const double mu[3])
{
    for (int d = 0; d < 3; d++)
        md->reservoir.strain[d][d] += log(mu[d]);
}

static void scale_vectors(gd_vec3 *vectors, size_t n, const double mu[3])
{
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++)
            vectors[i][d] *= mu[d];
}

/* Box and reference positions. */
static void scale_frame(struct gd_md *md, const double mu[3])
{
    scale_vectors(md->box.vectors, 3, mu);
    if (scales_reference(md))
        scale_vectors(md->reference_position, md->n, mu);
}

static void scale_diagonal(struct gd_md *md, const double mu[3])
{
    note_strain(md, mu);
    scale_frame(md, mu);
    scale_vectors(md->pos, md->n, mu);
}

static double pair_scale(const struct gd_md *md, int a, int b)
{
    return scale_of(md,
                    (md->par.pressure.reference[a][a] + md->par.pressure.reference[b][b] - md->pressure[a][a] - md->pressure[b][b]) / 2.0);
}

/* One factor per axis; axes with the same positive number share the mean of two pressures, 0 is left alone. With three equal
 * numbers the later pairs (x, z) and (y, z) win, as in the original. */
static void scale_semianisotropic(const struct gd_md *md, const int32_t semi[3], double mu[3])
{
    for (int d = 0; d < 3; d++)
        mu[d] = semi[d] < 1 ? 1.0 : scale_of(md, md->par.pressure.reference[d][d] - md->pressure[d][d]);
    static const int pair[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    for (int k = 0; k < 3; k++) {
        int a = pair[k][0], b = pair[k][1];
        if (semi[a] > 0 && semi[a] == semi[b])
            mu[a] = mu[b] = pair_scale(md, a, b);
    }
}

static void scale_transposed(const gd_mat3 mu, double x[3])
{
    double r[3];
    for (int d = 0; d < 3; d++)
        r[d] = mu[0][d] * x[0] + mu[1][d] * x[1] + mu[2][d] * x[2];
    gd_vec3_copy(x, r);
}

/* Box and positions by the triangular matrix: mu_ij = delta_ij - comp dt / (3 tau) (P0_ij - P_ij), the lower triangle
 * folded into the upper so that the cell does not turn. Edges mix with edges, components with components, as in the
 * reference. */
static void scale_full(struct gd_md *md)
{
    gd_mat3 mu;
    double factor = md->par.pressure.compressibility * md->par.step.dt / (3.0 * md->par.pressure.tau);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            mu[a][b] = (a == b ? 1.0 : 0.0) - factor * (md->par.pressure.reference[a][b] - md->pressure[a][b]);
    for (int a = 0; a < 3; a++)
        for (int b = a + 1; b < 3; b++) {
            mu[a][b] += mu[b][a];
            mu[b][a] = 0.0;
        }
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            md->reservoir.strain[b][a] += mu[a][b] - (a == b ? 1.0 : 0.0);
    gd_mat3 edge;
    memcpy(edge, md->box.vectors, sizeof edge);
    for (int e = 0; e < 3; e++)
        for (int d = 0; d < 3; d++)
            md->box.vectors[e][d] = mu[0][e] * edge[0][d] + mu[1][e] * edge[1][d] + mu[2][e] * edge[2][d];
    int reference = scales_reference(md);
    for (size_t i = 0; i < md->n; i++) {
        scale_transposed((const gd_vec3 *)mu, md->pos[i]);
        if (reference)
            scale_transposed((const gd_vec3 *)mu, md->reference_position[i]);
    }
}

static void scale_weakly(struct gd_md *md)
{
    double mu[3];
    double trace = (md->pressure[0][0] + md->pressure[1][1] + md->pressure[2][2]) / 3.0;
    switch (md->par.pressure.scale) {
    case GD_SCALE_OFF:
        return;
    case GD_SCALE_ISO:
        mu[0] = mu[1] = mu[2] = scale_of(md, md->par.pressure.reference[0][0] - trace);
        scale_diagonal(md, mu);
        break;
    case GD_SCALE_ANISO:
        for (int d = 0; d < 3; d++)
            mu[d] = scale_of(md, md->par.pressure.reference[d][d] - md->pressure[d][d]);
        scale_diagonal(md, mu);
        break;
    case GD_SCALE_SEMIANISO:
        scale_semianisotropic(md, md->par.pressure.semi, mu);
        scale_diagonal(md, mu);
        break;
    case GD_SCALE_FULL:
        /* The reference lets a diagonal scaling with the default SEMI follow the full one; its numbers include it. */
        scale_full(md);
        scale_semianisotropic(md, (const int32_t[3]){1, 1, 1}, mu);
        scale_diagonal(md, mu);
        break;
    }
}

int gd_barostat_apply(struct gd_md *md, struct gd_err *err)
{
    if (md->par.pressure.couple != GD_PRESSURE_SCALE || md->par.pressure.scale == GD_SCALE_OFF)
        return 0;
    double mu[3], before = gd_reservoir_begin(md);
    switch (md->par.pressure.barostat) {
    case GD_BAROSTAT_BERENDSEN:
        scale_weakly(md);
        break;
    case GD_BAROSTAT_STOCHASTIC_CELL:
        gd_barostat_stochastic(md, mu);
        gd_reservoir_end(md, before);
        note_strain(md, mu);
        scale_frame(md, mu);
        break;
    case GD_BAROSTAT_PARRINELLO_RAHMAN:
        gd_barostat_parrinello(md, mu);
        gd_reservoir_end(md, before);
        note_strain(md, mu);
        scale_frame(md, mu);
        break;
    }
    gd_reservoir_strain(md);
    gd_periodicity_set(&md->pbc, &md->box);
    if (gd_box_half_width(&md->box) < md->par.pairlist.rcutl)
        return gd_err_set(err, GD_E_SIMULATION_FAILED, "step %lld: the box has shrunk below twice the cutoff RCUTL %g nm",
                          gd_md_named_step(md), md->par.pairlist.rcutl);
    return 0;
}
