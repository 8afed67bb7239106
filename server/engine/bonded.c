/* Covalent terms: bonds, angles, improper, proper and cross dihedrals. Each adds forces, the energy to the group of its
 * first atom, and the atomic virial. Source: GROMOS manual volume 2, chapter on the interaction function: quartic and
 * harmonic bonds, cosine-harmonic and harmonic angles, harmonic impropers, dihedrals with any phase. */
#include <stdlib.h>

#include "engine/dihedral.h"

#define DEGREE (GD_PI / 180.0)

/* Bonds and angles that are not constrained; the other terms are taken from the topology as they are. */
struct gd_bonded {
    size_t num_bonds, num_angles;
    struct gd_bond *bonds;
    struct gd_angle *angles;
};

/* The angle's three atoms stand in the list of angle constraints. */
static int angle_is_constrained(const struct gd_md *md, const struct gd_angle *angle)
{
    for (size_t k = 0; md->par.angle_restraint.ntalr == 3 && k < md->res->num_angles; k++) {
        const int32_t *c = md->res->angles[k].atom, *a = angle->atom;
        if (c[1] == a[1] && ((c[0] == a[0] && c[2] == a[2]) || (c[0] == a[2] && c[2] == a[0])))
            return 1;
    }
    return 0;
}

int gd_bonded_create(struct gd_md *md, struct gd_err *err)
{
    struct gd_bonded *b = calloc(1, sizeof *b);
    if (b == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for bonded terms");
    md->bonded = b;
    b->bonds = calloc(md->top->num_bonds + 1, sizeof *b->bonds);
    if (b->bonds == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu bonds", md->top->num_bonds);
    for (size_t k = 0; k < md->top->num_bonds; k++)
        if (!gd_constraints_is_constrained(md, &md->top->bonds[k]))
            b->bonds[b->num_bonds++] = md->top->bonds[k];
    b->angles = calloc(md->top->num_angles + 1, sizeof *b->angles);
    if (b->angles == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu angles", md->top->num_angles);
    for (size_t k = 0; k < md->top->num_angles; k++)
        if (!angle_is_constrained(md, &md->top->angles[k]))
            b->angles[b->num_angles++] = md->top->angles[k];
    return 0;
}

void gd_bonded_destroy(struct gd_bonded **bonded)
{
    if (bonded == NULL || *bonded == NULL)
        return;
    free((*bonded)->bonds);
    free((*bonded)->angles);
    free(*bonded);
    *bonded = NULL;
}

static void bonds(struct gd_md *md)
{
    for (size_t k = 0; k < md->bonded->num_bonds; k++) {
        const struct gd_bond *term = &md->bonded->bonds[k];
        const struct gd_bond_type *type = &md->top->bond_types[term->type];
        int32_t i = term->atom[0], j = term->atom[1];
        double r[3], f[3], energy, stiffness, difference_of; /* f = r times both */
        gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], r);
        double r2 = gd_vec3_norm2(r), b0 = type->length;
        if (md->par.covalent.ntbbh == 0) {
            double difference = r2 - b0 * b0;
            stiffness = -type->quartic;
            difference_of = difference;
            energy = 0.25 * type->quartic * difference * difference;
        } else {
            double length = sqrt(r2), difference = length - b0;
            stiffness = -type->harmonic;
            difference_of = difference / length;
            energy = 0.5 * type->harmonic * difference * difference;
        }
        for (int d = 0; d < 3; d++) {
            f[d] = r[d] * stiffness * difference_of;
            md->force[i][d] += f[d];
            md->force[j][d] -= f[d];
        }
        gd_mat3_add_outer(md->virial, 1.0, r, f);
        md->energies.group_bond[md->energy_group[i]] += energy;
    }
}

static void angles(struct gd_md *md)
{
    for (size_t k = 0; k < md->bonded->num_angles; k++) {
        const struct gd_angle *term = &md->bonded->angles[k];
        const struct gd_angle_type *type = &md->top->angle_types[term->type];
        int32_t i = term->atom[0], j = term->atom[1], l = term->atom[2];
        double rij[3], rkj[3], fi[3], fk[3];
        gd_nearest_image(&md->pbc, md->pos[i], md->pos[j], rij);
        gd_nearest_image(&md->pbc, md->pos[l], md->pos[j], rkj);
        double dij = gd_vec3_norm(rij), dkj = gd_vec3_norm(rkj);
        double cosine = gd_vec3_dot(rij, rkj) / (dij * dkj), slope, energy; /* slope: -dV/dcos */
        if (md->par.covalent.ntbah == 0) {
            double difference = cosine - cos(type->angle * DEGREE);
            slope = -type->cosine * difference;
            energy = 0.5 * type->cosine * difference * difference;
        } else {
            double bounded = cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
            double theta = acos(bounded), sine = sqrt(1.0 - bounded * bounded);
            double force = type->harmonic / (DEGREE * DEGREE), difference = theta - type->angle * DEGREE;
            energy = 0.5 * force * difference * difference;
            slope = sine < 1e-12 ? -force : force * difference / sine; /* the limit of difference / sine at 180 degrees */
        }
        for (int d = 0; d < 3; d++) {
            fi[d] = slope / dij * (rkj[d] / dkj - rij[d] / dij * cosine);
            fk[d] = slope / dkj * (rij[d] / dij - rkj[d] / dkj * cosine);
            md->force[i][d] += fi[d];
            md->force[j][d] -= fi[d] + fk[d];
            md->force[l][d] += fk[d];
        }
        gd_mat3_add_outer(md->virial, 1.0, rij, fi);
        gd_mat3_add_outer(md->virial, 1.0, rkj, fk);
        md->energies.group_angle[md->energy_group[i]] += energy;
    }
}

static void impropers(struct gd_md *md)
{
    for (size_t k = 0; k < md->top->num_impropers; k++) {
        const struct gd_dihedral *term = &md->top->impropers[k];
        const struct gd_improper_type *type = &md->top->improper_types[term->type];
        struct gd_dihedral_geometry g;
        gd_dihedral_geometry(md, term->atom, &g);
        double force = type->force / (DEGREE * DEGREE);
        double difference = g.phi - type->angle * DEGREE;
        difference -= 2.0 * GD_PI * rint(difference / (2.0 * GD_PI));
        gd_dihedral_force(md, term->atom, &g, force * difference, 1);
        md->energies.group_improper[md->energy_group[term->atom[0]]] += 0.5 * force * difference * difference;
    }
}

/* V = K (1 + cos(m phi - delta)); for phases of 0 and 180 degrees this is K (1 + cos(delta) cos(m phi)). */
static void dihedrals(struct gd_md *md)
{
    for (size_t k = 0; k < md->top->num_dihedrals; k++) {
        const struct gd_dihedral *term = &md->top->dihedrals[k];
        const struct gd_dihedral_type *type = &md->top->dihedral_types[term->type];
        struct gd_dihedral_geometry g;
        gd_dihedral_geometry(md, term->atom, &g);
        double m = type->multiplicity, angle = m * g.phi - type->phase * DEGREE;
        gd_dihedral_force(md, term->atom, &g, -type->force * m * sin(angle), 1);
        md->energies.group_dihedral[md->energy_group[term->atom[0]]] += type->force * (1.0 + cos(angle));
    }
}

/* V = K (1 + cos(m (phi + psi) - delta)) */
static void cross_dihedrals(struct gd_md *md)
{
    for (size_t k = 0; k < md->top->num_cross_dihedrals; k++) {
        const struct gd_cross_dihedral *term = &md->top->cross_dihedrals[k];
        const struct gd_dihedral_type *type = &md->top->dihedral_types[term->type];
        struct gd_dihedral_geometry a, b;
        gd_dihedral_geometry(md, term->atom, &a);
        gd_dihedral_geometry(md, term->atom + 4, &b);
        double m = type->multiplicity, angle = m * (a.phi + b.phi) - type->phase * DEGREE;
        double slope = -type->force * m * sin(angle);
        gd_dihedral_force(md, term->atom, &a, slope, 1);
        gd_dihedral_force(md, term->atom + 4, &b, slope, 1);
        md->energies.group_crossdihedral[md->energy_group[term->atom[0]]] += type->force * (1.0 + cos(angle));
    }
}

void gd_bonded_forces(struct gd_md *md)
{
    if (md->par.force.bond)
        bonds(md);
    if (md->par.force.angle)
        angles(md);
    if (md->par.force.improper)
        impropers(md);
    if (md->par.force.dihedral) {
        dihedrals(md);
        cross_dihedrals(md);
    }
}
