/* The check is checked: one fault after the other is planted in a copy of a variant's table, and the check has to see it. */
#include "planted.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "kernels/grid.h"

struct fault {
    const char *kernel;
    size_t at; /* of the function pointer in its set */
    void (*bad)(void);
};

#define REAL float
#define SET_TYPE struct gd_kernels_f32
#define GRID struct gd_grid_f32
#define NAME(name) name##_f32
#include "planted_body.h"
#undef REAL
#undef SET_TYPE
#undef GRID
#undef NAME
#undef SPOIL
#undef PLANT

#define REAL double
#define SET_TYPE struct gd_kernels_f64
#define GRID struct gd_grid_f64
#define NAME(name) name##_f64
#include "planted_body.h"

static int missed(const struct gd_kernels *scalar, const struct gd_kernels *variant, const struct fault *fault, const char *precision,
                  uint64_t seed)
{
    struct gd_kernels bad = *variant;
    struct check c = {.variant = variant->name, .precision = precision, .random = seed, .quiet = 1};
    int is_float = strcmp(precision, "float32") == 0;
    char *set = is_float ? (char *)&bad.f32 : (char *)&bad.f64;
    memcpy(set + fault->at, &fault->bad, sizeof fault->bad);
    if (is_float)
        check_variant_f32(&c, scalar, &bad);
    else
        check_variant_f64(&c, scalar, &bad);
    if (c.failures > 0)
        return 0;
    printf("%s %s: a fault planted in %s was not seen\n", variant->name, precision, fault->kernel);
    return 1;
}

int check_planted(const struct gd_kernels *scalar, const struct gd_kernels *variant, uint64_t seed)
{
    int planted = 0, lost = 0;
    right_f32 = variant->f32;
    right_f64 = variant->f64;
    for (size_t f = 0; f < sizeof faults_f32 / sizeof faults_f32[0]; f++, planted++)
        lost += missed(scalar, variant, &faults_f32[f], "float32", seed);
    for (size_t f = 0; f < sizeof faults_f64 / sizeof faults_f64[0]; f++, planted++)
        lost += missed(scalar, variant, &faults_f64[f], "float64", seed);
    printf("%-7s with faults: %d planted, %d seen\n", variant->name, planted, planted - lost);
    return lost > 0;
}
