/* See h5md.h. An element (position, box edges, an observable, ...) is a group with the datasets step, time
 * and value, which grow together along their first dimension. */
#include "io/h5md.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef GD_HAVE_HDF5

#include <hdf5.h>

#include "core/check.h"
#include "core/version.h"
#include "io/hdf5_store.h"

#define H5MD_MAGIC 0x67483544u
#define STEP_CHUNK 1024

struct element {
    hid_t group, step, time, value;
};

enum { ELEMENT_POSITION, ELEMENT_VELOCITY, ELEMENT_FORCE, ELEMENT_BOX, ELEMENT_FIRST_OBSERVABLE };
#define MAX_ELEMENTS (ELEMENT_FIRST_OBSERVABLE + GD_H5MD_MAX_OBSERVABLES)

struct gd_h5md {
    uint32_t magic;
    char *path;
    hid_t file;
    struct gd_h5md_layout layout; /* its pointers are not kept */
    struct element element[MAX_ELEMENTS];
    int present[MAX_ELEMENTS];
    size_t num_frames;
    int64_t last_step;
};

/* ---- elements
 * ------------------------------------------------------------------------------------------------- */

static hid_t new_series(hid_t group, const char *name, hid_t type, int rank, const hsize_t *frame, hsize_t chunk_frames)
{
    hsize_t size[4] = {0}, limit[4] = {H5S_UNLIMITED}, chunk[4] = {chunk_frames};
    for (int k = 1; k < rank; k++)
        size[k] = limit[k] = chunk[k] = frame[k - 1];
    hid_t space = H5Screate_simple(rank, size, limit), how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set = H5Pset_chunk(how, rank, chunk) < 0 ? -1 : H5Dcreate2(group, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    H5Sclose(space);
    return set;
}

static void close_element(struct element *e)
{
    if (e->value >= 0)
        H5Dclose(e->value);
    if (e->time >= 0)
        H5Dclose(e->time);
    if (e->step >= 0)
        H5Dclose(e->step);
    if (e->group >= 0)
        H5Gclose(e->group);
    *e = (struct element){-1, -1, -1, -1};
}

/* rank and dims of one frame's value; [0] of the file's datasets is the frame. */
static int create_element(struct element *e, hid_t parent, const char *name, hid_t type, int rank, const hsize_t *dims, const char *unit)
{
    hsize_t per_frame = 1;
    for (int k = 0; k < rank; k++)
        per_frame *= dims[k];
    hsize_t chunk = per_frame >= STEP_CHUNK ? 1 : STEP_CHUNK / (per_frame == 0 ? 1 : per_frame);
    e->group = H5Gcreate2(parent, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (e->group < 0)
        return -1;
    e->step = new_series(e->group, "step", H5T_STD_I64LE, 1, NULL, STEP_CHUNK);
    e->time = new_series(e->group, "time", H5T_IEEE_F64LE, 1, NULL, STEP_CHUNK);
    e->value = new_series(e->group, "value", type, rank + 1, dims, chunk);
    if (e->step < 0 || e->time < 0 || e->value < 0 || gd_hdf5_put_text(e->time, "unit", "ps") != 0)
        return -1;
    return unit == NULL || unit[0] == '\0' ? 0 : gd_hdf5_put_text(e->value, "unit", unit);
}

static int open_element(struct element *e, hid_t parent, const char *name)
{
    e->group = H5Gopen2(parent, name, H5P_DEFAULT);
    if (e->group < 0)
        return -1;
    e->step = H5Dopen2(e->group, "step", H5P_DEFAULT);
    e->time = H5Dopen2(e->group, "time", H5P_DEFAULT);
    e->value = H5Dopen2(e->group, "value", H5P_DEFAULT);
    return e->step < 0 || e->time < 0 || e->value < 0 ? -1 : 0;
}

static int append(hid_t set, hsize_t frame, hid_t memory_type, const void *data)
{
    hsize_t size[4], start[4] = {frame}, count[4];
    hid_t space = H5Dget_space(set);
    int rank = H5Sget_simple_extent_dims(space, size, NULL);
    H5Sclose(space);
    if (rank < 1)
        return -1;
    size[0] = frame + 1;
    memcpy(count, size, sizeof count);
    count[0] = 1;
    if (H5Dset_extent(set, size) < 0)
        return -1;
    space = H5Dget_space(set);
    hid_t memory = H5Screate_simple(rank, count, NULL);
    int ok = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
             H5Dwrite(set, memory_type, memory, space, H5P_DEFAULT, data) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    return ok ? 0 : -1;
}

static int append_element(struct gd_h5md *h, int which, int64_t step, double time, hid_t type, const void *data)
{
    const struct element *e = &h->element[which];
    if (!h->present[which])
        return 0;
    if (append(e->value, h->num_frames, type, data) != 0 || append(e->time, h->num_frames, H5T_NATIVE_DOUBLE, &time) != 0)
        return -1;
    return append(e->step, h->num_frames, H5T_NATIVE_INT64, &step);
}

/* ---- layout
 * --------------------------------------------------------------------------------------------------- */

static hid_t file_type(enum gd_dtype dtype)
{
    return dtype == GD_FLOAT32 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
}

static hid_t memory_type(enum gd_dtype dtype)
{
    return dtype == GD_FLOAT32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

/* Rectangular: three lengths; otherwise the matrix of edge vectors. */
static int box_rank(enum gd_box_kind kind)
{
    return kind == GD_BOX_RECTANGULAR ? 1 : 2;
}

static int check_layout(const char *path, const struct gd_h5md_layout *l, struct gd_err *err)
{
    if (l->num_atoms == 0 || (l->dtype != GD_FLOAT32 && l->dtype != GD_FLOAT64) || l->num_observables > GD_H5MD_MAX_OBSERVABLES)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: an H5MD file needs atoms, float32 or float64, and at most %d observables", path,
                          GD_H5MD_MAX_OBSERVABLES);
    for (size_t k = 0; k < l->num_observables; k++)
        if (l->observables[k][0] == '\0' || strchr(l->observables[k], '/') != NULL)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: '%s' cannot be the name of an observable", path, l->observables[k]);
    return 0;
}

static int write_head(struct gd_h5md *h, const struct gd_h5md_layout *l)
{
    static const int32_t version[2] = {1, 1}, units_version[2] = {1, 0};
    hid_t group = H5Gcreate2(h->file, "h5md", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t author = H5Gcreate2(group, "author", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t creator = H5Gcreate2(group, "creator", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t modules = H5Gcreate2(group, "modules", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t units = H5Gcreate2(modules, "units", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int ok = gd_hdf5_put_int32s(group, "version", version, 2) == 0 &&
             gd_hdf5_put_text(author, "name", l->author == NULL ? "unknown" : l->author) == 0 &&
             gd_hdf5_put_text(creator, "name", "gromosd") == 0 && gd_hdf5_put_text(creator, "version", GD_VERSION) == 0 &&
             gd_hdf5_put_int32s(units, "version", units_version, 2) == 0 && gd_hdf5_put_text(units, "system", "SI") == 0;
    H5Gclose(units);
    H5Gclose(modules);
    H5Gclose(creator);
    H5Gclose(author);
    H5Gclose(group);
    return ok ? 0 : -1;
}

static int put_fixed(hid_t all, const char *name, hid_t type, hid_t memory, const void *data, hsize_t n, const char *unit)
{
    if (data == NULL)
        return 0;
    hid_t space = H5Screate_simple(1, &n, NULL);
    hid_t set = H5Dcreate2(all, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int ok = set >= 0 && H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0 &&
             (unit == NULL || gd_hdf5_put_text(set, "unit", unit) == 0);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    return ok ? 0 : -1;
}

static int create_box(struct gd_h5md *h, hid_t all, const struct gd_h5md_layout *l)
{
    static const char *const boundary[2][3] = {{"periodic", "periodic", "periodic"}, {"none", "none", "none"}};
    static const int32_t three = 3;
    static const hsize_t dims[2] = {3, 3};
    hid_t box = H5Gcreate2(all, "box", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int ok = box >= 0 && gd_hdf5_put_int32s(box, "dimension", &three, 0) == 0 &&
             gd_hdf5_put_texts(box, "boundary", boundary[l->box == GD_BOX_VACUUM], 3) == 0;
    if (ok && l->box != GD_BOX_VACUUM) {
        ok = create_element(&h->element[ELEMENT_BOX], box, "edges", H5T_IEEE_F64LE, box_rank(l->box), dims, "nm") == 0;
        h->present[ELEMENT_BOX] = 1;
    }
    H5Gclose(box);
    return ok ? 0 : -1;
}

static int create_particles(struct gd_h5md *h, const struct gd_h5md_layout *l)
{
    hsize_t dims[2] = {l->num_atoms, 3};
    hid_t type = file_type(l->dtype);
    hid_t particles = H5Gcreate2(h->file, "particles", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t all = H5Gcreate2(particles, "all", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    h->present[ELEMENT_POSITION] = 1;
    h->present[ELEMENT_VELOCITY] = l->velocities != 0;
    h->present[ELEMENT_FORCE] = l->forces != 0;
    int ok = all >= 0 && create_box(h, all, l) == 0 &&
             create_element(&h->element[ELEMENT_POSITION], all, "position", type, 2, dims, "nm") == 0 &&
             put_fixed(all, "mass", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, l->mass, l->num_atoms, "u") == 0 &&
             put_fixed(all, "charge", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, l->charge, l->num_atoms, "e") == 0 &&
             put_fixed(all, "species", H5T_STD_I32LE, H5T_NATIVE_INT32, l->species, l->num_atoms, NULL) == 0;
    if (ok && l->velocities)
        ok = create_element(&h->element[ELEMENT_VELOCITY], all, "velocity", type, 2, dims, "nm ps-1") == 0;
    if (ok && l->forces)
        ok = create_element(&h->element[ELEMENT_FORCE], all, "force", type, 2, dims, "kJ mol-1 nm-1") == 0;
    H5Gclose(all);
    H5Gclose(particles);
    return ok ? 0 : -1;
}

static int create_observables(struct gd_h5md *h, const struct gd_h5md_layout *l)
{
    hid_t group = H5Gcreate2(h->file, "observables", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int ok = group >= 0;
    for (size_t k = 0; k < l->num_observables && ok; k++) {
        size_t e = ELEMENT_FIRST_OBSERVABLE + k;
        h->present[e] = 1;
        ok = create_element(&h->element[e], group, l->observables[k], H5T_IEEE_F64LE, 0, NULL,
                            l->observable_units == NULL ? NULL : l->observable_units[k]) == 0;
    }
    if (group >= 0)
        H5Gclose(group);
    return ok ? 0 : -1;
}

/* ---- opening
 * -------------------------------------------------------------------------------------------------- */

static struct gd_h5md *new_h5md(const char *path, const struct gd_h5md_layout *l)
{
    struct gd_h5md *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->magic = H5MD_MAGIC;
    h->file = -1;
    h->layout = *l;
    h->last_step = INT64_MIN;
    for (int e = 0; e < MAX_ELEMENTS; e++)
        h->element[e] = (struct element){-1, -1, -1, -1};
    h->path = strdup(path);
    if (h->path == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

/* Under the lock. */
static int release(struct gd_h5md *h)
{
    for (int e = 0; e < MAX_ELEMENTS; e++)
        close_element(&h->element[e]);
    int rc = h->file >= 0 && H5Fclose(h->file) < 0 ? -1 : 0;
    h->magic = 0;
    free(h->path);
    free(h);
    return rc;
}

int gd_h5md_create(struct gd_h5md **out, const char *path, const struct gd_h5md_layout *l, struct gd_err *err)
{
    int rc = check_layout(path, l, err);
    if (rc != 0)
        return rc;
    struct gd_h5md *h = new_h5md(path, l);
    if (h == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write it", path);
    gd_hdf5_enter();
    h->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (h->file < 0)
        rc = gd_hdf5_fault(path, "cannot be written", err);
    else if (write_head(h, l) != 0 || create_particles(h, l) != 0 || create_observables(h, l) != 0 ||
             H5Fflush(h->file, H5F_SCOPE_LOCAL) < 0)
        rc = gd_hdf5_fault(path, "its H5MD groups cannot be made", err);
    if (rc != 0)
        release(h);
    else
        *out = h;
    gd_hdf5_leave();
    return rc;
}

static int open_elements(struct gd_h5md *h, const struct gd_h5md_layout *l)
{
    int ok = open_element(&h->element[ELEMENT_POSITION], h->file, "particles/all/position") == 0;
    h->present[ELEMENT_POSITION] = 1;
    h->present[ELEMENT_VELOCITY] = l->velocities != 0;
    h->present[ELEMENT_FORCE] = l->forces != 0;
    h->present[ELEMENT_BOX] = l->box != GD_BOX_VACUUM;
    if (ok && l->velocities)
        ok = open_element(&h->element[ELEMENT_VELOCITY], h->file, "particles/all/velocity") == 0;
    if (ok && l->forces)
        ok = open_element(&h->element[ELEMENT_FORCE], h->file, "particles/all/force") == 0;
    if (ok && l->box != GD_BOX_VACUUM)
        ok = open_element(&h->element[ELEMENT_BOX], h->file, "particles/all/box/edges") == 0;
    hid_t group = ok ? H5Gopen2(h->file, "observables", H5P_DEFAULT) : -1;
    for (size_t k = 0; k < l->num_observables && ok; k++) {
        h->present[ELEMENT_FIRST_OBSERVABLE + k] = 1;
        ok = group >= 0 && open_element(&h->element[ELEMENT_FIRST_OBSERVABLE + k], group, l->observables[k]) == 0;
    }
    if (group >= 0)
        H5Gclose(group);
    return ok ? 0 : -1;
}

static int dims_of(hid_t set, hsize_t dims[4])
{
    hid_t space = H5Dget_space(set);
    int rank = space < 0 || H5Sget_simple_extent_ndims(space) > 4 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
    if (space >= 0)
        H5Sclose(space);
    return rank;
}

/* Whether every dataset of an element has the shape that the layout gives it, for memory is measured by that; *frames becomes the least of
 * their lengths. */
static int fits_layout(const struct gd_h5md *h, int which, hsize_t *frames)
{
    const struct element *e = &h->element[which];
    const hid_t sets[3] = {e->step, e->time, e->value};
    hsize_t expected[2] = {which == ELEMENT_BOX ? 3 : h->layout.num_atoms, 3}, dims[4] = {0};
    int rank = which >= ELEMENT_FIRST_OBSERVABLE ? 0 : which == ELEMENT_BOX ? box_rank(h->layout.box) : 2;
    for (int k = 0; k < 3; k++) {
        int own = k < 2 ? 0 : rank;
        if (dims_of(sets[k], dims) != own + 1 || memcmp(dims + 1, expected, (size_t)own * sizeof *dims) != 0)
            return 0;
        *frames = dims[0] < *frames ? dims[0] : *frames;
    }
    return 1;
}

/* How many frames every element has in full, of those not after last_step. */
static int count_frames(struct gd_h5md *h, int64_t last_step, struct gd_err *err)
{
    hsize_t dims[4] = {0}, frames = ~(hsize_t)0;
    for (int e = 0; e < MAX_ELEMENTS; e++)
        if (h->present[e] && !fits_layout(h, e, &frames))
            return gd_err_set(err, GD_E_FILE_FORMAT,
                              "%s: is not a trajectory of %zu atoms with the elements of this run: one of them has another shape", h->path,
                              h->layout.num_atoms);
    hid_t steps = h->element[ELEMENT_POSITION].step;
    dims_of(steps, dims);
    int64_t *step = calloc((size_t)dims[0] + 1, sizeof *step);
    if (step == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its steps", h->path);
    int rc = 0;
    if (dims[0] > 0 && H5Dread(steps, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, step) < 0)
        rc = gd_hdf5_fault(h->path, "its steps cannot be read", err);
    while (frames > 0 && step[frames - 1] > last_step)
        frames--;
    h->num_frames = (size_t)frames;
    h->last_step = frames > 0 ? step[frames - 1] : INT64_MIN;
    free(step);
    return rc;
}

static int cut_elements(struct gd_h5md *h, struct gd_err *err)
{
    hsize_t dims[4];
    for (int e = 0; e < MAX_ELEMENTS; e++) {
        const hid_t sets[3] = {h->element[e].step, h->element[e].time, h->element[e].value};
        for (int k = 0; k < 3 && h->present[e]; k++) {
            dims_of(sets[k], dims);
            dims[0] = h->num_frames;
            if (H5Dset_extent(sets[k], dims) < 0)
                return gd_hdf5_fault(h->path, "cannot be cut back", err);
        }
    }
    return H5Fflush(h->file, H5F_SCOPE_LOCAL) < 0 ? gd_hdf5_fault(h->path, "cannot be written", err) : 0;
}

int gd_h5md_resume(struct gd_h5md **out, const char *path, const struct gd_h5md_layout *l, int64_t last_step, struct gd_err *err)
{
    int rc = check_layout(path, l, err);
    if (rc != 0)
        return rc;
    struct gd_h5md *h = new_h5md(path, l);
    if (h == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory to write it", path);
    gd_hdf5_enter();
    h->file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (h->file < 0)
        rc = gd_hdf5_fault(path, "cannot be continued", err);
    else if (open_elements(h, l) != 0)
        rc = gd_err_set(err, GD_E_FILE_FORMAT, "%s: is not an H5MD file with the elements of this run", path);
    if (rc == 0)
        rc = count_frames(h, last_step, err);
    if (rc == 0)
        rc = cut_elements(h, err);
    if (rc != 0)
        release(h);
    else
        *out = h;
    gd_hdf5_leave();
    return rc;
}

/* ---- frames
 * --------------------------------------------------------------------------------------------------- */

/* The octahedron's lattice is body-centred cubic: three of its nearest lattice vectors, in the cube's own
 * frame. */
static void box_values(const struct gd_box *box, double out[9])
{
    double h = box->vectors[0][0] / 2.0;
    const double octahedron[9] = {h, h, -h, -h, h, h, h, -h, h};
    if (box->kind == GD_BOX_RECTANGULAR)
        for (int k = 0; k < 3; k++)
            out[k] = box->vectors[k][k];
    else
        memcpy(out, box->kind == GD_BOX_TRUNCATED_OCTAHEDRON ? octahedron : box->vectors[0], 9 * sizeof *out);
}

static int append_frame(struct gd_h5md *h, const struct gd_h5md_frame *f)
{
    hid_t type = memory_type(h->layout.dtype);
    double box[9] = {0};
    if (h->present[ELEMENT_BOX])
        box_values(f->box, box);
    int rc = append_element(h, ELEMENT_BOX, f->step, f->time, H5T_NATIVE_DOUBLE, box);
    if (rc == 0)
        rc = append_element(h, ELEMENT_VELOCITY, f->step, f->time, type, f->velocities);
    if (rc == 0)
        rc = append_element(h, ELEMENT_FORCE, f->step, f->time, type, f->forces);
    for (size_t k = 0; k < h->layout.num_observables && rc == 0; k++)
        rc = append_element(h, (int)(ELEMENT_FIRST_OBSERVABLE + k), f->step, f->time, H5T_NATIVE_DOUBLE, &f->observables[k]);
    if (rc == 0)
        rc = append_element(h, ELEMENT_POSITION, f->step, f->time, type, f->positions);
    return rc != 0 || H5Fflush(h->file, H5F_SCOPE_LOCAL) < 0 ? -1 : 0;
}

int gd_h5md_put(struct gd_h5md *h, const struct gd_h5md_frame *f, struct gd_err *err)
{
    GD_MAGIC_CHECK(h, H5MD_MAGIC);
    if (f->positions == NULL || (h->present[ELEMENT_VELOCITY] && f->velocities == NULL) ||
        (h->present[ELEMENT_FORCE] && f->forces == NULL) || (h->layout.num_observables > 0 && f->observables == NULL))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: a frame without what the file was made for", h->path);
    if (h->present[ELEMENT_BOX] && (f->box == NULL || f->box->kind != (int32_t)h->layout.box))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: the box is of another kind than the file's", h->path);
    if (f->step <= h->last_step)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%s: step %lld is not after step %lld", h->path, (long long)f->step,
                          (long long)h->last_step);
    gd_hdf5_enter();
    int rc = append_frame(h, f) == 0 ? 0 : gd_hdf5_fault(h->path, "cannot be written", err);
    gd_hdf5_leave();
    if (rc != 0)
        return rc;
    h->num_frames++;
    h->last_step = f->step;
    return 0;
}

size_t gd_h5md_num_frames(const struct gd_h5md *h)
{
    GD_MAGIC_CHECK(h, H5MD_MAGIC);
    return h->num_frames;
}

int gd_h5md_close(struct gd_h5md **handle, struct gd_err *err)
{
    if (handle == NULL || *handle == NULL)
        return 0;
    struct gd_h5md *h = *handle;
    GD_MAGIC_CHECK(h, H5MD_MAGIC);
    char path[256];
    snprintf(path, sizeof path, "%s", h->path);
    gd_hdf5_enter();
    int rc = release(h) == 0 ? 0 : gd_hdf5_fault(path, "cannot be closed", err);
    gd_hdf5_leave();
    *handle = NULL;
    return rc;
}

#else /* without HDF5 */

static int without(const char *path, struct gd_err *err)
{
    return gd_err_set(err, GD_E_UNSUPPORTED, "%s: H5MD files need a build with HDF5 (install libhdf5-dev and build again)", path);
}

int gd_h5md_create(struct gd_h5md **out, const char *path, const struct gd_h5md_layout *layout, struct gd_err *err)
{
    (void)out, (void)layout;
    return without(path, err);
}

int gd_h5md_resume(struct gd_h5md **out, const char *path, const struct gd_h5md_layout *layout, int64_t last_step, struct gd_err *err)
{
    (void)out, (void)layout, (void)last_step;
    return without(path, err);
}

int gd_h5md_put(struct gd_h5md *h5md, const struct gd_h5md_frame *frame, struct gd_err *err)
{
    (void)h5md;
    (void)frame;
    return without("", err);
}

size_t gd_h5md_num_frames(const struct gd_h5md *h5md)
{
    (void)h5md;
    return 0;
}

int gd_h5md_close(struct gd_h5md **h5md, struct gd_err *err)
{
    (void)h5md, (void)err;
    return 0;
}

#endif
