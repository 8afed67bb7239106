/* Whole arrays into the State: check first, then copy.
 *
 * Copies of one set_array(publish=False): one, from the caller's array into the live arrays. A commit that publishes adds one into the frame
 * (the daemon's), and one into the undo segment unless the newest frame holds the old content already. The check reads the source once
 * before anything is written, so that bad input leaves the State untouched. */
#include "mapping.h"

#include <string.h>

#define LONG_COPY ((size_t)65536) /* bytes from which on other threads may run meanwhile */

void gd_copy_bytes(void *out, const void *in, size_t bytes)
{
    if (bytes < LONG_COPY) {
        memcpy(out, in, bytes);
        return;
    }
    Py_BEGIN_ALLOW_THREADS
    gd_copy_long(out, in, bytes);
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
    PyArrayObject *plain =
        (PyArrayObject *)PyArray_FromArray(array, PyArray_DescrFromType(type), NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_FORCECAST);
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

/* Whether the State's element type can hold every number of a contiguous array. */
static bool fits(const struct gd_mapping *mapping, int which, PyArrayObject *array, const void *data, size_t count)
{
    if (is_f32(array))
        return gd_finite_f32(data, count);
    return mapping->descr[which]->type_num == NPY_FLOAT32 ? gd_finite_f64_as_f32(data, count) : gd_finite_f64(data, count);
}

static void raise_first_bad(const struct gd_mapping *mapping, int which, PyArrayObject *array)
{
    size_t count = (size_t)PyArray_SIZE(array), size = (size_t)PyArray_ITEMSIZE(array), i = 0;
    const char *data = PyArray_DATA(array);
    while (i < count && fits(mapping, which, array, data + i * size, 1))
        i++;
    if (i == count) {
        gd_raise(GD_E_NOT_FINITE, "%s: the array changed while it was read", gd_array_name(which));
        return;
    }
    PyObject *number = PyArray_GETITEM(array, data + i * size);
    if (number == NULL)
        return;
    if (mapping->ndim[which] == 2)
        gd_raise(GD_E_NOT_FINITE, "%s: element [%zu, %zu] is %R; a finite number that fits is wanted", gd_array_name(which), i / 3, i % 3, number);
    else
        gd_raise(GD_E_NOT_FINITE, "%s: element [%zu] is %R; a finite number that fits is wanted", gd_array_name(which), i, number);
    Py_DECREF(number);
}

static int check_numbers(const struct gd_mapping *mapping, int which, PyArrayObject *array)
{
    size_t count = (size_t)PyArray_SIZE(array);
    const void *data = PyArray_DATA(array);
    bool good;
    if (count * sizeof(float) < LONG_COPY) {
        good = fits(mapping, which, array, data, count);
    } else {
        Py_BEGIN_ALLOW_THREADS
        good = fits(mapping, which, array, data, count);
        Py_END_ALLOW_THREADS
    }
    if (!good)
        raise_first_bad(mapping, which, array);
    return good ? 0 : -1;
}

PyObject *gd_assign_prepare(struct gd_mapping *mapping, int which, PyObject *object)
{
    if (mapping->head.array_offset[which] == 0)
        return gd_raise(GD_E_UNSUPPORTED, "the State has no %s", gd_array_name(which));
    PyArrayObject *array = as_numbers(object, which);
    if (array == NULL)
        return NULL;
    if (check_shape(mapping, which, array) < 0 || check_numbers(mapping, which, array) < 0)
        Py_CLEAR(array);
    return (PyObject *)array;
}

static void convert(void *out, const void *in, size_t count, bool widen)
{
    if (widen)
        gd_convert_f32_f64(out, in, count);
    else
        gd_convert_f64_f32(out, in, count);
}

int gd_assign_store(struct gd_mapping *mapping, int which, PyObject *prepared, bool keep)
{
    PyArrayObject *array = (PyArrayObject *)prepared;
    if (gd_lease_touch(mapping, which, keep) < 0)
        return -1;
    void *out = (uint8_t *)mapping->write + mapping->head.array_offset[which];
    const void *in = PyArray_DATA(array);
    size_t count = (size_t)PyArray_SIZE(array);
    bool widen = is_f32(array);
    if (PyArray_TYPE(array) == mapping->descr[which]->type_num) {
        gd_copy_bytes(out, in, gd_array_bytes(&mapping->head, which));
    } else if (count * sizeof(double) < LONG_COPY) {
        convert(out, in, count, widen);
    } else {
        Py_BEGIN_ALLOW_THREADS
        convert(out, in, count, widen);
        Py_END_ALLOW_THREADS
    }
    return 0;
}

int gd_assign(struct gd_mapping *mapping, int which, PyObject *object, bool publish, int64_t timeout_ns, uint64_t *version)
{
    uint64_t sequence;
    int result = -1;
    PyObject *prepared = gd_assign_prepare(mapping, which, object);
    if (prepared == NULL)
        return -1;
    if (gd_lease_mine(mapping)) {
        result = gd_assign_store(mapping, which, prepared, true);
        *version = atomic_load(&mapping->live->version);
    } else if (gd_lease_acquire(mapping, timeout_ns) == 0) {
        if (gd_assign_store(mapping, which, prepared, publish) == 0) {
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
