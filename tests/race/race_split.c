/* Work divided among threads: every piece is done once, what threads sum by themselves is complete when gd_split returns, and what one
 * round writes the next one sees, whichever thread does it. */
#include "core/crew.h"
#include "kernels/split.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 5000, STEP = 7, ROUNDS = 2000, THREADS = 4 };

struct work {
    uint64_t numbers[COUNT]; /* plain memory: a race on it is seen */
    uint64_t sums[THREADS];
    unsigned outside;
};

static void piece(void *context, size_t begin, size_t end, int thread)
{
    struct work *w = context;
    if (thread < 0 || thread >= THREADS || end > COUNT || end <= begin || end - begin > STEP)
        __atomic_fetch_add(&w->outside, 1, __ATOMIC_RELAXED);
    for (size_t i = begin; i < end; i++)
        w->sums[thread] += ++w->numbers[i];
}

static int run(struct work *w, int threads)
{
    struct gd_kernels table = {.threads = threads};
    struct gd_err err = {0};
    uint64_t expected = 0;
    int wrong = 0;
    if (gd_crew_create(&table.crew, THREADS, &err) != 0)
        return 2;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        gd_split(&table, COUNT, STEP, piece, w);
        uint64_t sum = 0;
        for (int t = 0; t < THREADS; t++)
            sum += w->sums[t];
        expected += round * COUNT;
        wrong += sum != expected;
    }
    for (int t = threads; t < THREADS; t++)
        wrong += w->sums[t] != 0; /* one more than were allowed */
    gd_crew_destroy(&table.crew);
    return wrong != 0 || w->outside != 0;
}

int main(void)
{
    int passed = 0;
    for (int threads = 2; threads <= THREADS; threads++) {
        struct work *w = calloc(1, sizeof *w);
        if (w == NULL)
            return 2;
        passed += run(w, threads) == 0;
        free(w);
    }
    printf("split: %d rounds of %d pieces by 2 to %d threads\n", ROUNDS, (COUNT + STEP - 1) / STEP, THREADS);
    printf("%d passed, %d failed\n", passed, THREADS - 1 - passed);
    return passed == THREADS - 1 ? 0 : 1;
}
