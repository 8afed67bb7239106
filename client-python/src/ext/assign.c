/* Whole arrays into the State, in one pass: every number is looked at while it is copied.
 *
 * Copies of one set_array: one, from the caller's array into the live arrays, when the newest frame holds the old content; else the
 * old content goes into the undo segment on the way, which adds one. A commit that publishes adds one into the frame (the daemon's).
 *
 * A number that is not finite or does not fit is met in the middle of the copy. What stood there is put back then, and the mark taken back:
 * no commit, no version, no frame comes of it; who looks at the live arrays meanwhile sees an edit under way, as ever. Whoever ends the
 * edit otherwise, this process or the daemon, puts back the same (proto/gd_undo.h). An array that this edit has changed before has content
 * that is kept nowhere: there the check goes first.
 *
 * What was written through arrays that were handed out is read once more before the commit, for the same check. */
#include "mapping.h"

#include <float.h>
#include <math.h>
#include <string.h>

void gd_copy_bytes(void *out, const void *in, size_t bytes)
{
    if (bytes < GD_LONG_COPY) {
        memcpy(out, in, bytes);
        return;
    }
    Py_BEGIN_ALLOW_THREADS gd_copy_long(out, in, bytes);
    Py_END_ALLOW_THREADS
}

static bool is_f32(const PyArrayObject *array)
{
    return PyArray_TYPE(array) == NPY_FLOAT32;
}

/* The object as a C-contiguous, aligned, native float32 or float64 array; new reference. */
static PyArrayObject *as_numbers(PyObject *object, int which)
{
    PyArrayObject *array = (PyArrayObject *)PyArray_FROM_O(object);
    if (array == NULL) {
        if (PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            gd_raise(GD_E_INVALID_SHAPE, "%s: makes no array, its rows differ in length", gd_array_name(which));
        }
        return NULL;
    }
    char kind = PyArray_DESCR(array)->kind;
    if (kind != 'f' && kind != 'i' && kind != 'u') {
        gd_raise(GD_E_INVALID_DTYPE, "%s: real numbers are wanted, not an array of %S", gd_array_name(which), PyArray_DESCR(array));
        Py_DECREF(array);
        return NULL;
    }
    int type = is_f32(array) ? NPY_FLOAT32 : NPY_FLOAT64;
    if (PyArray_TYPE(array) == type && PyArray_ISCARRAY_RO(array))
        return array;
    PyArrayObject *plain = (PyArrayObject *)PyArray_FromArray(array, PyArray_DescrFromType(type),
                                                              NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_FORCECAST);
    Py_DECREF(array);
    return plain;
}

static int check_shape(const struct gd_mapping *mapping, int which, PyArrayObject *array)
{
    bool same = PyArray_NDIM(array) == mapping->ndim[which];
    for (int i = 0; same && i < mapping->ndim[which]; i++)
        same = PyArray_DIM(array, i) == mapping->dims[which][i];
    if (same)
        return 0;
    PyObject *shape = PyObject_GetAttrString((PyObject *)array, "shape");
    if (shape == NULL)
        return -1;
    if (mapping->ndim[which] == 2)
        gd_raise(GD_E_INVALID_SHAPE, "%s: shape %R does not fit the State's (%zd, 3)", gd_array_name(which), shape,
                 (Py_ssize_t)mapping->dims[which][0]);
    else
        gd_raise(GD_E_INVALID_SHAPE, "%s: shape %R does not fit the State's (%zd,)", gd_array_name(which), shape,
                 (Py_ssize_t)mapping->dims[which][0]);
    Py_DECREF(shape);
    return -1;
}

static enum gd_numbers numbers_of(const struct gd_mapping *mapping, int which, const PyArrayObject *array)
{
    bool single = mapping->descr[which]->type_num == NPY_FLOAT32;
    if (is_f32(array))
        return single ? GD_F32 : GD_F32_TO_F64;
    return single ? GD_F64_TO_F32 : GD_F64;
}

static void raise_not_finite(const struct gd_mapping *mapping, int which, size_t i, PyObject *number)
{
    if (mapping->ndim[which] == 2)
        gd_raise(GD_E_NOT_FINITE, "%s: element [%zu, %zu] is %R; a finite number that fits is wanted", gd_array_name(which), i / 3, i % 3,
                 number);
    else
        gd_raise(GD_E_NOT_FINITE, "%s: element [%zu] is %R; a finite number that fits is wanted", gd_array_name(which), i, number);
}

static void raise_first_bad(const struct gd_mapping *mapping, int which, PyArrayObject *array)
{
    size_t count = (size_t)PyArray_SIZE(array), size = (size_t)PyArray_ITEMSIZE(array), i = 0;
    const char *data = PyArray_DATA(array);
    enum gd_numbers numbers = numbers_of(mapping, which, array);
    while (i < count && gd_overwrite_fits(&(struct gd_overwrite){.numbers = numbers, .count = 1, .in = data + i * size}))
        i++;
    if (i == count) {
        gd_raise(GD_E_NOT_FINITE, "%s: the array changed while it was read", gd_array_name(which));
        return;
    }
    PyObject *number = PyArray_GETITEM(array, data + i * size);
    if (number == NULL)
        return;
    raise_not_finite(mapping, which, i, number);
    Py_DECREF(number);
}

PyObject *gd_assign_prepare(struct gd_mapping *mapping, int which, PyObject *object)
{
    if (mapping->head.array_offset[which] == 0)
        return gd_raise(GD_E_UNSUPPORTED, "the State has no %s", gd_array_name(which));
    PyArrayObject *array = as_numbers(object, which);
    if (array == NULL)
        return NULL;
    if (check_shape(mapping, which, array) < 0)
        Py_CLEAR(array);
    return (PyObject *)array;
}

static bool overwrite(const struct gd_overwrite *what, enum gd_old_content old)
{
    return (old != GD_TOUCHED || gd_overwrite_fits(what)) && gd_overwrite(what);
}

int gd_assign_store(struct gd_mapping *mapping, int which, PyObject *prepared)
{
    PyArrayObject *array = (PyArrayObject *)prepared;
    int begun = gd_lease_overwrite_begin(mapping, which);
    if (begun < 0)
        return -1;
    const enum gd_old_content old = (enum gd_old_content)begun;
    const bool kept = old == GD_KEPT_ON_THE_WAY;
    const struct gd_overwrite what = {
        .numbers = numbers_of(mapping, which, array),
        .count = (size_t)PyArray_SIZE(array),
        .out = (uint8_t *)mapping->write + mapping->head.array_offset[which],
        .in = PyArray_DATA(array),
        .undo = kept ? mapping->undo_map.base + mapping->undo_offset[which] : NULL,
        .undo_bytes = kept ? &mapping->write->undo_bytes[which] : NULL,
    };
    bool good;
    if (gd_array_bytes(&mapping->head, which) < GD_LONG_COPY) {
        good = overwrite(&what, old);
    } else {
        Py_BEGIN_ALLOW_THREADS good = overwrite(&what, old);
        Py_END_ALLOW_THREADS
    }
    gd_lease_overwrite_end(mapping, which, old, good);
    if (!good)
        raise_first_bad(mapping, which, array);
    return good ? 0 : -1;
}

int gd_assign(struct gd_mapping *mapping, int which, PyObject *object, bool publish, int64_t timeout_ns, uint64_t *version)
{
    uint64_t sequence;
    int result = -1;
    PyObject *prepared = gd_assign_prepare(mapping, which, object);
    if (prepared == NULL)
        return -1;
    if (gd_lease_mine(mapping)) {
        result = gd_assign_store(mapping, which, prepared);
        *version = atomic_load(&mapping->live->version);
    } else if (gd_lease_acquire(mapping, timeout_ns) == 0) {
        if (gd_assign_store(mapping, which, prepared) == 0) {
            result = gd_lease_commit(mapping, publish, version, &sequence);
        } else {
            PyObject *type, *value, *trace;
            PyErr_Fetch(&type, &value, &trace);
            if (gd_lease_rollback(mapping) < 0)
                PyErr_Clear();
            PyErr_Restore(type, value, trace);
        }
    }
    Py_DECREF(prepared);
    return result;
}

/* ---- arrays that were handed out */

static bool is_double(const struct gd_mapping *mapping, int which)
{
    return mapping->descr[which]->type_num == NPY_FLOAT64;
}

static double element(const struct gd_mapping *mapping, int which, size_t i)
{
    const void *array = gd_live_array(mapping, which);
    return is_double(mapping, which) ? ((const double *)array)[i] : (double)((const float *)array)[i];
}

/* Every number is finite, and every mass above zero. */
static bool all_fit(const struct gd_mapping *mapping, int which, size_t count)
{
    const void *array = gd_live_array(mapping, which);
    if (which == GD_MASSES) {
        const double *masses = array;
        bool good = true;
        for (size_t i = 0; i < count; i++)
            good &= masses[i] > 0 && masses[i] <= DBL_MAX;
        return good;
    }
    return is_double(mapping, which) ? gd_finite_f64(array, count) : gd_finite_f32(array, count);
}

static void raise_written(const struct gd_mapping *mapping, int which, size_t count)
{
    size_t i = 0;
    while (i < count && isfinite(element(mapping, which, i)) && (which != GD_MASSES || element(mapping, which, i) > 0))
        i++;
    PyObject *number = i == count ? NULL : PyFloat_FromDouble(element(mapping, which, i));
    if (number == NULL && !PyErr_Occurred())
        gd_raise(GD_E_NOT_FINITE, "%s: the array changed while it was looked at", gd_array_name(which));
    else if (number != NULL && which == GD_MASSES && isfinite(element(mapping, which, i)))
        gd_raise(GD_E_INVALID_ARGUMENT, "masses: element [%zu] is %R; every mass must be above zero", i, number);
    else if (number != NULL)
        raise_not_finite(mapping, which, i, number);
    Py_XDECREF(number);
}

int gd_assign_check(const struct gd_mapping *mapping, int which)
{
    const size_t bytes = gd_array_bytes(&mapping->head, which),
                 count = bytes / (is_double(mapping, which) ? sizeof(double) : sizeof(float));
    bool good;
    if (bytes < GD_LONG_COPY) {
        good = all_fit(mapping, which, count);
    } else {
        Py_BEGIN_ALLOW_THREADS good = all_fit(mapping, which, count);
        Py_END_ALLOW_THREADS
    }
    if (!good)
        raise_written(mapping, which, count);
    return good ? 0 : -1;
}
