/* What a run is said to take before it is made, against what the allocator counts. */
#include "test_engine_systems.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdlib.h>

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Under a sanitizer the C library's allocator is not the one in use. */
static int is_counted(void)
{
    size_t before = allocated();
    char *volatile probe = malloc(1 << 20);
    size_t after = allocated();
    free(probe);
    return after >= before + (1 << 20);
}

static void check(const struct test_system *s, int threads, const char *what)
{
    struct gd_md_memory said = gd_md_memory(s->top, &s->par, s->conf, threads);
    size_t before = allocated();
    struct gd_md *md = test_run(s, threads);
    test_steps(md, 3);
    size_t taken = allocated() - before, state = gd_md_state_size(md);
    gd_md_destroy(&md);
    cr_expect(state <= said.state && said.state <= 2 * state + 65536, "%s: a state of %zu bytes, said %zu", what, state, said.state);
    if (!is_counted())
        return;
    cr_log_info("%s: took %zu, said %zu (%.2f)", what, taken, said.engine, (double)said.engine / (double)taken);
    cr_expect(taken <= said.engine, "%s: took %zu, said %zu", what, taken, said.engine);
    cr_expect(said.engine <= 2 * taken + 400000, "%s: took %zu, said %zu", what, taken, said.engine);
}

Test(memory, of_runs_is_known_before)
{
    struct test_system s;
    static const int edges[] = {6, 16};
    for (size_t k = 0; k < 2; k++) {
        for (int threads = 1; threads <= 2; threads++) {
            test_water_create(&s, edges[k], 5);
            s.par.pairlist.rcutp = s.par.pairlist.rcutl = s.par.nonbonded.rcrf = edges[k] == 6 ? 0.6 : 1.0;
            check(&s, threads, "charge groups");
            s.par.pairlist.rcutl = s.par.nonbonded.rcrf = edges[k] == 6 ? 0.8 : 1.4;
            check(&s, threads, "twin range");
            s.par.pairlist.rcutp = s.par.pairlist.rcutl = s.par.nonbonded.rcrf = edges[k] == 6 ? 0.6 : 1.0;
            s.par.pairlist.type = GD_CUTOFF_ATOMIC;
            check(&s, threads, "atomic cutoff");
            s.par.pairlist.scheme = GD_SCHEME_VERLET;
            s.par.pairlist.buffer = -1.0;
            check(&s, threads, "verlet");
            s.par.precision = GD_PRECISION_FLOAT32;
            check(&s, threads, "verlet, float32");
            test_system_destroy(&s);
        }
    }
}

Test(memory, of_small_and_vacuum_runs_is_known_before)
{
    struct test_system s;
    test_molecule_create(&s, GD_BOX_RECTANGULAR, 3);
    check(&s, 1, "a molecule");
    test_system_destroy(&s);
    test_molecule_create(&s, GD_BOX_VACUUM, 3);
    check(&s, 2, "a molecule in vacuum");
    test_system_destroy(&s);
}
