/* The angle of four atoms i-j-k-l and its gradient, for covalent terms and restraints alike. */
#ifndef GD_ENGINE_DIHEDRAL_H
#define GD_ENGINE_DIHEDRAL_H

#include "engine/md_internal.h"

struct gd_dihedral_geometry {
    double phi;                    /* (-pi, pi], IUPAC sign */
    double rij[3], rkj[3], rlj[3]; /* from j */
    double rmj[3], rnk[3];         /* normals rij x rkj and rkj x rkl */
    double on_i, on_l;             /* d phi / d ri = on_i rmj, d phi / d rl = -on_l rnk */
    double share_i, share_l;       /* d phi / d rj = share_i times that of i - share_l times that of l */
};

/* Source: Bekker, Berendsen and van Gunsteren 1995. */
void gd_dihedral_geometry(const struct gd_md *md, const int32_t *atom, struct gd_dihedral_geometry *g);

/* Adds -slope times the gradient to the forces; with_virial adds the atomic virial. slope = dV/dphi */
void gd_dihedral_force(struct gd_md *md, const int32_t *atom, const struct gd_dihedral_geometry *g, double slope, int with_virial);

#endif
