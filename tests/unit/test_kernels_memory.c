/* A pair search that does not get its memory: an error, no crash, no leak, and the next one works. The limit of the address
 * space is set so that each of the allocations in turn is the first to fail. The sanitizers' own allocator ends the process
 * instead of returning NULL, so the sweep exists in plain builds only. */
#include "kernels_data.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

enum { ATOMS = 300000 };

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%zu", &pages), 1);
    fclose(f);
    return pages * 4096;
}

static void limit(rlim_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_AS, &l);
    l.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_AS, &l), 0);
}

Test(kernels_memory, every_allocation_may_fail)
{
    float *x = malloc(3 * ATOMS * sizeof *x);
    uint64_t state = 3, counts[10];
    const struct gd_box box = {.kind = GD_BOX_RECTANGULAR, .vectors = {{40, 0, 0}, {0, 40, 0}, {0, 0, 40}}};
    struct gd_kernels k;
    int refused = 0, worked = 0;
    gd_kernels_init(&k, gd_cpu_detect());
    for (int i = 0; i < 3 * ATOMS; i++)
        x[i] = (float)(40.0 * next_uniform(&state));
    struct gd_view v = gd_view_all(GD_FLOAT32, x, ATOMS);
    size_t before = address_space();
    for (size_t more = 1 << 20; worked < 2 && more < (size_t)200 << 20; more += 1 << 20) {
        struct gd_pairs *p = NULL;
        struct gd_err err = {0};
        limit(before + more);
        int pairs_failed = gd_pairs_create(&p, &k, v, &box, 0.3, &err);
        int rdf_failed = gd_compute_rdf_counts(&k, v, v, &box, 0.3, 10, counts, &err);
        limit(RLIM_INFINITY);
        cr_assert(pairs_failed == 0 || pairs_failed == GD_E_OUT_OF_MEMORY);
        cr_assert(rdf_failed == 0 || rdf_failed == GD_E_OUT_OF_MEMORY);
        cr_assert_eq(pairs_failed == 0, p != NULL);
        refused += pairs_failed != 0;
        worked += !pairs_failed && !rdf_failed;
        gd_pairs_destroy(&p);
    }
    cr_assert(worked == 2 && refused > 10, "%d refused, %d worked", refused, worked);
    cr_assert(address_space() < before + ((size_t)80 << 20), "memory was kept"); /* what malloc holds back for reuse */
    free(x);
}

#endif
