/* Conversions between Python objects and the components of Vec3 and Mat3. See values.h. */
#include "values.h"

#include <stdlib.h>
#include <string.h>

int gromos_number_slow(PyObject *object, const char *what, double *out)
{
    double value = PyFloat_AsDouble(object);
    if (value == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "%s must be a real number, not %.200s", what, Py_TYPE(object)->tp_name);
        return -1;
    }
    *out = value;
    return 0;
}

int gromos_operand(PyObject *object, double *out)
{
    if (PyFloat_Check(object)) {
        *out = PyFloat_AS_DOUBLE(object);
        return 1;
    }
    if (!PyLong_Check(object) && !PyArray_IsScalar(object, Integer) && !PyArray_IsScalar(object, Floating) &&
        !PyArray_IsScalar(object, Bool))
        return 0;
    *out = PyFloat_AsDouble(object);
    return *out == -1.0 && PyErr_Occurred() ? -1 : 1;
}

/* The shape of an array as Python writes it. */
static PyObject *shape_text(PyArrayObject *array)
{
    int ndim = PyArray_NDIM(array);
    PyObject *tuple = PyTuple_New(ndim);
    if (tuple == NULL)
        return NULL;
    for (int i = 0; i < ndim; i++) {
        PyObject *length = PyLong_FromSsize_t((Py_ssize_t)PyArray_DIM(array, i));
        if (length == NULL) {
            Py_DECREF(tuple);
            return NULL;
        }
        PyTuple_SET_ITEM(tuple, i, length);
    }
    PyObject *text = PyObject_Repr(tuple);
    Py_DECREF(tuple);
    return text;
}

static int check_array(PyArrayObject *array, const char *what, int rows)
{
    bool fits = rows == 1 ? PyArray_NDIM(array) == 1 && PyArray_DIM(array, 0) == 3
                          : PyArray_NDIM(array) == 2 && PyArray_DIM(array, 0) == rows && PyArray_DIM(array, 1) == 3;
    if (!fits) {
        PyObject *text = shape_text(array);
        if (text != NULL) {
            PyErr_Format(PyExc_ValueError, "%s must have shape %s, not %U", what, rows == 1 ? "(3,)" : "(3, 3)", text);
            Py_DECREF(text);
        }
        return -1;
    }
    if (!PyTypeNum_ISFLOAT(PyArray_TYPE(array)) && !PyTypeNum_ISINTEGER(PyArray_TYPE(array)) && !PyTypeNum_ISBOOL(PyArray_TYPE(array))) {
        PyErr_Format(PyExc_TypeError, "%s must hold real numbers, not %S", what, (PyObject *)PyArray_DESCR(array));
        return -1;
    }
    return 0;
}

int gromos_floats_from(PyObject *object, const char *what, int rows, float *out)
{
    if (PyArray_CheckExact(object) && rows == 1) { /* the usual cases, without a temporary */
        PyArrayObject *array = (PyArrayObject *)object;
        int type = PyArray_TYPE(array);
        if ((type == NPY_FLOAT32 || type == NPY_FLOAT64) && PyArray_NDIM(array) == 1 && PyArray_DIM(array, 0) == 3 &&
            PyArray_ISALIGNED(array) && PyArray_ISNOTSWAPPED(array)) {
            for (int i = 0; i < 3; i++) {
                const void *item = PyArray_GETPTR1(array, i);
                out[i] = type == NPY_FLOAT32 ? *(const float *)item : (float)*(const double *)item;
            }
            return 0;
        }
    }
    PyObject *any = PyArray_FROM_O(object);
    if (any == NULL)
        return -1;
    if (check_array((PyArrayObject *)any, what, rows) < 0) {
        Py_DECREF(any);
        return -1;
    }
    /* Through double, in C: casting by NumPy would warn about numbers beyond the range of float32, which become infinite here. */
    PyObject *doubles = PyArray_FROM_OTF(any, NPY_DOUBLE, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    Py_DECREF(any);
    if (doubles == NULL)
        return -1;
    const double *data = PyArray_DATA((PyArrayObject *)doubles);
    for (int i = 0; i < 3 * rows; i++)
        out[i] = (float)data[i];
    Py_DECREF(doubles);
    return 0;
}

PyObject *gromos_float_repr(float value)
{
    for (int digits = 6;; digits++) { /* nine always suffice for a float32 */
        char *text = PyOS_double_to_string((double)value, 'g', digits, Py_DTSF_ADD_DOT_0, NULL);
        if (text == NULL)
            return NULL;
        double back = PyOS_string_to_double(text, NULL, NULL);
        if (back == -1.0 && PyErr_Occurred()) {
            PyMem_Free(text);
            return NULL;
        }
        if ((float)back == value || digits == 9 || value != value) {
            PyObject *result = PyUnicode_FromString(text);
            PyMem_Free(text);
            return result;
        }
        PyMem_Free(text);
    }
}

PyObject *gromos_with_array(PyObject *left, PyObject *right, PyObject *(*operation)(PyObject *, PyObject *))
{
    if (!PyArray_Check(left) && !PyArray_Check(right))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *a = PyArray_FROM_O(left);
    PyObject *b = a == NULL ? NULL : PyArray_FROM_O(right);
    PyObject *result = b == NULL ? NULL : operation(a, b);
    Py_XDECREF(a);
    Py_XDECREF(b);
    return result;
}

PyObject *gromos_compare_array(PyObject *self, PyObject *other, int operation)
{
    if (!PyArray_Check(other) || (operation != Py_EQ && operation != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *array = PyArray_FROM_O(self);
    if (array == NULL)
        return NULL;
    PyObject *result = PyObject_RichCompare(array, other, operation);
    Py_DECREF(array);
    return result;
}
