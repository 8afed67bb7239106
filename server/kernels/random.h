/* Random numbers that depend on a seed and a position only, and are the same on every machine.
 *
 * Philox 4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC11 (2011). Normal numbers by Marsaglia's polar method; the logarithm is computed here, with operations that IEEE 754
 * rounds the same everywhere, instead of by a library whose last bit depends on its version. Reentrant. */
#ifndef GD_KERNELS_RANDOM_H
#define GD_KERNELS_RANDOM_H

#include <stdint.h>

/* One block: 128 random bits from a counter and a key. */
void gd_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Three independent normal numbers, mean 0, variance 1, for `index` under `seed`. */
void gd_random_normal3(uint64_t seed, uint64_t index, double out[3]);

/* The natural logarithm of 0 < x <= 1 (subnormal numbers excluded), to 2 units in the last place. */
double gd_random_log(double x);

#endif
