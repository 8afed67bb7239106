/* Threads that help where they can: a caller works through pieces of something and whoever of the crew gets a processor meanwhile takes some.
 * Nobody is waited for who has not begun, so that on a busy machine work is never slower for having been offered. (The engine's team of
 * threads, engine/thread_pool.h, is another thing: there each has a part of its own, and all are waited for.) One caller at a time. */
#ifndef GD_CORE_CREW_H
#define GD_CORE_CREW_H

#include "core/err.h"

struct gd_crew;

/* size counts the caller: 1 makes no thread. */
int gd_crew_create(struct gd_crew **out, int size, struct gd_err *err);
void gd_crew_destroy(struct gd_crew **crew);
int gd_crew_size(const struct gd_crew *crew);

/* Calls work(argument, 0) here, and work(argument, n) with different n below `threads` (at most the size) on those who come before that
 * returns. Returns when all calls have; what they wrote is then seen here. */
void gd_crew_run(struct gd_crew *crew, int threads, void (*work)(void *argument, int number), void *argument);

#endif
