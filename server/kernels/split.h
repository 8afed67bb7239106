/* One piece of work for several threads: a range is cut into pieces, which the threads of k->crew take as they come. What a piece writes
 * is its own, or a sum of integers per thread, so that a result is the same bit for bit however many threads there were. */
#ifndef GD_KERNELS_SPLIT_H
#define GD_KERNELS_SPLIT_H

#include "kernels/kernels.h"

/* How many threads gd_split will use at most, at least 1: the room a caller needs for what each has of its own. */
int gd_split_threads(const struct gd_kernels *k);

/* Calls piece(context, begin, end, thread) for all of 0 .. count - 1, `step` at a time; `thread` is below gd_split_threads. Returns when all
 * is done. */
void gd_split(const struct gd_kernels *k, size_t count, size_t step, void (*piece)(void *context, size_t begin, size_t end, int thread),
              void *context);

#endif
