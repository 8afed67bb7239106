/* Plants a fault in each kernel in turn. */
#ifndef GD_TESTS_KERNELS_PLANTED_H
#define GD_TESTS_KERNELS_PLANTED_H

#include "check.h"

/* 1 if a fault was not seen. Takes half a minute: all input once per kernel. */
int check_planted(const struct gd_kernels *scalar, const struct gd_kernels *variant, uint64_t seed);

#endif
