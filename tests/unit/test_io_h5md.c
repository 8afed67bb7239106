/* H5MD files: structure by the specification, values, and continuation. Built with HDF5 only; without it the refusal is
 * tested. */
#include <criterion/criterion.h>

#include <string.h>

#include "io/h5md.h"
#include "io_data.h"

static const char *const names[] = {"potential_energy", "temperature"};
static const char *const units[] = {"kJ mol-1", "K"};

static struct gd_h5md_layout layout(enum gd_box_kind box)
{
    return (struct gd_h5md_layout){.num_atoms = 5,
                                   .dtype = GD_FLOAT32,
                                   .velocities = 1,
                                   .box = box,
                                   .num_observables = 2,
                                   .observables = names,
                                   .observable_units = units};
}

#ifdef GD_HAVE_HDF5

#include <hdf5.h>

static int put(struct gd_h5md *h, int64_t step, const struct gd_box *box)
{
    float x[5][3], v[5][3];
    double observables[2] = {-1.5 * (double)step, 300.0 + (double)step};
    for (int i = 0; i < 15; i++) {
        x[i / 3][i % 3] = (float)(step * 100 + i);
        v[i / 3][i % 3] = -x[i / 3][i % 3];
    }
    struct gd_h5md_frame f = {
        .step = step, .time = 0.5 * (double)step, .positions = x, .velocities = v, .box = box, .observables = observables};
    struct gd_err err;
    gd_err_clear(&err);
    int rc = gd_h5md_put(h, &f, &err);
    cr_assert(rc == 0 || err.text[0] != '\0');
    return rc;
}

static const struct gd_box box = {.kind = GD_BOX_TRICLINIC, .vectors = {{2, 0, 0}, {0.5, 3, 0}, {0, 0.25, 4}}};

static size_t read_doubles(const char *path, const char *name, double *out, size_t room)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    cr_assert_geq(file, 0);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    cr_assert_geq(set, 0, "%s", name);
    hid_t space = H5Dget_space(set);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    cr_assert_leq((size_t)n, room);
    cr_assert_geq(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), 0);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    return (size_t)n;
}

Test(io_h5md, elements_hold_what_was_put)
{
    struct gd_h5md *h = NULL;
    struct gd_err err;
    struct gd_h5md_layout l = layout(GD_BOX_TRICLINIC);
    static const double mass[5] = {12, 1, 1, 1, 16};
    double values[200];
    const char *path = io_scratch(0, "a.h5");
    gd_err_clear(&err);
    l.mass = mass;
    cr_assert_eq(gd_h5md_create(&h, path, &l, &err), 0, "%s", err.text);
    cr_assert_eq(put(h, 0, &box), 0);
    cr_assert_eq(put(h, 4, &box), 0);
    cr_assert_eq(put(h, 4, &box), GD_E_INVALID_ARGUMENT); /* not after the last one */
    cr_assert_eq(gd_h5md_num_frames(h), 2);
    cr_assert_eq(gd_h5md_close(&h, &err), 0);
    cr_assert_null(h);
    cr_assert_eq(read_doubles(path, "particles/all/position/value", values, 200), 30);
    cr_assert_eq(values[15 + 7], 407.0);
    cr_assert_eq(read_doubles(path, "particles/all/velocity/value", values, 200), 30);
    cr_assert_eq(values[29], -414.0);
    cr_assert_eq(read_doubles(path, "particles/all/box/edges/value", values, 200), 18);
    cr_assert_eq(values[9 + 3], 0.5);
    cr_assert_eq(read_doubles(path, "particles/all/mass", values, 200), 5);
    cr_assert_eq(values[4], 16.0);
    cr_assert_eq(read_doubles(path, "observables/temperature/value", values, 200), 2);
    cr_assert_eq(values[1], 304.0);
    cr_assert_eq(read_doubles(path, "observables/potential_energy/step", values, 200), 2);
    cr_assert_eq(values[1], 4.0);
    cr_assert_eq(read_doubles(path, "particles/all/position/time", values, 200), 2);
    cr_assert_eq(values[1], 2.0);
}

/* The version and the units that a reader looks for. */
Test(io_h5md, says_what_it_is)
{
    struct gd_h5md *h = NULL;
    struct gd_h5md_layout l = layout(GD_BOX_VACUUM);
    const char *path = io_scratch(0, "b.h5");
    int version[2] = {0, 0};
    char *unit = NULL;
    cr_assert_eq(gd_h5md_create(&h, path, &l, NULL), 0);
    cr_assert_eq(gd_h5md_close(&h, NULL), 0);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t attribute = H5Aopen_by_name(file, "h5md", "version", H5P_DEFAULT, H5P_DEFAULT);
    cr_assert_geq(H5Aread(attribute, H5T_NATIVE_INT, version), 0);
    cr_assert_eq(version[0], 1);
    cr_assert_eq(version[1], 1);
    H5Aclose(attribute);
    attribute = H5Aopen_by_name(file, "particles/all/position/value", "unit", H5P_DEFAULT, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);
    cr_assert_geq(H5Aread(attribute, type, &unit), 0);
    cr_assert_str_eq(unit, "nm");
    H5free_memory(unit);
    H5Tclose(type);
    H5Aclose(attribute);
    cr_assert_eq(H5Lexists(file, "particles/all/box/edges", H5P_DEFAULT), 0); /* no box: no edges */
    H5Fclose(file);
}

Test(io_h5md, continues_after_a_cut)
{
    struct gd_h5md *h = NULL;
    struct gd_err err;
    struct gd_h5md_layout l = layout(GD_BOX_TRICLINIC);
    double values[200];
    const char *path = io_scratch(0, "c.h5");
    gd_err_clear(&err);
    cr_assert_eq(gd_h5md_create(&h, path, &l, &err), 0);
    for (int64_t s = 1; s <= 5; s++)
        cr_assert_eq(put(h, s, &box), 0);
    cr_assert_eq(gd_h5md_close(&h, &err), 0);
    cr_assert_eq(gd_h5md_resume(&h, path, &l, 3, &err), 0, "%s", err.text);
    cr_assert_eq(gd_h5md_num_frames(h), 3);
    cr_assert_eq(put(h, 3, &box), GD_E_INVALID_ARGUMENT);
    cr_assert_eq(put(h, 7, &box), 0);
    cr_assert_eq(gd_h5md_close(&h, &err), 0);
    cr_assert_eq(read_doubles(path, "particles/all/position/step", values, 200), 4);
    cr_assert_eq(values[2], 3.0);
    cr_assert_eq(values[3], 7.0);
    cr_assert_eq(read_doubles(path, "observables/temperature/value", values, 200), 4);
    cr_assert_eq(values[3], 307.0);
}

Test(io_h5md, refuses_what_does_not_fit)
{
    struct gd_h5md *h = NULL;
    struct gd_err err;
    struct gd_h5md_layout l = layout(GD_BOX_TRICLINIC);
    const char *path = io_scratch(0, "d.h5");
    gd_err_clear(&err);
    cr_assert_eq(gd_h5md_create(&h, "/nonexistent/x.h5", &l, &err), GD_E_FILE_ACCESS);
    io_data_write(path, "no such format", 14);
    cr_assert_eq(gd_h5md_resume(&h, path, &l, 0, &err), GD_E_FILE_ACCESS);
    cr_assert_eq(gd_h5md_create(&h, path, &l, &err), 0);
    const struct gd_box other = {.kind = GD_BOX_RECTANGULAR, .vectors = {{2, 0, 0}, {0, 3, 0}, {0, 0, 4}}};
    cr_assert_eq(put(h, 1, &other), GD_E_INVALID_ARGUMENT);
    cr_assert_eq(gd_h5md_close(&h, &err), 0);
    l.num_atoms = 6;
    cr_assert_eq(gd_h5md_resume(&h, path, &l, 0, &err), GD_E_FILE_FORMAT);
    cr_assert_null(h);
    l.num_atoms = 0;
    cr_assert_eq(gd_h5md_create(&h, path, &l, &err), GD_E_INVALID_ARGUMENT);
}

static void replace(const char *path, const char *name, int rank, const hsize_t *dims)
{
    hsize_t most[4], chunk[4];
    for (int k = 0; k < rank; k++) {
        most[k] = k == 0 ? H5S_UNLIMITED : dims[k];
        chunk[k] = k == 0 ? 1 : dims[k];
    }
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(rank, dims, most);
    cr_assert_geq(H5Pset_chunk(how, rank, chunk), 0);
    cr_assert_geq(H5Ldelete(file, name, H5P_DEFAULT), 0);
    hid_t set = H5Dcreate2(file, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    cr_assert_geq(set, 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(how);
    H5Fclose(file);
}

/* Another program's file in the place of the run's: what is read and written is as long as the file says, and memory is as long as the
 * layout says. */
Test(io_h5md, every_element_must_have_the_layouts_shape)
{
    static const struct {
        const char *name;
        int rank;
        hsize_t dims[4];
    } cases[] = {
        {"particles/all/position/value", 3, {1, 5, 4}},         {"particles/all/position/step", 2, {1, 4096}},
        {"particles/all/velocity/value", 3, {1, 50000, 3}},     {"particles/all/velocity/value", 2, {1, 15}},
        {"particles/all/velocity/time", 2, {1, 4096}},          {"particles/all/box/edges/value", 3, {1, 300, 300}},
        {"particles/all/box/edges/value", 2, {1, 3}},           {"observables/temperature/value", 2, {1, 50000}},
        {"observables/potential_energy/value", 3, {1, 50, 50}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct gd_h5md *h = NULL;
        struct gd_h5md_layout l = layout(GD_BOX_TRICLINIC);
        struct gd_err err;
        const char *path = io_scratch(0, "e.h5");
        gd_err_clear(&err);
        cr_assert_eq(gd_h5md_create(&h, path, &l, &err), 0);
        cr_assert_eq(put(h, 1, &box), 0);
        cr_assert_eq(gd_h5md_close(&h, &err), 0);
        replace(path, cases[k].name, cases[k].rank, cases[k].dims);
        cr_assert_eq(gd_h5md_resume(&h, path, &l, 1, &err), GD_E_FILE_FORMAT, "%s: %s", cases[k].name, err.text);
        cr_assert_null(h);
    }
}

#else

Test(io_h5md, refuses_without_hdf5)
{
    struct gd_h5md *h = NULL;
    struct gd_h5md_layout l = layout(GD_BOX_VACUUM);
    cr_assert_eq(gd_h5md_create(&h, io_scratch(0, "a.h5"), &l, NULL), GD_E_UNSUPPORTED);
}

#endif
