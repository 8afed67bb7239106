#include "kernels/split.h"

#include "core/crew.h"

#include <stdatomic.h>

struct split {
    size_t count, step;
    void (*piece)(void *context, size_t begin, size_t end, int thread);
    void *context;
    _Atomic size_t next;
};

int gd_split_threads(const struct gd_kernels *k)
{
    int size = k->crew == NULL ? 1 : gd_crew_size(k->crew);
    return k->threads < size ? (k->threads > 1 ? k->threads : 1) : size;
}

static void take_pieces(void *argument, int thread)
{
    struct split *s = argument;
    size_t begin;
    while ((begin = atomic_fetch_add(&s->next, s->step)) < s->count)
        s->piece(s->context, begin, s->count - begin < s->step ? s->count : begin + s->step, thread);
}

void gd_split(const struct gd_kernels *k, size_t count, size_t step, void (*piece)(void *context, size_t begin, size_t end, int thread),
              void *context)
{
    struct split s = {.count = count, .step = step, .piece = piece, .context = context};
    int threads = gd_split_threads(k);
    if (threads > 1 && count > step)
        gd_crew_run(k->crew, threads, take_pieces, &s);
    else if (count > 0)
        piece(context, 0, count, 0);
}
