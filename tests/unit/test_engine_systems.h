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

/* per_edge^3 SPC water molecules on a lattice, box edge 0.31 nm per molecule, turned and pushed about at
 * random (seeded); cutoffs of 0.3 of the box, reaction field. Expanded. */
void test_water_create(struct test_system *s, int per_edge, unsigned seed);

/* Eight atoms in one molecule with every kind of covalent term, exclusions, 1-4 pairs and an exception, and
 * two free ions; in a box of the given kind (edge 3 nm; GD_BOX_VACUUM: none). */
void test_molecule_create(struct test_system *s, int box_kind, unsigned seed);

/* 27 rigid water molecules that do not see each other, in a box of 3 nm: their centres of mass are an ideal
 * gas, whose volume under a barostat has p(V) ~ V^N exp(-P V / kT), a gamma distribution with the mean (N +
 * 1) kT / P and the variance (N + 1) (kT / P)^2. Scaled by the pressure, whose reference makes the mean 28 kT
 * / P = 27 nm^3; the barostat's kind and time are the caller's to set. */
void test_ideal_gas_create(struct test_system *s, double dt);
/* Translation and rotation have a bath each (nothing collides): velocity rescaling to 300 K. Runs, and holds
 * the volume against the distribution. */
void test_ideal_gas_volume(struct test_system *s);

/* One bath of 300 K for all atoms. */
void test_couple(struct test_system *s, enum gd_thermostat thermostat, double tau);

/* The run cannot be made, with this error, which says the word. */
void test_refused(const struct test_system *s, int code, const char *word);

void test_system_destroy(struct test_system *s);

/* Creates a run or fails the test. */
struct gd_md *test_run(const struct test_system *s, int threads);
/* n steps or fails the test. */
void test_steps(struct gd_md *md, int n);

double test_random(unsigned *state); /* [0, 1) */

#endif
