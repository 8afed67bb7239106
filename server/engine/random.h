/* The random numbers of GROMOS: seeds give the original's sequences. Two generators: the linear congruential one of
 * GROMOS96, and MT19937 (Matsumoto and Nishimura 1998, initialisation of 2002) as the GNU Scientific Library delivers it.
 * Plain values: a generator is saved by copying it. Not shared between threads. */
#ifndef GD_ENGINE_RANDOM_H
#define GD_ENGINE_RANDOM_H

#include <stdint.h>

struct gd_random {
    int32_t generator; /* enum gd_random_generator */
    int32_t position;  /* MT19937: next word */
    uint32_t word[624];
    int32_t g96_state;
    int32_t g96_stored;
    double g96_gauss;
};

void gd_random_seed(struct gd_random *random, int generator, int64_t seed);
uint32_t gd_random_bits(struct gd_random *random);  /* MT19937 only: 32 bits */
double gd_random_uniform(struct gd_random *random); /* [0, 1) */
/* Normal distribution of mean 0; polar form of Box and Muller in the order of each original. */
double gd_random_gauss(struct gd_random *random, double stddev);

#endif
