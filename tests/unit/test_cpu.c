/* The processor's flags and the mask a user sets. */
#include "core/cpu.h"

#include <criterion/criterion.h>
#include <string.h>

Test(cpu, mask_names)
{
    const struct {
        const char *text;
        unsigned mask;
    } known[] = {{"auto", ~0u}, {NULL, ~0u}, {"", ~0u}, {"scalar", 0}, {"avx2", GD_CPU_AVX2}, {"avx512", GD_CPU_AVX2 | GD_CPU_AVX512}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        unsigned mask = 77;
        cr_assert_eq(gd_cpu_parse_mask(known[i].text, &mask, NULL), 0);
        cr_assert_eq(mask, known[i].mask);
    }
}

Test(cpu, unknown_name_is_refused_and_named)
{
    struct gd_err err = {0};
    unsigned mask = 77;
    cr_assert_eq(gd_cpu_parse_mask("AVX2", &mask, &err), GD_E_INVALID_ARGUMENT);
    cr_assert_eq(mask, 77u, "an output changed on failure");
    cr_assert(strstr(err.text, "\"AVX2\"") && strstr(err.text, "avx512"), "%s", err.text);
}

Test(cpu, names_round_trip)
{
    const char *names[] = {"scalar", "avx2", "avx512"};
    for (size_t i = 0; i < 3; i++) {
        unsigned mask = 0;
        cr_assert_eq(gd_cpu_parse_mask(names[i], &mask, NULL), 0);
        cr_assert_str_eq(gd_cpu_name(mask), names[i]);
    }
}

Test(cpu, avx512_implies_avx2)
{
    unsigned flags = gd_cpu_detect();
    cr_assert(!(flags & GD_CPU_AVX512) || (flags & GD_CPU_AVX2));
    cr_assert_eq(flags, gd_cpu_detect());
}
