/* Velocities from Maxwell's distribution at TEMPI with the generator of RANDOMNUMBERS seeded by IG: atom by atom, x y z. */
#include "engine/md_internal.h"

void gd_velocities_generate(struct gd_md *md)
{
    struct gd_random random;
    gd_random_seed(&random, (int)md->par.random.generator, md->par.initialise.ig);
    for (size_t i = 0; i < md->n; i++) {
        double stddev = sqrt(md->top->boltzmann * md->par.initialise.tempi / md->mass[i]);
        for (int d = 0; d < 3; d++)
            md->vel[i][d] = gd_random_gauss(&random, stddev);
    }
}
