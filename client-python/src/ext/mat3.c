/* The type gromos.Mat3: a 3x3 matrix of float32, three columns in a register each, immutable and hashable. See values.h. */
#include "values.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* --- objects ------------------------------------------------------------------------------------------------ */

#ifndef Py_GIL_DISABLED
#define FREE_LIST_LENGTH 64
static PyObject *free_list[FREE_LIST_LENGTH]; /* guarded by the GIL */
static int free_count;
#endif

PyObject *gromos_mat3_new(const gromos_f4 column[3])
{
    PyObject *self;
#ifndef Py_GIL_DISABLED
    if (free_count > 0) {
        self = free_list[--free_count];
        gromos_revive(self);
        memcpy(((struct gromos_mat3 *)self)->column, column, 3 * sizeof(gromos_f4));
        return self;
    }
#endif
    self = PyObject_Malloc(sizeof(struct gromos_mat3));
    if (self == NULL)
        return PyErr_NoMemory();
    PyObject_Init(self, &gromos_mat3_type);
    memcpy(((struct gromos_mat3 *)self)->column, column, 3 * sizeof(gromos_f4));
    return self;
}

static void dealloc(PyObject *self)
{
#ifndef Py_GIL_DISABLED
    if (free_count < FREE_LIST_LENGTH) {
        free_list[free_count++] = self;
        return;
    }
#endif
    PyObject_Free(self);
}

static const gromos_f4 *columns(PyObject *self)
{
    return ((struct gromos_mat3 *)self)->column;
}

static gromos_f4 row_of(PyObject *self, Py_ssize_t i)
{
    const gromos_f4 *c = columns(self);
    return (gromos_f4){c[0][i], c[1][i], c[2][i], 0.0f};
}

/* From nine numbers, row by row. */
static PyObject *from_rows_of(const float *m)
{
    gromos_f4 column[3];
    for (int j = 0; j < 3; j++)
        column[j] = (gromos_f4){m[j], m[3 + j], m[6 + j], 0.0f};
    return gromos_mat3_new(column);
}

static PyObject *new_mat3(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)type;
    if ((keywords != NULL && PyDict_GET_SIZE(keywords) != 0) || PyTuple_GET_SIZE(args) != 1)
        return PyErr_Format(PyExc_TypeError, "Mat3 takes one argument, three rows of three numbers; or use Mat3.identity, "
                                             "Mat3.from_rows, Mat3.from_cols");
    PyObject *rows = PyTuple_GET_ITEM(args, 0);
    if (gromos_is_mat3(rows))
        return Py_NewRef(rows);
    float m[9];
    if (gromos_floats_from(rows, "Mat3: rows", 3, m) < 0)
        return NULL;
    return from_rows_of(m);
}

static PyObject *represent(PyObject *self)
{
    PyObject *row[3] = {NULL, NULL, NULL}, *result = NULL;
    for (int i = 0; i < 3; i++) {
        PyObject *part[3] = {NULL, NULL, NULL};
        for (int j = 0; j < 3; j++)
            part[j] = gromos_float_repr(columns(self)[j][i]);
        if (part[0] != NULL && part[1] != NULL && part[2] != NULL)
            row[i] = PyUnicode_FromFormat("[%U, %U, %U]", part[0], part[1], part[2]);
        for (int j = 0; j < 3; j++)
            Py_XDECREF(part[j]);
        if (row[i] == NULL)
            goto end;
    }
    result = PyUnicode_FromFormat("Mat3([%U, %U, %U])", row[0], row[1], row[2]);
end:
    for (int i = 0; i < 3; i++)
        Py_XDECREF(row[i]);
    return result;
}

static Py_hash_t hash(PyObject *self)
{
    uint64_t state = 0x4D415433u;
    for (int j = 0; j < 3; j++) {
        for (int i = 0; i < 3; i++)
            state = gromos_hash_mix(state, columns(self)[j][i]);
    }
    return gromos_hash_end(state);
}

static PyObject *compare(PyObject *self, PyObject *other, int operation)
{
    if (!gromos_is_mat3(self) || !gromos_is_mat3(other))
        return gromos_compare_array(self, other, operation);
    if (operation != Py_EQ && operation != Py_NE)
        Py_RETURN_NOTIMPLEMENTED;
    bool equal = true;
    for (int j = 0; j < 3; j++)
        equal = equal && gromos_f4_equal(columns(self)[j], columns(other)[j]);
    return PyBool_FromLong(equal == (operation == Py_EQ));
}

/* --- operators ---------------------------------------------------------------------------------------------- */

static PyObject *add(PyObject *left, PyObject *right)
{
    if (!gromos_is_mat3(left) || !gromos_is_mat3(right))
        return gromos_with_array(left, right, PyNumber_Add);
    gromos_f4 out[3];
    for (int j = 0; j < 3; j++)
        out[j] = columns(left)[j] + columns(right)[j];
    return gromos_mat3_new(out);
}

static PyObject *subtract(PyObject *left, PyObject *right)
{
    if (!gromos_is_mat3(left) || !gromos_is_mat3(right))
        return gromos_with_array(left, right, PyNumber_Subtract);
    gromos_f4 out[3];
    for (int j = 0; j < 3; j++)
        out[j] = columns(left)[j] - columns(right)[j];
    return gromos_mat3_new(out);
}

static PyObject *multiply(PyObject *left, PyObject *right)
{
    PyObject *matrix = gromos_is_mat3(left) ? left : right;
    PyObject *other = matrix == left ? right : left;
    if (gromos_is_mat3(other) || gromos_is_vec3(other)) {
        PyErr_SetString(PyExc_TypeError, "a Mat3 is multiplied by a Mat3 or a Vec3 with @, not *");
        return NULL;
    }
    double factor;
    int number = gromos_operand(other, &factor);
    if (number < 0)
        return NULL;
    if (number == 0)
        return gromos_with_array(left, right, PyNumber_Multiply);
    gromos_f4 out[3];
    for (int j = 0; j < 3; j++)
        out[j] = gromos_f4_scale(columns(matrix)[j], factor);
    return gromos_mat3_new(out);
}

static PyObject *divide(PyObject *left, PyObject *right)
{
    double divisor;
    int number = gromos_is_mat3(left) ? gromos_operand(right, &divisor) : 0;
    if (number < 0)
        return NULL;
    if (number == 0)
        return gromos_with_array(left, right, PyNumber_TrueDivide);
    if (divisor == 0.0) {
        PyErr_SetString(PyExc_ZeroDivisionError, "Mat3 divided by zero");
        return NULL;
    }
    gromos_f4 out[3];
    for (int j = 0; j < 3; j++)
        out[j] = gromos_f4_divide(columns(left)[j], divisor);
    return gromos_mat3_new(out);
}

static PyObject *negative(PyObject *self)
{
    gromos_f4 out[3];
    for (int j = 0; j < 3; j++)
        out[j] = (gromos_f4){-columns(self)[j][0], -columns(self)[j][1], -columns(self)[j][2], 0.0f};
    return gromos_mat3_new(out);
}

static PyObject *same(PyObject *self)
{
    return Py_NewRef(self);
}

static gromos_f4 times_vector(const gromos_f4 *c, gromos_f4 v)
{
    double x = (double)v[0], y = (double)v[1], z = (double)v[2];
    double out[3];
    for (int i = 0; i < 3; i++)
        out[i] = (double)c[0][i] * x + (double)c[1][i] * y + (double)c[2][i] * z;
    return gromos_f4_from(out[0], out[1], out[2]);
}

static PyObject *matrix_multiply(PyObject *left, PyObject *right)
{
    if (!gromos_is_mat3(left))
        return gromos_with_array(left, right, PyNumber_MatrixMultiply);
    if (gromos_is_vec3(right))
        return gromos_vec3_new(times_vector(columns(left), gromos_vec3_value(right)));
    if (!gromos_is_mat3(right))
        return gromos_with_array(left, right, PyNumber_MatrixMultiply);
    gromos_f4 out[3];
    for (int j = 0; j < 3; j++)
        out[j] = times_vector(columns(left), columns(right)[j]);
    return gromos_mat3_new(out);
}

/* --- methods ------------------------------------------------------------------------------------------------ */

static PyObject *method_identity(PyObject *type, PyObject *unused)
{
    (void)type;
    (void)unused;
    static const float one[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    return from_rows_of(one);
}

/* Three Vec3s, or sequences of three numbers. */
static int three_vectors(PyObject *const *args, Py_ssize_t count, const char *method, gromos_f4 out[3])
{
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "Mat3.%s() takes three vectors (%zd given)", method, count);
        return -1;
    }
    for (int i = 0; i < 3; i++) {
        if (gromos_is_vec3(args[i])) {
            out[i] = gromos_vec3_value(args[i]);
            continue;
        }
        char what[48];
        PyOS_snprintf(what, sizeof what, "Mat3.%s: vector %d", method, i);
        float v[3];
        if (gromos_floats_from(args[i], what, 1, v) < 0)
            return -1;
        out[i] = (gromos_f4){v[0], v[1], v[2], 0.0f};
    }
    return 0;
}

static PyObject *method_from_cols(PyObject *type, PyObject *const *args, Py_ssize_t count)
{
    (void)type;
    gromos_f4 column[3];
    return three_vectors(args, count, "from_cols", column) < 0 ? NULL : gromos_mat3_new(column);
}

static void transpose(const gromos_f4 in[3], gromos_f4 out[3])
{
    for (int j = 0; j < 3; j++)
        out[j] = (gromos_f4){in[0][j], in[1][j], in[2][j], 0.0f};
}

static PyObject *method_from_rows(PyObject *type, PyObject *const *args, Py_ssize_t count)
{
    (void)type;
    gromos_f4 row[3], column[3];
    if (three_vectors(args, count, "from_rows", row) < 0)
        return NULL;
    transpose(row, column);
    return gromos_mat3_new(column);
}

static PyObject *method_from_numpy(PyObject *type, PyObject *array)
{
    (void)type;
    float m[9];
    if (gromos_floats_from(array, "Mat3.from_numpy: array", 3, m) < 0)
        return NULL;
    return from_rows_of(m);
}

static PyObject *method_to_numpy(PyObject *self, PyObject *unused)
{
    (void)unused;
    npy_intp shape[2] = {3, 3};
    PyObject *array = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    if (array == NULL)
        return NULL;
    float *out = PyArray_DATA((PyArrayObject *)array);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            out[3 * i + j] = columns(self)[j][i];
    }
    return array;
}

static PyObject *method_transpose(PyObject *self, PyObject *unused)
{
    (void)unused;
    gromos_f4 out[3];
    transpose(columns(self), out);
    return gromos_mat3_new(out);
}

/* a x b in double; out[3]. */
static void cross(gromos_f4 a, gromos_f4 b, double out[3])
{
    out[0] = (double)a[1] * (double)b[2] - (double)a[2] * (double)b[1];
    out[1] = (double)a[2] * (double)b[0] - (double)a[0] * (double)b[2];
    out[2] = (double)a[0] * (double)b[1] - (double)a[1] * (double)b[0];
}

static double determinant(const gromos_f4 *c)
{
    double bc[3];
    cross(c[1], c[2], bc);
    return (double)c[0][0] * bc[0] + (double)c[0][1] * bc[1] + (double)c[0][2] * bc[2];
}

static PyObject *method_determinant(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(determinant(columns(self)));
}

/* Row i of the inverse is the cross product of the other two columns over the determinant. A determinant within the rounding of its
 * own computation (some epsilons of the product of the columns' lengths, Hadamard's bound) counts as zero. */
static PyObject *method_inverse(PyObject *self, PyObject *unused)
{
    (void)unused;
    const gromos_f4 *c = columns(self);
    double d = determinant(c), bound = 1.0;
    for (int j = 0; j < 3; j++)
        bound *= sqrt(gromos_f4_dot(c[j], c[j]));
    if (!isfinite(bound))
        return PyErr_Format(PyExc_ValueError, "%R has no inverse: it is not finite", self);
    if (fabs(d) <= 8.0 * DBL_EPSILON * bound) {
        PyErr_Format(PyExc_ValueError, "%R has no inverse: its determinant is zero", self);
        return NULL;
    }
    gromos_f4 out[3];
    for (int i = 0; i < 3; i++) {
        double row[3];
        cross(c[(i + 1) % 3], c[(i + 2) % 3], row);
        for (int j = 0; j < 3; j++)
            out[j][i] = (float)(row[j] / d);
    }
    for (int j = 0; j < 3; j++)
        out[j][3] = 0.0f;
    return gromos_mat3_new(out);
}

static PyObject *method_mul_vec3(PyObject *self, PyObject *vector)
{
    if (!gromos_is_vec3(vector))
        return PyErr_Format(PyExc_TypeError, "Mat3.mul_vec3() takes a Vec3, not %.200s", Py_TYPE(vector)->tp_name);
    return gromos_vec3_new(times_vector(columns(self), gromos_vec3_value(vector)));
}

static int index_of(PyObject *object, const char *what, Py_ssize_t *out)
{
    Py_ssize_t index = PyNumber_AsSsize_t(object, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred())
        return -1;
    index = index < 0 ? index + 3 : index;
    if (index < 0 || index > 2) {
        PyErr_Format(PyExc_IndexError, "Mat3 %s must be in 0..2 or -3..-1, not %S", what, object);
        return -1;
    }
    *out = index;
    return 0;
}

static PyObject *method_row(PyObject *self, PyObject *index)
{
    Py_ssize_t i;
    return index_of(index, "row", &i) < 0 ? NULL : gromos_vec3_new(row_of(self, i));
}

static PyObject *method_col(PyObject *self, PyObject *index)
{
    Py_ssize_t j;
    return index_of(index, "column", &j) < 0 ? NULL : gromos_vec3_new(columns(self)[j]);
}

static PyObject *method_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    const gromos_f4 *c = columns(self);
    return Py_BuildValue("O(((ddd)(ddd)(ddd)))", (PyObject *)&gromos_mat3_type, (double)c[0][0], (double)c[1][0], (double)c[2][0],
                         (double)c[0][1], (double)c[1][1], (double)c[2][1], (double)c[0][2], (double)c[1][2], (double)c[2][2]);
}

static PyObject *method_copy(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(self);
}

/* --- sequence and buffer ------------------------------------------------------------------------------------ */

static Py_ssize_t sequence_length(PyObject *self)
{
    (void)self;
    return 3;
}

static PyObject *sequence_item(PyObject *self, Py_ssize_t i)
{
    if (i < 0 || i > 2) {
        PyErr_SetString(PyExc_IndexError, "Mat3 has the rows 0, 1, 2 and -1, -2, -3");
        return NULL;
    }
    return gromos_vec3_new(row_of(self, i));
}

static PyObject *subscript(PyObject *self, PyObject *key)
{
    Py_ssize_t i, j;
    if (PyIndex_Check(key))
        return index_of(key, "row", &i) < 0 ? NULL : gromos_vec3_new(row_of(self, i));
    if (!PyTuple_Check(key) || PyTuple_GET_SIZE(key) != 2 || !PyIndex_Check(PyTuple_GET_ITEM(key, 0)) ||
        !PyIndex_Check(PyTuple_GET_ITEM(key, 1)))
        return PyErr_Format(PyExc_TypeError, "Mat3 is indexed as m[row] or m[row, column] with integers");
    if (index_of(PyTuple_GET_ITEM(key, 0), "row", &i) < 0 || index_of(PyTuple_GET_ITEM(key, 1), "column", &j) < 0)
        return NULL;
    return PyFloat_FromDouble((double)columns(self)[j][i]);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    static Py_ssize_t shape[2] = {3, 3};
    static Py_ssize_t strides[2] = {sizeof(float), sizeof(gromos_f4)}; /* columns stand one after the other, padded */
    view->obj = NULL;
    if (flags & PyBUF_WRITABLE) {
        PyErr_SetString(PyExc_BufferError, "a Mat3 is read-only");
        return -1;
    }
    bool contiguous = (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS || (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS ||
                      (flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS;
    if (contiguous || (flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
        PyErr_SetString(PyExc_BufferError, "the columns of a Mat3 are padded; its buffer needs strides");
        return -1;
    }
    view->buf = ((struct gromos_mat3 *)self)->column;
    view->obj = Py_NewRef(self);
    view->len = 9 * (Py_ssize_t)sizeof(float);
    view->itemsize = sizeof(float);
    view->readonly = 1;
    view->ndim = 2;
    view->format = flags & PyBUF_FORMAT ? "f" : NULL;
    view->shape = shape;
    view->strides = strides;
    view->suboffsets = NULL;
    view->internal = NULL;
    return 0;
}

static PyObject *get_priority(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    return PyFloat_FromDouble(1000.0);
}

/* --- the type ----------------------------------------------------------------------------------------------- */

static PyGetSetDef properties[] = {
    {"__array_priority__", get_priority, NULL, NULL, NULL}, /* as in vec3.c */
    {0},
};

PyDoc_STRVAR(
    doc,
    "Mat3(rows, /)\n--\n\n"
    "A 3x3 matrix of float32: a rotation, a strain, a set of box vectors.\n\n"
    "A value: it cannot be changed and may be a key of a dict. Products, inverse and determinant are computed in double precision and\n"
    "rounded once to float32 (the determinant is returned as it is).\n\n"
    "Parameters\n"
    "----------\n"
    "rows : array_like, shape (3, 3)\n"
    "    The rows, as NumPy would take them.\n\n"
    "Notes\n"
    "-----\n"
    "``+ -`` with a Mat3, ``* /`` with a number, ``@`` with a Mat3 or a Vec3, ``m[i]`` (a row), ``m[i, j]``, iteration over rows.\n"
    "``np.asarray(m)`` is a read-only view, :meth:`to_numpy` a copy.\n\n"
    "Examples\n"
    "--------\n"
    ">>> from gromos import Mat3, Vec3\n"
    ">>> quarter_turn = Mat3([[0, -1, 0], [1, 0, 0], [0, 0, 1]])\n"
    ">>> quarter_turn @ Vec3(1, 0, 0)\n"
    "Vec3(0.0, 1.0, 0.0)\n"
    ">>> quarter_turn @ quarter_turn.transpose() == Mat3.identity()\n"
    "True\n"
    ">>> quarter_turn[1, 0]\n"
    "1.0\n");

PyDoc_STRVAR(identity_doc, "identity()\n--\n\nThe unit matrix.\n\n"
                           "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3.identity()\n"
                           "Mat3([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])\n");
PyDoc_STRVAR(from_cols_doc,
             "from_cols(x_axis, y_axis, z_axis, /)\n--\n\n"
             "A matrix from its three columns, Vec3s or sequences of three numbers.\n\n"
             "Examples\n--------\n>>> from gromos import Mat3, Vec3\n>>> Mat3.from_cols(Vec3(1, 2, 3), Vec3(4, 5, 6), Vec3(7, 8, 9))\n"
             "Mat3([[1.0, 4.0, 7.0], [2.0, 5.0, 8.0], [3.0, 6.0, 9.0]])\n");
PyDoc_STRVAR(from_rows_doc,
             "from_rows(a, b, c, /)\n--\n\n"
             "A matrix from its three rows, Vec3s or sequences of three numbers.\n\n"
             "Examples\n--------\n>>> from gromos import Mat3, Vec3\n>>> Mat3.from_rows(Vec3(1, 2, 3), Vec3(4, 5, 6), Vec3(7, 8, 9))\n"
             "Mat3([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])\n");
PyDoc_STRVAR(from_numpy_doc,
             "from_numpy(array, /)\n--\n\n"
             "A matrix from anything np.asarray takes, of shape (3, 3) and of real numbers.\n\n"
             "Raises\n------\nValueError\n    If the shape is another.\nTypeError\n    If the elements are not real numbers.\n\n"
             "Examples\n--------\n>>> import numpy as np\n>>> from gromos import Mat3\n>>> Mat3.from_numpy(np.diag([1.0, 2.0, "
             "3.0])).determinant()\n6.0\n");
PyDoc_STRVAR(to_numpy_doc, "to_numpy($self, /)\n--\n\n"
                           "A new C-contiguous array of shape (3, 3) and dtype float32.\n\n"
                           "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3.identity().to_numpy().shape\n(3, 3)\n");
PyDoc_STRVAR(determinant_doc,
             "determinant($self, /)\n--\n\n"
             "The determinant, in double precision.\n\n"
             "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3([[2, 0, 0], [0, 3, 0], [0, 0, 4]]).determinant()\n24.0\n");
PyDoc_STRVAR(
    inverse_doc,
    "inverse($self, /)\n--\n\n"
    "The inverse matrix.\n\n"
    "Raises\n------\nValueError\n    If the determinant is zero (within the rounding of its computation) or the matrix is not finite.\n\n"
    "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3([[2, 0, 0], [0, 4, 0], [0, 0, 1]]).inverse()\n"
    "Mat3([[0.5, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, 0.0, 1.0]])\n");
PyDoc_STRVAR(transpose_doc, "transpose($self, /)\n--\n\n"
                            "Rows and columns exchanged.\n\n"
                            "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3([[1, 2, 3], [4, 5, 6], [7, 8, "
                            "9]]).transpose().row(0)\nVec3(1.0, 4.0, 7.0)\n");
PyDoc_STRVAR(mul_vec3_doc,
             "mul_vec3($self, vector, /)\n--\n\n"
             "The product with a Vec3 as a column; the same as ``m @ vector``.\n\n"
             "Examples\n--------\n>>> from gromos import Mat3, Vec3\n>>> Mat3([[1, 2, 3], [4, 5, 6], [7, 8, 9]]).mul_vec3(Vec3(1, 0, 0))\n"
             "Vec3(1.0, 4.0, 7.0)\n");
PyDoc_STRVAR(row_doc, "row($self, index, /)\n--\n\n"
                      "A row as a Vec3; the same as ``m[index]``.\n\n"
                      "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3.identity().row(2)\nVec3(0.0, 0.0, 1.0)\n");
PyDoc_STRVAR(col_doc,
             "col($self, index, /)\n--\n\n"
             "A column as a Vec3.\n\n"
             "Examples\n--------\n>>> from gromos import Mat3\n>>> Mat3([[1, 2, 3], [4, 5, 6], [7, 8, 9]]).col(-1)\nVec3(3.0, 6.0, 9.0)\n");

#define FAST(function) (PyCFunction)(void (*)(void))(function)
static PyMethodDef methods[] = {
    {"identity", method_identity, METH_NOARGS | METH_CLASS, identity_doc},
    {"from_cols", FAST(method_from_cols), METH_FASTCALL | METH_CLASS, from_cols_doc},
    {"from_rows", FAST(method_from_rows), METH_FASTCALL | METH_CLASS, from_rows_doc},
    {"from_numpy", method_from_numpy, METH_O | METH_CLASS, from_numpy_doc},
    {"to_numpy", method_to_numpy, METH_NOARGS, to_numpy_doc},
    {"determinant", method_determinant, METH_NOARGS, determinant_doc},
    {"inverse", method_inverse, METH_NOARGS, inverse_doc},
    {"transpose", method_transpose, METH_NOARGS, transpose_doc},
    {"mul_vec3", method_mul_vec3, METH_O, mul_vec3_doc},
    {"row", method_row, METH_O, row_doc},
    {"col", method_col, METH_O, col_doc},
    {"__reduce__", method_reduce, METH_NOARGS, NULL},
    {"__copy__", method_copy, METH_NOARGS, NULL},
    {"__deepcopy__", method_copy, METH_O, NULL},
    {0},
};

static PyNumberMethods numbers = {
    .nb_add = add,
    .nb_subtract = subtract,
    .nb_multiply = multiply,
    .nb_true_divide = divide,
    .nb_matrix_multiply = matrix_multiply,
    .nb_negative = negative,
    .nb_positive = same,
};
static PySequenceMethods sequence = {.sq_length = sequence_length, .sq_item = sequence_item};
static PyMappingMethods mapping = {.mp_length = sequence_length, .mp_subscript = subscript};
static PyBufferProcs buffer = {.bf_getbuffer = get_buffer};

PyTypeObject gromos_mat3_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos.Mat3",
    .tp_basicsize = sizeof(struct gromos_mat3),
    .tp_dealloc = dealloc,
    .tp_repr = represent,
    .tp_as_number = &numbers,
    .tp_as_sequence = &sequence,
    .tp_as_mapping = &mapping,
    .tp_as_buffer = &buffer,
    .tp_hash = hash,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_SEQUENCE,
    .tp_doc = doc,
    .tp_richcompare = compare,
    .tp_iter = PySeqIter_New,
    .tp_methods = methods,
    .tp_getset = properties,
    .tp_new = new_mat3,
};

int gromos_add_mat3(PyObject *module)
{
    return PyModule_AddType(module, &gromos_mat3_type);
}
