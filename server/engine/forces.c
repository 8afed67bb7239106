/* All forces on the current positions, in the order of GROMOS: covalent terms, nonbonded pairs, the molecular virial from
 * the atomic one, then restraints, which do not take part in it. */
#include "engine/md_internal.h"

int gd_md_compute_forces(struct gd_md *md, struct gd_err *err)
{
    memset(md->force, 0, md->n * sizeof *md->force);
    gd_md_zero_potential_energies(md);
    gd_virial_prepare(md);
    double start = gd_md_clock();
    gd_bonded_forces(md);
    md->phase_seconds[GD_MD_BONDED] += gd_md_clock() - start;
    int rc = gd_nonbonded_forces(md, err);
    if (rc != 0)
        return rc;
    start = gd_md_clock();
    gd_virial_molecular(md);
    gd_reservoir_forces(md);
    rc = gd_special_forces(md, err);
    md->phase_seconds[GD_MD_OTHER] += gd_md_clock() - start;
    return rc;
}
