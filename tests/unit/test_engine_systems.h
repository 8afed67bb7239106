/* Small systems for the engine's tests, built from arrays as a client would. */
#ifndef GD_TEST_ENGINE_SYSTEMS_H
#define GD_TEST_ENGINE_SYSTEMS_H

#include "engine/md.h"

struct test_system {
    struct gd_topology *top;
    struct gd_parameters par;
    struct gd_configuration *conf;
    struct gd_restraints *res;
};

/* per_edge^3 SPC water molecules on a lattice, box edge 0.31 nm per molecule, turned and pushed about at random (seeded);
 * cutoffs of 0.3 of the box, reaction field. Expanded. */
void test_water_create(struct test_system *s, int per_edge, unsigned seed);

/* Eight atoms in one molecule with every kind of covalent term, exclusions, 1-4 pairs and an exception, and two free ions;
 * in a box of the given kind (edge 3 nm; GD_BOX_VACUUM: none). */
void test_molecule_create(struct test_system *s, int box_kind, unsigned seed);

void test_system_destroy(struct test_system *s);

/* Creates a run or fails the test. */
struct gd_md *test_run(const struct test_system *s, int threads);
/* n steps or fails the test. */
void test_steps(struct gd_md *md, int n);

double test_random(unsigned *state); /* [0, 1) */

#endif
