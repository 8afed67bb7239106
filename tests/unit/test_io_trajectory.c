/* Trajectories: what is written is read back exactly, files continue after a cut, and cut files are told. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/trajectory.h"
#include "io/trajectory_reader.h"
#include "io_data.h"

#define ATOMS 23

static void fill(double (*rows)[3], double start)
{
    for (int i = 0; i < ATOMS; i++)
        for (int k = 0; k < 3; k++)
            rows[i][k] = start + i * 0.001 - k * 1.5;
}

static const struct gd_box box = {.kind = GD_BOX_RECTANGULAR, .vectors = {{2, 0, 0}, {0, 3, 0}, {0, 0, 4}}};

static void put_frames(struct gd_trajectory *t, int first, int last, int64_t *offset)
{
    struct gd_err err;
    gd_err_clear(&err);
    for (int s = first; s < last; s++) {
        double x[ATOMS][3];
        fill(x, s);
        cr_assert_eq(gd_trajectory_put_positions(t, s * 10, s * 0.02, (struct gd_rows){x, ATOMS, GD_FLOAT64}, &box, &err), 0, "%s",
                     err.text);
        offset[s] = gd_trajectory_offset(t);
    }
}

static void check_positions(const char *path, size_t frames)
{
    struct gd_vector_frames *all = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_position_frames(path, &all, &err), 0, "%s", err.text);
    cr_assert_eq(all->count, frames);
    for (size_t s = 0; s < frames; s++) {
        double x[ATOMS][3];
        fill(x, (double)s);
        cr_assert_eq(all->frame[s].step, (int64_t)s * 10);
        cr_assert_eq(all->frame[s].num_atoms, ATOMS);
        cr_assert_eq(all->frame[s].box.vectors[2][2], 4.0);
        for (int i = 0; i < ATOMS * 3; i++) /* nine decimals are written */
            cr_assert_float_eq(all->frame[s].first[i / 3][i % 3], x[i / 3][i % 3], 0.51e-9);
    }
    gd_io_vector_frames_destroy(&all);
}

/* A run that goes on from a checkpoint cuts what came after it; the file is then the one of the undisturbed run. */
static void continue_after_cut(const char *whole_name, const char *cut_name)
{
    struct gd_trajectory *t = NULL;
    struct gd_err err;
    int64_t offset[8], again[8];
    const char *whole = io_scratch(0, whole_name), *cut = io_scratch(1, cut_name);
    gd_err_clear(&err);
    cr_assert_eq(gd_trajectory_create(&t, whole, GD_TRAJECTORY_POSITIONS, "a run\nof two lines", &err), 0, "%s", err.text);
    put_frames(t, 0, 8, offset);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    cr_assert_null(t);
    check_positions(whole, 8);

    cr_assert_eq(gd_trajectory_create(&t, cut, GD_TRAJECTORY_POSITIONS, "a run\nof two lines", &err), 0);
    put_frames(t, 0, 6, again);
    cr_assert_eq(gd_trajectory_sync(t, &err), 0);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    cr_assert_eq(gd_trajectory_resume(&t, cut, GD_TRAJECTORY_POSITIONS, again[2], &err), 0, "%s", err.text);
    put_frames(t, 3, 8, again);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    size_t a, b;
    char *first = io_data_read(whole, &a), *second = io_data_read(cut, &b);
    cr_assert_eq(a, b);
    cr_assert_eq(memcmp(first, second, a), 0);
    cr_assert_eq(offset[7], again[7]);
    free(first);
    free(second);
    cr_assert_eq(gd_trajectory_resume(&t, cut, GD_TRAJECTORY_POSITIONS, again[7] + 1, &err), GD_E_FILE_FORMAT);
    cr_assert_null(t);
}

Test(io_trajectory, a_file_has_one_writer)
{
    struct gd_trajectory *t = NULL, *second = NULL;
    struct gd_err err;
    int64_t offset[3];
    const char *path = io_scratch(0, "one.trc");
    gd_err_clear(&err);
    cr_assert_eq(gd_trajectory_create(&t, path, GD_TRAJECTORY_POSITIONS, "the first", &err), 0, "%s", err.text);
    put_frames(t, 0, 2, offset);
    cr_assert_eq(gd_trajectory_create(&second, path, GD_TRAJECTORY_VELOCITIES, "the second", &err), GD_E_FILE_ACCESS);
    cr_assert_not_null(strstr(err.text, "is being written already"), "%s", err.text);
    cr_assert_eq(gd_trajectory_resume(&second, path, GD_TRAJECTORY_POSITIONS, offset[0], &err), GD_E_FILE_ACCESS);
    put_frames(t, 2, 3, offset);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    check_positions(path, 3);
    cr_assert_eq(gd_trajectory_create(&t, path, GD_TRAJECTORY_POSITIONS, "the next", &err), 0, "%s", err.text);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    check_positions(path, 0);
}

Test(io_trajectory, continues_plain)
{
    continue_after_cut("whole.trc", "cut.trc");
}

Test(io_trajectory, continues_gzip)
{
    continue_after_cut("whole.trc.gz", "cut.trc.gz");
}

/* The same without a recorded offset: frames after the step go, and one that was cut in its middle. */
static void continue_at_step(const char *whole_name, const char *cut_name)
{
    struct gd_trajectory *t = NULL;
    struct gd_err err;
    int64_t offset[8];
    const char *whole = io_scratch(0, whole_name), *cut = io_scratch(1, cut_name);
    gd_err_clear(&err);
    cr_assert_eq(gd_trajectory_create(&t, whole, GD_TRAJECTORY_POSITIONS, "TIMESTEP\n99", &err), 0);
    int64_t title = gd_trajectory_offset(t);
    put_frames(t, 0, 8, offset);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    size_t size;
    char *text = io_data_read(whole, &size);
    static const struct {
        int64_t step;
        int back, frames;
    } cases[] = {{20, 0, 3}, {25, 0, 3}, {1000, 0, 8}, {1000, 1, 7}, {60, 9, 7}, {-1, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        io_data_write(cut, text, size - (size_t)cases[k].back);
        cr_assert_eq(gd_trajectory_resume_at_step(&t, cut, GD_TRAJECTORY_POSITIONS, cases[k].step, &err), 0, "%s", err.text);
        int64_t expected = cases[k].frames == 0 ? title : offset[cases[k].frames - 1];
        cr_assert_eq(gd_trajectory_offset(t), expected, "case %zu: %lld, not %lld", k, (long long)gd_trajectory_offset(t),
                     (long long)expected);
        put_frames(t, cases[k].frames, 8, offset);
        cr_assert_eq(gd_trajectory_close(&t, &err), 0);
        size_t again;
        char *second = io_data_read(cut, &again);
        cr_assert_eq(size, again);
        cr_assert_eq(memcmp(text, second, size), 0);
        free(second);
    }
    io_data_write(cut, text, 10);
    cr_assert_eq(gd_trajectory_resume_at_step(&t, cut, GD_TRAJECTORY_POSITIONS, 20, &err), GD_E_FILE_FORMAT);
    free(text);
}

Test(io_trajectory, continues_plain_at_a_step)
{
    continue_at_step("whole2.trc", "cut2.trc");
}

Test(io_trajectory, continues_gzip_at_a_step)
{
    continue_at_step("whole2.trc.gz", "cut2.trc.gz");
}

/* A frame is in the file when its call returns: another reader sees it at once. */
Test(io_trajectory, frames_are_flushed)
{
    static const char *const names[] = {"flush.trc", "flush.trc.gz"};
    for (int k = 0; k < 2; k++) {
        struct gd_trajectory *t = NULL;
        int64_t offset[3];
        cr_assert_eq(gd_trajectory_create(&t, io_scratch(0, names[k]), GD_TRAJECTORY_POSITIONS, NULL, NULL), 0);
        put_frames(t, 0, 3, offset);
        check_positions(io_scratch(0, names[k]), 3);
        cr_assert_eq(gd_trajectory_close(&t, NULL), 0);
    }
}

Test(io_trajectory, forces_in_both_precisions)
{
    struct gd_trajectory *t = NULL;
    struct gd_vector_frames *all = NULL;
    struct gd_err err;
    double force[ATOMS][3];
    float single[ATOMS][3];
    gd_err_clear(&err);
    fill(force, -1234.5);
    for (int i = 0; i < ATOMS * 3; i++)
        single[i / 3][i % 3] = (float)force[i / 3][i % 3];
    const char *path = io_scratch(0, "a.trf");
    cr_assert_eq(gd_trajectory_create(&t, path, GD_TRAJECTORY_FORCES, "x", &err), 0);
    struct gd_rows none = {NULL, 0, GD_FLOAT64}, f64 = {force, ATOMS, GD_FLOAT64}, f32 = {single, ATOMS, GD_FLOAT32};
    cr_assert_eq(gd_trajectory_put_forces(t, 0, 0.0, f64, none, &err), 0);
    cr_assert_eq(gd_trajectory_put_forces(t, 5, 0.01, f32, f64, &err), 0);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    cr_assert_eq(gd_io_read_force_frames(path, &all, &err), 0, "%s", err.text);
    cr_assert_eq(all->count, 2);
    cr_assert_null(all->frame[0].second);
    cr_assert_not_null(all->frame[1].second);
    for (int i = 0; i < ATOMS * 3; i++) {
        cr_assert_float_eq(all->frame[0].first[i / 3][i % 3], force[i / 3][i % 3], 0.51e-9);
        cr_assert_float_eq(all->frame[1].first[i / 3][i % 3], (double)single[i / 3][i % 3], 0.51e-9);
    }
    gd_io_vector_frames_destroy(&all);
}

static struct gd_energy_frame *some_energies(int64_t step)
{
    struct gd_energy_frame *f = NULL;
    cr_assert_eq(gd_energy_frame_create(&f, 2, 3, NULL), 0);
    f->step = step;
    f->time = (double)step * 0.002;
    for (int k = 0; k < GD_ENERGY_TOTALS; k++)
        f->total[k] = (k + 1) * -1.25e3;
    for (size_t k = 0; k < 6; k++)
        f->bath[k / 3][k % 3] = (double)k * 0.5;
    for (size_t k = 0; k < 15; k++)
        f->bonded[k / 5][k % 5] = (double)k;
    for (size_t k = 0; k < 36; k++)
        f->nonbonded[k / 6][k % 6] = -(double)k;
    for (size_t k = 0; k < 39; k++)
        f->special[k / 13][k % 13] = (double)k * 1e-5;
    f->has_volume = 1;
    f->mass = 18.0154;
    f->bath_temperature[1][0] = 300.25;
    gd_energy_frame_set_box(f, &box);
    f->pressure = 0.06102;
    f->pressure_tensor[2][1] = -7.5;
    f->virial_tensor[0][2] = 1e-10;
    return f;
}

Test(io_trajectory, energies_come_back)
{
    struct gd_trajectory *t = NULL;
    struct gd_energy_frames *all = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    const char *path = io_scratch(0, "a.tre.gz");
    struct gd_energy_frame *f = some_energies(15);
    cr_assert_eq(gd_trajectory_create(&t, path, GD_TRAJECTORY_ENERGIES, "x", &err), 0);
    cr_assert_eq(gd_trajectory_put_energies(t, f, &err), 0);
    f->has_volume = 0;
    cr_assert_eq(gd_trajectory_put_energies(t, f, &err), 0);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    cr_assert_eq(gd_io_read_energy_frames(path, &all, &err), 0, "%s", err.text);
    cr_assert_eq(all->count, 2);
    const struct gd_energy_frame *r = all->frame[0];
    cr_assert_eq(r->step, 15);
    cr_assert_eq(r->total[GD_ENE_ANGLE_RESTRAINT], -55e3);
    cr_assert_eq(r->num_baths, 2);
    cr_assert_eq(r->bath[1][2], 2.5);
    cr_assert_eq(r->bonded[2][4], 14.0);
    cr_assert_eq(r->nonbonded[gd_energy_pair(3, 2, 1)][0], -24.0); /* pairs (0,0) (0,1) (0,2) (1,1) (1,2) (2,2) */
    cr_assert_eq(r->special[2][12], 38e-5);
    cr_assert_eq(r->volume, 24.0);
    cr_assert_eq(r->box[1][1], 3.0);
    cr_assert_eq(r->pressure_tensor[2][1], -7.5);
    cr_assert_eq(r->virial_tensor[0][2], 1e-10);
    cr_assert_eq(r->bath_temperature[1][0], 300.25);
    cr_assert_eq(all->frame[1]->has_volume, 0);
    gd_io_energy_frames_destroy(&all);
    gd_energy_frame_destroy(&f);
}

/* A truncated octahedron of cube edge a fills half the cube, in the triclinic cell of the original too. */
Test(io_trajectory, truncated_octahedron_in_energies)
{
    struct gd_energy_frame *f = some_energies(0);
    const struct gd_box octahedron = {.kind = GD_BOX_TRUNCATED_OCTAHEDRON, .vectors = {{3.3, 0, 0}, {0, 3.3, 0}, {0, 0, 3.3}}};
    gd_energy_frame_set_box(f, &octahedron);
    cr_assert_float_eq(f->volume, 3.3 * 3.3 * 3.3 / 2, 1e-12);
    cr_assert_float_eq(f->box[0][0] * f->box[1][1] * f->box[2][2], f->volume, 1e-12);
    cr_assert_float_eq(f->box[0][0], 2.857883832, 1e-9);
    cr_assert_float_eq(f->box[2][0], -0.9526279442, 1e-10);
    gd_energy_frame_destroy(&f);
}

Test(io_trajectory, restraint_data)
{
    static const double distances[2][3] = {{0.6803488, 8.4953995, 0.0}, {0.3454095, 9.1029682, 0.0}};
    static const double angles[1][2] = {{99.1928366, 1.0905343}};
    static const int32_t atoms[1][4] = {{1, 3, 5, 7}};
    static const double averages[1] = {7.3241721}, elevations[3] = {0.0, 12.5, 1e-3};
    struct gd_trajectory *t = NULL;
    const char *path = io_scratch(0, "a.trs");
    struct gd_special_frame f = {.step = 5,
                                 .time = 0.01,
                                 .num_distances = 2,
                                 .distances = distances,
                                 .num_angles = 1,
                                 .angles = angles,
                                 .num_jvalues = 1,
                                 .jvalue_atoms = atoms,
                                 .jvalue_averages = averages,
                                 .jvalue_grid = 3,
                                 .jvalue_elevations = elevations};
    cr_assert_eq(gd_trajectory_create(&t, path, GD_TRAJECTORY_SPECIAL, "x", NULL), 0);
    cr_assert_eq(gd_trajectory_put_special(t, &f, NULL), 0);
    cr_assert_eq(gd_trajectory_close(&t, NULL), 0);
    char *text = io_data_read(path, NULL);
    cr_assert_str_eq(text,
                     "TITLE\n\tgromosd\nx\n\n\tspecial trajectory\nEND\n"
                     "TIMESTEP\n              5    0.010000000\nEND\n"
                     "DISRESDATA\n2\n      0.6803488      8.4953995      0.0000000\n      0.3454095      9.1029682      0.0000000\nEND\n"
                     "ANGRESDATA\n              1\n     99.1928366      1.0905343\nEND\n"
                     "JVALUERESEXPAVE\n# I J K L <J>\n    2    4    6    8      7.3241721\nEND\n"
                     "JVALUERESEPS\n# I J K L\n# GRID[1..3]\n    2    4    6    8\n  0.0000000e+00  1.2500000e+01  1.0000000e-03\nEND\n");
    free(text);
}

Test(io_trajectory, cut_files_are_told)
{
    struct gd_trajectory *t = NULL;
    struct gd_energy_frame *f = some_energies(15);
    struct gd_err err;
    int64_t ends[3];
    const char *path = io_scratch(0, "cut.tre");
    gd_err_clear(&err);
    cr_assert_eq(gd_trajectory_create(&t, path, GD_TRAJECTORY_ENERGIES, "x", &err), 0);
    ends[0] = gd_trajectory_offset(t);
    cr_assert_eq(gd_trajectory_put_energies(t, f, &err), 0);
    ends[1] = gd_trajectory_offset(t);
    cr_assert_eq(gd_trajectory_close(&t, &err), 0);
    gd_energy_frame_destroy(&f);
    size_t size;
    char *text = io_data_read(path, &size);
    cr_assert_eq((int64_t)size, ends[1]);
    char *volume = strstr(text, "VOLUMEPRESSURE03");
    for (size_t cut = (size_t)ends[0] + 2; cut + 1 < size; cut++) {
        int rc = gd_io_check_trajectory_memory('e', "mem", text, cut, &err);
        if (text + cut > volume || text + cut < volume - 1)
            cr_assert_eq(rc, GD_E_FILE_FORMAT, "cut at byte %zu", cut);
    }
    free(text);
}

Test(io_trajectory, frames_out_of_place)
{
    static const struct {
        char kind;
        const char *text, *message;
    } cases[] = {
        {'x', "POSITIONRED\n1 2 3\nEND\n", "mem:1: block POSITIONRED: not expected here"},
        {'x', "TIMESTEP\n0 0\nEND\nTIMESTEP\n1 1\nEND\n", "mem:4: block TIMESTEP: not expected here"},
        {'x', "TIMESTEP\n0 0\nEND\nPOSITIONRED\n1 2 3\nEND\nPOSITIONRED\n1 2 3\nEND\n", "mem:7: block POSITIONRED: not expected"},
        {'f', "TIMESTEP\n0 0\nEND\nFREEFORCERED\n1 2 3\nEND\nCONSFORCERED\n1 2 3\n1 2 3\nEND\n",
         "mem:7: block CONSFORCERED: 2 rows; the frame has 1"},
        {'f', "TIMESTEP\n0 0\nEND\n", "the last frame has no block FREEFORCERED"},
        {'e', "TIMESTEP\n0 0\nEND\nENERGY03\n1 2 3\nEND\n", "mem:6: block ENERGY03: the block ends where a total energy should follow"},
        {'e', "TIMESTEP\n0 0\nEND\nFOO\nEND\n", "mem:4: block FOO: not expected here"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct gd_err err;
        gd_err_clear(&err);
        cr_assert_eq(gd_io_check_trajectory_memory(cases[k].kind, "mem", cases[k].text, strlen(cases[k].text), &err), GD_E_FILE_FORMAT);
        cr_assert_not_null(strstr(err.text, cases[k].message), "said '%s'", err.text);
    }
}
