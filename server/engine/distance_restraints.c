/* Distance restraints between atoms, virtual atoms and pseudo atoms: harmonic up to a deviation RLIN, linear beyond; full,
 * repulsive or attractive; in three dimensions or fewer; instantaneous or on the running average of r^-3. Source: GROMOS
 * manual volume 2; Torda, Scheek and van Gunsteren 1989 for the averages. */
#include <stdlib.h>

#include "engine/special.h"

static void difference(const struct gd_md *md, const struct gd_distance_restraint *restraint, double v[3])
{
    double a[3], b[3];
    gd_virtual_atom_position(md, &restraint->a, a);
    gd_virtual_atom_position(md, &restraint->b, b);
    gd_nearest_image(&md->pbc, a, b, v);
}

/* RAH = kind + code: which components count, and 0 full, -1 repulsive, 1 attractive. */
static int split_rah(int32_t rah, int *kind, int keep[3])
{
    static const int kept[7][3] = {{1, 1, 1}, {1, 1, 0}, {1, 0, 1}, {0, 1, 1}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    int code = (rah + 1) / 10;
    *kind = rah - 10 * code;
    keep[0] = keep[1] = keep[2] = 1;
    if (rah < -1 || code > 6 || *kind > 1 || *kind < -1)
        return 0;
    memcpy(keep, kept[code], sizeof kept[code]);
    return 1;
}

int gd_distance_restraints_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    if (md->par.distance_restraint.ntdir == 0)
        return 0;
    struct gd_restraint_values *values = &md->special->distance;
    size_t n = md->res->num_distances;
    if (n == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "DISTANCERES: NTDIR %d needs a list of restraints (DISTANCERESSPEC)",
                          md->par.distance_restraint.ntdir);
    int rc = gd_restraint_values_create(values, n, err);
    int read = md->par.distance_restraint.ntdir < 0 && md->par.distance_restraint.ntdira != 0;
    if (rc == 0 && read && conf->num_distance_averages != n)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "DISTANCERES: NTDIRA %d, but the configuration holds %zu averages for %zu "
                          "restraints (DISRESEXPAVE)",
                          md->par.distance_restraint.ntdira, conf->num_distance_averages, n);
    for (size_t k = 0; k < n && rc == 0; k++) {
        double v[3];
        int kind, keep[3];
        if (!split_rah(md->res->distances[k].rah, &kind, keep))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "DISTANCERESSPEC row %zu: RAH %d is none of -1, 0, 1 plus 0 to 60", k + 1,
                              md->res->distances[k].rah);
        difference(md, &md->res->distances[k], v);
        values->value[k] = gd_vec3_norm(v);
        values->average[k] = read ? conf->distance_average[k] : pow(values->value[k], -3.0);
    }
    return rc;
}

/* Energy and dV/dr at distance r. */
static double potential(const struct gd_md *md, const struct gd_distance_restraint *restraint, int kind, double r, double *slope)
{
    double constant = md->par.distance_restraint.cdir, linear = md->par.distance_restraint.dir0;
    double deviation = r - restraint->r0;
    *slope = 0.0;
    if (kind * r < kind * restraint->r0)
        return 0.0;
    if (abs(md->par.distance_restraint.ntdir) == 2)
        constant *= restraint->weight;
    if (fabs(deviation) < linear) {
        *slope = constant * deviation;
        return 0.5 * constant * deviation * deviation;
    }
    *slope = deviation < 0.0 ? -constant * linear : constant * linear;
    return constant * linear * (fabs(deviation) - 0.5 * linear);
}

/* FORCESCALE: how the force on an average is passed to the distance of the moment. */
static double average_scale(const struct gd_md *md, double memory, double average, double now)
{
    switch (md->par.distance_restraint.forcescale) {
    case 1:
        return 1.0 - memory;
    case 2:
        return (1.0 - memory) * average * average * average * average / (now * now * now * now);
    default:
        return 1.0;
    }
}

void gd_distance_restraints_forces(struct gd_md *md)
{
    struct gd_restraint_values *values = &md->special->distance;
    const int averaged = md->par.distance_restraint.ntdir < 0;
    const double memory = averaged ? exp(-md->par.step.dt / md->par.distance_restraint.taudir) : 0.0;
    for (size_t k = 0; k < values->count; k++) {
        const struct gd_distance_restraint *restraint = &md->res->distances[k];
        double v[3], slope, scale = 1.0;
        int kind, keep[3];
        split_rah(restraint->rah, &kind, keep);
        difference(md, restraint, v);
        for (int d = 0; d < 3; d++)
            v[d] *= keep[d];
        double now = gd_vec3_norm(v), r = now;
        values->value[k] = now;
        if (averaged) {
            values->average[k] = (1.0 - memory) * pow(now, -3.0) + memory * values->average[k];
            r = pow(values->average[k], -1.0 / 3.0);
            scale = average_scale(md, memory, r, now);
        } else {
            values->average[k] = 0.0;
        }
        values->energy[k] = potential(md, restraint, kind, r, &slope);
        md->energies.group_distance[md->energy_group[restraint->a.atom[0]]] += values->energy[k];
        if (slope == 0.0)
            continue;
        double f[3], minus[3];
        for (int d = 0; d < 3; d++) {
            f[d] = -scale * slope * v[d] / now;
            minus[d] = -f[d];
        }
        gd_virtual_atom_force(md, &restraint->a, f);
        gd_virtual_atom_force(md, &restraint->b, minus);
        if (md->par.distance_restraint.vdir)
            gd_mat3_add_outer(md->virial, 1.0, v, f);
    }
}
