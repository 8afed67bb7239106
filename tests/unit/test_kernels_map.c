/* Maps: what moves, where to, and what stays; wrapping by atom and by molecule; random velocities. */
#include "kernels_data.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "kernels/random.h"

Test(kernels_map, translate_rotate_scale)
{
    FOR_EACH_VARIANT(k)
    {
        /* 37 rows: whole vectors and a rest in every variant; all values and results are exact in float */
        float x[3 * 37];
        const double shift[3] = {1, -2, 0.5}, about[3] = {1, 1, 0}, factor[3] = {2, 0.5, -1};
        const double quarter[3][3] = {{0, -1, 0}, {1, 0, 0}, {0, 0, 1}}; /* about z, x goes to y */
        struct gd_view v = gd_view_all(GD_FLOAT32, x, 37);
        for (int i = 0; i < 37; i++)
            x[3 * i] = (float)i, x[3 * i + 1] = 2.0f, x[3 * i + 2] = (float)-i;
        gd_compute_translate(k, v, shift);
        for (int i = 0; i < 37; i++)
            cr_assert(x[3 * i] == (float)i + 1 && x[3 * i + 1] == 0.0f && x[3 * i + 2] == (float)-i + 0.5f);
        gd_compute_rotate(k, v, quarter, about);
        for (int i = 0; i < 37; i++)
            cr_assert(x[3 * i] == 2.0f && x[3 * i + 1] == (float)i + 1 && x[3 * i + 2] == (float)-i + 0.5f, "%s row %d: %g %g %g", k->name,
                      i, x[3 * i], x[3 * i + 1], x[3 * i + 2]);
        gd_compute_scale(k, v, factor, about);
        for (int i = 0; i < 37; i++)
            cr_assert(x[3 * i] == 3.0f && x[3 * i + 1] == 1.0f + 0.5f * (float)i && x[3 * i + 2] == (float)i - 0.5f);
    }
}

Test(kernels_map, a_selection_moves_alone_and_as_often_as_listed)
{
    FOR_EACH_VARIANT(k)
    {
        double x[3 * 20] = {0};
        const int32_t atoms[3] = {4, 19, 4};
        const double shift[3] = {1, 2, 3};
        gd_compute_translate(k, gd_view_of(GD_FLOAT64, x, 20, atoms, 3), shift);
        for (int i = 0; i < 20; i++) {
            double times = i == 4 ? 2 : i == 19 ? 1 : 0;
            cr_assert(x[3 * i] == times && x[3 * i + 1] == 2 * times && x[3 * i + 2] == 3 * times);
        }
    }
}

/* Inside its cell: within rounding for triclinic, strictly for rectangular. */
static void assert_inside(const struct gd_box *box, const double x[3], const char *variant)
{
    double inverse[3][3];
    gd_box_inverse(box, inverse);
    for (int i = 0; i < 3 && box->kind != GD_BOX_VACUUM; i++) {
        double f = x[0] * inverse[0][i] + x[1] * inverse[1][i] + x[2] * inverse[2][i];
        double slack = box->kind == GD_BOX_TRICLINIC ? 2e-5 : 0.0; /* float rounding of up to 25 nm vectors */
        cr_assert(f >= -slack && (box->kind == GD_BOX_TRICLINIC ? f < 1 + slack : x[i] < box->vectors[i][i]), "%s: fraction %.9g", variant,
                  f);
    }
    if (box->kind == GD_BOX_TRUNCATED_OCTAHEDRON) {
        double a = box->vectors[0][0], sum = 0;
        for (int c = 0; c < 3; c++)
            sum += fabs(x[c] - 0.5 * a);
        cr_assert(sum <= 0.75 * a * (1 + 1e-6), "%s: corner %.9g", variant, sum / a);
    }
}

Test(kernels_map, wrap_shifts_into_the_cell_by_lattice_vectors)
{
    FOR_EACH_VARIANT(k)
    for (int b = 0; b < NUM_BOXES; b++) {
        struct gd_min_image image;
        float before[3 * 301], after[3 * 301];
        uint64_t state = 3;
        cr_assert_eq(gd_min_image_init(&image, &BOXES[b], NULL), 0);
        for (int i = 0; i < 3 * 301; i++)
            before[i] = (float)(40.0 * next_uniform(&state) - 20.0);
        memcpy(after, before, sizeof before);
        cr_assert_eq(gd_compute_wrap(k, gd_view_all(GD_FLOAT32, after, 301), &BOXES[b], NULL), 0);
        for (int i = 0; i < 301; i++) {
            double r[3], x[3];
            for (int c = 0; c < 3; c++) {
                x[c] = (double)after[3 * i + c];
                r[c] = (double)before[3 * i + c] - x[c];
            }
            assert_inside(&BOXES[b], x, k->name);
            gd_min_image_apply(&image, r); /* a lattice vector has the zero vector as its nearest image */
            cr_assert(fabs(r[0]) + fabs(r[1]) + fabs(r[2]) < 3e-5, "%s box %d: %g %g %g", k->name, b, r[0], r[1], r[2]);
        }
    }
}

Test(kernels_map, wrap_at_the_faces_and_far_out)
{
    FOR_EACH_VARIANT(k)
    {
        const struct gd_box *box = &BOXES[BOX_RECTANGULAR];
        float x[] = {0.0f,  3.6f,   -0.0f, -1e-9f,     -3.6f,      4.1f,       3.0f,    7.2f,   8.2f,
                     1e30f, -1e30f, 1e12f, 2.9999999f, 3.5999999f, 4.0999999f, -1e-30f, 1e-30f, -4.1f};
        const size_t n = sizeof x / sizeof x[0] / 3;
        cr_assert_eq(gd_compute_wrap(k, gd_view_all(GD_FLOAT32, x, n), box, NULL), 0);
        for (size_t i = 0; i < 3 * n; i++)
            cr_assert((double)x[i] >= 0.0 && (double)x[i] < box->vectors[i % 3][i % 3], "%s %zu: %.9g", k->name, i, x[i]);
        cr_assert(x[0] == 0.0f && x[15] == 0.0f && x[16] == 1e-30f);
    }
}

Test(kernels_map, wrap_keeps_what_is_inside)
{
    FOR_EACH_VARIANT(k)
    for (int b = 1; b < NUM_BOXES; b++) {
        double x[3 * 50], again[3 * 50];
        uint64_t state = 11;
        for (int i = 0; i < 150; i++)
            x[i] = 9.0 * next_uniform(&state);
        gd_compute_wrap(k, gd_view_all(GD_FLOAT64, x, 50), &BOXES[b], NULL);
        memcpy(again, x, sizeof x);
        gd_compute_wrap(k, gd_view_all(GD_FLOAT64, again, 50), &BOXES[b], NULL);
        cr_assert_eq(memcmp(x, again, sizeof x), 0, "%s box %d: wrapping twice is wrapping once", k->name, b);
    }
}

Test(kernels_map, wrap_refuses_a_bad_box)
{
    FOR_EACH_VARIANT(k)
    {
        struct gd_err err = {0};
        float x[3] = {9, 9, 9};
        const struct gd_box flat = {.kind = GD_BOX_RECTANGULAR, .vectors = {{3, 0, 0}, {0, 0, 0}, {0, 0, 3}}};
        cr_assert_eq(gd_compute_wrap(k, gd_view_all(GD_FLOAT32, x, 1), &flat, &err), GD_E_INVALID_ARGUMENT);
        cr_assert(x[0] == 9 && x[1] == 9 && x[2] == 9);
    }
}

Test(kernels_map, molecules_become_whole_and_come_home)
{
    FOR_EACH_VARIANT(k)
    for (int b = 1; b < NUM_BOXES; b++) {
        /* Chains of 1 to 5 atoms, 0.1 nm apart, each atom thrown to a random image. */
        enum { MOLECULES = 40 };
        int32_t starts[MOLECULES + 1] = {0};
        double x[3 * 5 * MOLECULES];
        struct gd_min_image image;
        uint64_t state = 5;
        gd_min_image_init(&image, &BOXES[b], NULL);
        for (int m = 0; m < MOLECULES; m++) {
            starts[m + 1] = starts[m] + 1 + m % 5;
            double at[3];
            for (int c = 0; c < 3; c++)
                at[c] = 30.0 * next_uniform(&state) - 15.0;
            for (int i = starts[m]; i < starts[m + 1]; i++) {
                at[i % 3] += 0.1;
                for (int c = 0; c < 3; c++)
                    x[3 * i + c] = at[c];
                for (int v = 0; v < 3; v++) {
                    double times = floor(5.0 * next_uniform(&state)) - 2.0;
                    for (int c = 0; c < 3; c++)
                        x[3 * i + c] += times * image.lattice[v][c];
                }
            }
        }
        size_t n = (size_t)starts[MOLECULES];
        struct gd_err err = {0};
        cr_assert_eq(gd_compute_wrap_molecules(k, gd_view_all(GD_FLOAT64, x, n), starts, MOLECULES, &BOXES[b], &err), 0);
        for (int m = 0; m < MOLECULES; m++) {
            double center[3] = {0, 0, 0};
            for (int i = starts[m]; i < starts[m + 1]; i++)
                for (int c = 0; c < 3; c++)
                    center[c] += x[3 * i + c] / (starts[m + 1] - starts[m]);
            for (int i = starts[m] + 1; i < starts[m + 1]; i++) {
                double d = 0;
                for (int c = 0; c < 3; c++)
                    d += (x[3 * i + c] - x[3 * i - 3 + c]) * (x[3 * i + c] - x[3 * i - 3 + c]);
                cr_assert_float_eq(sqrt(d), 0.1, 1e-12, "%s box %d molecule %d", k->name, b, m);
            }
            if (BOXES[b].kind != GD_BOX_RECTANGULAR && BOXES[b].kind != GD_BOX_TRICLINIC)
                continue;
            assert_inside(&BOXES[b], center, k->name);
        }
    }
}

Test(kernels_map, a_whole_molecule_inside_keeps_every_bit)
{
    FOR_EACH_VARIANT(k)
    {
        float x[9] = {0.1f, 0.2f, 0.3f, 0.11f, 0.25f, 0.31f, 1.1f, 1.2f, 1.3f}, old[9];
        const int32_t starts[3] = {0, 2, 3};
        memcpy(old, x, sizeof x);
        cr_assert_eq(gd_compute_wrap_molecules(k, gd_view_all(GD_FLOAT32, x, 3), starts, 2, &BOXES[BOX_TRICLINIC], NULL), 0);
        cr_assert_eq(memcmp(x, old, sizeof x), 0);
    }
}

Test(kernels_map, molecules_must_cover_all_atoms)
{
    struct gd_err err = {0};
    const int32_t late[2] = {1, 4}, falling[3] = {0, 3, 3}, shortened[2] = {0, 3};
    cr_assert_eq(gd_compute_check_molecules(late, 1, 4, &err), GD_E_INVALID_ARGUMENT);
    cr_assert_eq(gd_compute_check_molecules(falling, 2, 3, &err), GD_E_INVALID_ARGUMENT);
    cr_assert_eq(gd_compute_check_molecules(shortened, 1, 4, &err), GD_E_INVALID_ARGUMENT);
    cr_assert(strstr(err.text, "3 atoms of 4"), "%s", err.text);
    cr_assert_eq(gd_compute_check_molecules(shortened, 1, 3, &err), 0);
}

Test(kernels_map, philox_known_answers)
{
    /* The vectors published with the generator (Random123 1.14, kat_vectors, philox4x32 with 10 rounds). */
    const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        gd_random_philox(known[i].counter, known[i].key, out);
        cr_assert_eq(memcmp(out, known[i].out, sizeof out), 0, "vector %zu", i);
    }
}

Test(kernels_map, own_logarithm)
{
    uint64_t state = 1;
    for (int i = 0; i < 100000; i++) {
        double x = i < 50000 ? next_uniform(&state) + 1e-17 : pow(10.0, -100.0 * next_uniform(&state));
        double expected = log(x);
        cr_assert_float_eq(gd_random_log(x), expected, 4e-16 * fmax(1.0, fabs(expected)), "log(%.17g)", x);
    }
    cr_assert_eq(gd_random_log(1.0), 0.0);
}

Test(kernels_map, maxwell_moments)
{
    /* n = 60000 components: the mean of v^2 has a relative standard error of sqrt(2 / n) = 0.6 %, the kurtosis one of
     * sqrt(96 / n) = 4 %; the bounds are five of them. The seed is fixed, so this cannot fail by chance. */
    enum { ATOMS = 20000 };
    float *v = calloc(3 * ATOMS, sizeof *v);
    double *m = malloc(ATOMS * sizeof *m);
    struct gd_kernels k;
    gd_kernels_init(&k, gd_cpu_detect());
    for (int i = 0; i < ATOMS; i++)
        m[i] = i % 2 ? 1.008 : 15.9994;
    struct gd_view view = gd_view_all(GD_FLOAT32, v, ATOMS);
    cr_assert_eq(gd_compute_maxwell_velocities(&k, view, m, 300.0, GD_BOLTZMANN, 42, NULL), 0);
    double kelvin, second = 0, fourth = 0, mean = 0;
    gd_compute_temperature(gd_compute_kinetic_energy(&k, view, m), 3.0 * ATOMS, GD_BOLTZMANN, &kelvin, NULL);
    cr_assert_float_eq(kelvin, 300.0, 300.0 * 0.03, "%g K", kelvin);
    for (int i = 0; i < 3 * ATOMS; i++) {
        double z = (double)v[i] * sqrt(m[i / 3] / (GD_BOLTZMANN * 300.0));
        mean += z / (3 * ATOMS);
        second += z * z / (3 * ATOMS);
        fourth += z * z * z * z / (3 * ATOMS);
    }
    cr_assert_float_eq(mean, 0.0, 5.0 / sqrt(3.0 * ATOMS));
    cr_assert_float_eq(second, 1.0, 0.03);
    cr_assert_float_eq(fourth / (second * second), 3.0, 0.2);
    free(v);
    free(m);
}

Test(kernels_map, maxwell_depends_on_seed_and_row_alone)
{
    double all[3 * 8], some[3 * 8] = {0}, other[3 * 8];
    const double m[8] = {1, 1, 0, 1, 1, 1, 1, 1};
    const int32_t atoms[2] = {6, 3};
    struct gd_kernels fast, scalar;
    gd_kernels_init(&fast, gd_cpu_detect());
    gd_kernels_init(&scalar, 0);
    cr_assert_eq(gd_compute_maxwell_velocities(&fast, gd_view_all(GD_FLOAT64, all, 8), m, 300, GD_BOLTZMANN, 1, NULL), 0);
    cr_assert_eq(gd_compute_maxwell_velocities(&scalar, gd_view_of(GD_FLOAT64, some, 8, atoms, 2), m, 300, GD_BOLTZMANN, 1, NULL), 0);
    cr_assert_eq(gd_compute_maxwell_velocities(&fast, gd_view_all(GD_FLOAT64, other, 8), m, 300, GD_BOLTZMANN, 2, NULL), 0);
    cr_assert_eq(memcmp(all + 18, some + 18, 24), 0);
    cr_assert_eq(memcmp(all + 9, some + 9, 24), 0);
    cr_assert(some[0] == 0 && some[15] == 0, "rows outside the selection moved");
    cr_assert(all[6] == 0 && all[7] == 0 && all[8] == 0, "a row without mass moves");
    cr_assert(all[0] != other[0] && all[0] != all[3] && all[0] != all[1]);
    cr_assert_eq(gd_compute_maxwell_velocities(&fast, gd_view_all(GD_FLOAT64, all, 8), m, -1, GD_BOLTZMANN, 1, NULL),
                 GD_E_INVALID_ARGUMENT);
    cr_assert_eq(gd_compute_maxwell_velocities(&fast, gd_view_all(GD_FLOAT64, all, 8), m, 0, GD_BOLTZMANN, 1, NULL), 0);
    for (int i = 0; i < 24; i++)
        cr_assert_eq(all[i], 0.0);
}

Test(kernels_map, com_motion_is_removed)
{
    FOR_EACH_VARIANT(k)
    {
        double v[3 * 33], removed[3], left[3];
        double m[33];
        uint64_t state = 2;
        for (int i = 0; i < 99; i++)
            v[i] = next_uniform(&state);
        for (int i = 0; i < 33; i++)
            m[i] = 1.0 + next_uniform(&state);
        struct gd_view view = gd_view_all(GD_FLOAT64, v, 33);
        cr_assert_eq(gd_compute_remove_com_motion(k, view, m, removed, NULL), 0);
        cr_assert_eq(gd_compute_center_of_mass(k, view, m, left, NULL), 0);
        for (int c = 0; c < 3; c++) {
            cr_assert(removed[c] > 0.2 && removed[c] < 0.8);
            cr_assert_float_eq(left[c], 0.0, 1e-15);
        }
    }
}
