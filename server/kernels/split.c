#include "kernels/split.h"

#include "core/thread_pool.h"

#include <stdatomic.h>

struct split {
    size_t count, step;
    void (*piece)(void *context, size_t begin, size_t end, int thread);
    void *context;
    int threads;
    _Atomic size_t next;
};

int gd_split_threads(const struct gd_kernels *k)
{
    int size = k->team == NULL ? 1 : gd_thread_pool_size(k->team);
    return k->threads < size ? (k->threads > 1 ? k->threads : 1) : size;
}

static void take_pieces(void *argument, int thread)
{
    struct split *s = argument;
    if (thread >= s->threads)
        return;
    size_t begin;
    while ((begin = atomic_fetch_add(&s->next, s->step)) < s->count)
        s->piece(s->context, begin, s->count - begin < s->step ? s->count : begin + s->step, thread);
}

void gd_split(const struct gd_kernels *k, size_t count, size_t step, void (*piece)(void *context, size_t begin, size_t end, int thread),
              void *context)
{
    struct split s = {.count = count, .step = step, .piece = piece, .context = context, .threads = gd_split_threads(k)};
    if (s.threads > 1 && count > step)
        gd_thread_pool_run(k->team, take_pieces, &s);
    else if (count > 0)
        piece(context, 0, count, 0);
}
