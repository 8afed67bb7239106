#include "core/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

struct gd_crew {
    int size;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t begin, end;
    uint64_t run;                             /* one more for each */
    void (*work)(void *argument, int number); /* NULL: nothing is offered */
    void *argument;
    int begun, most; /* who has come, the caller counted; how many may */
    int inside;      /* of these, who has not returned; the caller not counted */
    int stop;
    pthread_t *threads; /* [size - 1] */
    int started;
};

static void *help(void *argument)
{
    struct gd_crew *crew = argument;
    uint64_t helped = 0; /* the run this thread has been at: once is enough */
    pthread_mutex_lock(&crew->lock);
    for (;;) {
        while (!crew->stop && (crew->work == NULL || crew->run == helped || crew->begun >= crew->most))
            pthread_cond_wait(&crew->begin, &crew->lock);
        if (crew->stop)
            break;
        void (*work)(void *, int) = crew->work;
        void *of = crew->argument;
        int number = crew->begun++;
        helped = crew->run;
        crew->inside++;
        pthread_mutex_unlock(&crew->lock);
        work(of, number);
        pthread_mutex_lock(&crew->lock);
        if (--crew->inside == 0)
            pthread_cond_signal(&crew->end);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static int start_threads(struct gd_crew *crew)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the others */
    while (crew->started < crew->size - 1 && pthread_create(&crew->threads[crew->started], NULL, help, crew) == 0)
        crew->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return crew->started == crew->size - 1;
}

int gd_crew_create(struct gd_crew **out, int size, struct gd_err *err)
{
    if (size < 1 || size > 1024)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%d threads (1 to 1024)", size);
    struct gd_crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %d threads", size);
    crew->size = size;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->begin, NULL);
    pthread_cond_init(&crew->end, NULL);
    crew->threads = calloc((size_t)size, sizeof *crew->threads);
    if (crew->threads == NULL || !start_threads(crew)) {
        gd_crew_destroy(&crew);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "the system refused a thread of %d", size);
    }
    *out = crew;
    return 0;
}

void gd_crew_destroy(struct gd_crew **pointer)
{
    struct gd_crew *crew = *pointer;
    *pointer = NULL;
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->stop = 1;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->lock);
    for (int k = 0; k < crew->started; k++)
        pthread_join(crew->threads[k], NULL);
    pthread_cond_destroy(&crew->begin);
    pthread_cond_destroy(&crew->end);
    pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew);
}

int gd_crew_size(const struct gd_crew *crew)
{
    return crew->size;
}

void gd_crew_run(struct gd_crew *crew, int threads, void (*work)(void *argument, int number), void *argument)
{
    pthread_mutex_lock(&crew->lock);
    crew->run++;
    crew->work = work;
    crew->argument = argument;
    crew->begun = 1;
    crew->most = threads;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->lock);
    work(argument, 0);
    pthread_mutex_lock(&crew->lock);
    crew->work = NULL; /* who comes now has come too late */
    while (crew->inside > 0)
        pthread_cond_wait(&crew->end, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}
