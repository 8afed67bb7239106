/* Contract: thread_pool.h. Workers spin briefly on the generation before they sleep: within a step the next phase follows
 * at once. */
#include "engine/thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SPINS 2000

struct worker {
    struct gd_thread_pool *pool;
    pthread_t thread;
    int number;
};

struct gd_thread_pool {
    int size;
    void (*work)(void *, int);
    void *argument;
    atomic_uint generation; /* one more for each run; workers wait for it to move */
    atomic_int running;     /* workers that have not finished this run */
    atomic_int stop;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    struct worker *workers; /* [size - 1] */
    int started;
};

static void *worker_main(void *argument)
{
    struct worker *self = argument;
    struct gd_thread_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&pool->generation) == seen; spin++)
            ;
        if (atomic_load(&pool->generation) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (atomic_load(&pool->generation) == seen)
                pthread_cond_wait(&pool->begin, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        seen++;
        if (atomic_load(&pool->stop))
            return NULL;
        pool->work(pool->argument, self->number);
        if (atomic_fetch_sub(&pool->running, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->end);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void start_generation(struct gd_thread_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
}

int gd_thread_pool_create(struct gd_thread_pool **out, int size, struct gd_err *err)
{
    if (size < 1 || size > 1024)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%d threads (1 to 1024)", size);
    struct gd_thread_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a thread pool");
    pool->size = size;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    pool->workers = calloc((size_t)size, sizeof *pool->workers);
    if (pool->workers == NULL) {
        gd_thread_pool_destroy(&pool);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %d threads", size);
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the thread that asked for the pool */
    for (int k = 0; k < size - 1; k++) {
        pool->workers[k] = (struct worker){.pool = pool, .number = k + 1};
        if (pthread_create(&pool->workers[k].thread, NULL, worker_main, &pool->workers[k]) != 0)
            break;
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->started != size - 1) {
        gd_thread_pool_destroy(&pool);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "the system refused a thread of %d", size);
    }
    *out = pool;
    return 0;
}

void gd_thread_pool_destroy(struct gd_thread_pool **pool)
{
    if (pool == NULL || *pool == NULL)
        return;
    struct gd_thread_pool *p = *pool;
    atomic_store(&p->stop, 1);
    start_generation(p);
    for (int k = 0; k < p->started; k++)
        pthread_join(p->workers[k].thread, NULL);
    pthread_cond_destroy(&p->begin);
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
    *pool = NULL;
}

int gd_thread_pool_size(const struct gd_thread_pool *pool)
{
    return pool->size;
}

void gd_thread_pool_run(struct gd_thread_pool *pool, void (*work)(void *argument, int number), void *argument)
{
    if (pool->size == 1) {
        work(argument, 0);
        return;
    }
    pool->work = work;
    pool->argument = argument;
    atomic_store(&pool->running, pool->size - 1);
    start_generation(pool);
    work(argument, 0);
    for (int spin = 0; spin < SPINS && atomic_load(&pool->running) != 0; spin++)
        ;
    if (atomic_load(&pool->running) != 0) {
        pthread_mutex_lock(&pool->lock);
        while (atomic_load(&pool->running) != 0)
            pthread_cond_wait(&pool->end, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
}
