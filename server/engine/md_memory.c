/* How much memory a run takes, before it is made: sizes that are known, and pair lists at the density of the start.
 *
 * Meant for quotas: it covers what is allocated (tests/unit/test_engine_memory.c) and is at most some two times that. A
 * system that condenses during the run may take more for its lists. */
#include "engine/md.h"

#include "core/box.h"

#include <math.h>

#define VACUUM_DENSITY 100.0 /* nm^-3: that of a liquid */
#define PER_ATOM 380.0       /* positions to forces, parameters, constraints, charge groups, cells; and a copy of the positions */
#define PER_THREAD 80.0      /* and atom: two sums of forces, candidates of a row, clusters' forces */
#define GROWTH 1.4           /* of lists: room that is left, and the old one while it is copied */
#define CLUSTERS 0.45        /* per atom, with slots left over */
#define CLUSTER_BYTES 420.0  /* places, boxes, extents and kinds of a cluster and its four slots, in double */
#define CLUSTER_REACH 0.25   /* nm: what the boxes of two clusters add to the radius */

static double sphere(double radius)
{
    return 4.0 / 3.0 * 3.141592653589793 * radius * radius * radius;
}

/* Atoms within the radius of one, at most all of them. */
static double neighbours(double atoms, double density, double radius)
{
    double found = density * sphere(radius);
    return found < atoms ? found : atoms;
}

static double density_of(const struct gd_configuration *start, double atoms)
{
    double volume = start->has_box ? gd_box_volume(&start->box) : 0.0;
    return volume > 0.0 ? atoms / volume : VACUUM_DENSITY;
}

/* Rows of partners; solvent molecules are listed by molecule. */
static double row_lists(const struct gd_topology *top, const struct gd_parameters *par, double atoms, double density)
{
    int atomic = par->pairlist.type == GD_CUTOFF_ATOMIC;
    double near = neighbours(atoms, density, par->pairlist.rcutl);
    double rows = atomic ? atoms : (double)top->num_solute_atoms, molecules = atomic ? 0.0 : (double)top->num_solvent_molecules;
    double sites = top->num_solvent_atoms > 0 ? (double)top->num_solvent_atoms : 1.0;
    double listed = rows * near * (atomic ? 0.5 : 1.0) + molecules * near / sites * 0.5;
    return 4.0 * (listed * GROWTH + 2.0 * 64.0 * (rows + molecules));
}

/* The list that was found and the pruned one. */
static double cluster_lists(const struct gd_parameters *par, double atoms, double density)
{
    double cutoff = par->pairlist.rcutl, buffer = par->pairlist.buffer < 0.0 ? 0.36 : par->pairlist.buffer;
    double found = cutoff + (buffer < cutoff ? buffer : cutoff) + CLUSTER_REACH, pruned = cutoff + 0.075 + CLUSTER_REACH;
    double clusters = CLUSTERS * atoms;
    double near = neighbours(27.0 * clusters, density * CLUSTERS, found) + neighbours(27.0 * clusters, density * CLUSTERS, pruned);
    double rows = 2.0 * 4.0 * 20.0, entries = 8.0 * 0.5 * near;
    return clusters * (CLUSTER_BYTES + GROWTH * (rows + entries));
}

struct gd_md_memory gd_md_memory(const struct gd_topology *top, const struct gd_parameters *par, const struct gd_configuration *start,
                                 int threads)
{
    double atoms = (double)top->num_atoms, density = density_of(start, atoms), groups = (double)par->force.num_energy_groups + 1.0;
    int verlet = par->pairlist.scheme == GD_SCHEME_VERLET;
    double types = (double)top->num_atom_types;
    double engine = atoms * (PER_ATOM + threads * PER_THREAD) + groups * groups * (64.0 + 64.0 * threads) + types * types * 48.0 +
                    (double)gd_topology_bytes(top) + 65536.0;
    engine += verlet ? cluster_lists(par, atoms, density) + atoms * 1.75 * 16.0 * (types < 8.0 ? types : 8.0)
                     : row_lists(top, par, atoms, density);
    /* Six vectors, the lattice shifts, the list's positions, those restrained to, kept forces of every thread, and two vectors more of
     * whichever integrator has some. */
    double state = atoms * (6.0 * 24.0 + 12.0 + 24.0 + 24.0 + threads * 24.0 + 48.0) + groups * groups * (48.0 + 16.0 * threads) + 32768.0;
    return (struct gd_md_memory){(size_t)engine, (size_t)state};
}
