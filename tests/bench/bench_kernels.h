/* Times every kernel of every variant beside a plain loop. */
#ifndef GD_TESTS_BENCH_KERNELS_H
#define GD_TESTS_BENCH_KERNELS_H

#include <stddef.h>

/* num_atoms 0: the usual sizes. only_best: not the other variants. Returns the exit status. */
int bench_kernels(size_t num_atoms, int only_best);

#endif
