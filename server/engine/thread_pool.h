/* A fixed team of threads that all run the same function on their own number, then meet. Work is divided by the caller from
 * the number alone, so that results depend on the size of the team and on nothing else. One caller at a time. */
#ifndef GD_ENGINE_THREAD_POOL_H
#define GD_ENGINE_THREAD_POOL_H

#include "core/err.h"

struct gd_thread_pool;

/* size counts the caller: 1 makes no thread. */
int gd_thread_pool_create(struct gd_thread_pool **out, int size, struct gd_err *err);
void gd_thread_pool_destroy(struct gd_thread_pool **pool);
int gd_thread_pool_size(const struct gd_thread_pool *pool);

/* Calls work(argument, 0 .. size-1), number 0 on the calling thread, and returns when all have returned. */
void gd_thread_pool_run(struct gd_thread_pool *pool, void (*work)(void *argument, int number), void *argument);

#endif
