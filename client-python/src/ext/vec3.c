/* The type gromos.Vec3: three float32 components in one register, immutable and hashable. See values.h for the arithmetic. */
#include "values.h"

#include <math.h>
#include <string.h>

/* --- objects ------------------------------------------------------------------------------------------------ */

#ifndef Py_GIL_DISABLED
#define FREE_LIST_LENGTH 256
static PyObject *free_list[FREE_LIST_LENGTH]; /* guarded by the GIL */
static int free_count;
#endif

PyObject *gromos_vec3_new(gromos_f4 v)
{
    PyObject *self;
#ifndef Py_GIL_DISABLED
    if (free_count > 0) {
        self = free_list[--free_count];
        gromos_revive(self);
        ((struct gromos_vec3 *)self)->v = v;
        return self;
    }
#endif
    self = PyObject_Malloc(sizeof(struct gromos_vec3));
    if (self == NULL)
        return PyErr_NoMemory();
    PyObject_Init(self, &gromos_vec3_type);
    ((struct gromos_vec3 *)self)->v = v;
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

/* The result of a method that gives a number. A float whose only reference is the one held here is nobody's: it is given the new value and
 * handed out again, as zip() does with its tuple, which saves its allocation and its end. Two take turns, because of
 * `d = a.dot(b)` in a loop, where the last value is let go of after the next is made. Values that are kept are replaced here. */
PyObject *gromos_float_new(double value)
{
#ifndef Py_GIL_DISABLED
    static PyObject *spare[2]; /* guarded by the GIL */
    static unsigned turn;
    PyObject **place = &spare[turn ^= 1];
    if (*place != NULL && Py_REFCNT(*place) == 1) {
        ((PyFloatObject *)*place)->ob_fval = value;
        return Py_NewRef(*place);
    }
    PyObject *result = PyFloat_FromDouble(value);
    if (result != NULL)
        Py_XSETREF(*place, Py_NewRef(result));
    return result;
#else
    return PyFloat_FromDouble(value);
#endif
}

static PyObject *new_from_arguments(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameter[3] = {"x", "y", "z"};
    static const char *const what[3] = {"Vec3 x", "Vec3 y", "Vec3 z"};
    PyObject *value[3] = {NULL, NULL, NULL};
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (count + named != 3)
        return PyErr_Format(PyExc_TypeError, "Vec3 takes three numbers x, y, z (%zd given); use Vec3.from_numpy for a sequence",
                            count + named);
    for (Py_ssize_t i = 0; i < count; i++)
        value[i] = args[i];
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GET_ITEM(names, k);
        int i = 0;
        while (i < 3 && PyUnicode_CompareWithASCIIString(name, parameter[i]) != 0)
            i++;
        if (i == 3)
            return PyErr_Format(PyExc_TypeError, "Vec3 has no argument %R; its arguments are x, y, z", name);
        if (value[i] != NULL)
            return PyErr_Format(PyExc_TypeError, "Vec3 was given %s twice", parameter[i]);
        value[i] = args[count + k];
    }
    double number[3];
    for (int i = 0; i < 3; i++) {
        if (gromos_number(value[i], what[i], &number[i]) < 0)
            return NULL;
    }
    return gromos_vec3_new(gromos_f4_from(number[0], number[1], number[2]));
}

static PyObject *vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    (void)type;
    return new_from_arguments(args, PyVectorcall_NARGS(nargsf), names);
}

/* Vec3.__new__(Vec3, ...), the way around the vectorcall. */
static PyObject *new_slow(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)type;
    PyObject *value[3];
    Py_ssize_t count = PyTuple_GET_SIZE(args), named = keywords == NULL ? 0 : PyDict_GET_SIZE(keywords);
    if (count + named != 3)
        return PyErr_Format(PyExc_TypeError, "Vec3 takes three numbers x, y, z (%zd given)", count + named);
    for (Py_ssize_t i = 0; i < count; i++)
        value[i] = PyTuple_GET_ITEM(args, i);
    if (named == 0)
        return new_from_arguments(value, count, NULL);
    PyObject *names = PyTuple_New(named);
    if (names == NULL)
        return NULL;
    PyObject *name, *item;
    Py_ssize_t at = 0;
    for (Py_ssize_t k = 0; PyDict_Next(keywords, &at, &name, &item); k++) {
        PyTuple_SET_ITEM(names, k, Py_NewRef(name));
        value[count + k] = item;
    }
    PyObject *self = new_from_arguments(value, count, names);
    Py_DECREF(names);
    return self;
}

static PyObject *represent(PyObject *self)
{
    gromos_f4 v = gromos_vec3_value(self);
    PyObject *part[3] = {NULL, NULL, NULL}, *result = NULL;
    for (int i = 0; i < 3; i++) {
        part[i] = gromos_float_repr(v[i]);
        if (part[i] == NULL)
            goto end;
    }
    result = PyUnicode_FromFormat("Vec3(%U, %U, %U)", part[0], part[1], part[2]);
end:
    for (int i = 0; i < 3; i++)
        Py_XDECREF(part[i]);
    return result;
}

static Py_hash_t hash(PyObject *self)
{
    gromos_f4 v = gromos_vec3_value(self);
    uint64_t state = 0x56454333u;
    for (int i = 0; i < 3; i++)
        state = gromos_hash_mix(state, v[i]);
    return gromos_hash_end(state);
}

static PyObject *compare(PyObject *self, PyObject *other, int operation)
{
    if (!gromos_is_vec3(self) || !gromos_is_vec3(other))
        return gromos_compare_array(self, other, operation);
    if (operation != Py_EQ && operation != Py_NE)
        Py_RETURN_NOTIMPLEMENTED;
    bool equal = gromos_f4_equal(gromos_vec3_value(self), gromos_vec3_value(other));
    return PyBool_FromLong(equal == (operation == Py_EQ));
}

/* --- operators ---------------------------------------------------------------------------------------------- */

static PyObject *add(PyObject *left, PyObject *right)
{
    if (gromos_is_vec3(left) && gromos_is_vec3(right))
        return gromos_vec3_new(gromos_vec3_value(left) + gromos_vec3_value(right));
    return gromos_with_array(left, right, PyNumber_Add);
}

static PyObject *subtract(PyObject *left, PyObject *right)
{
    if (gromos_is_vec3(left) && gromos_is_vec3(right))
        return gromos_vec3_new(gromos_vec3_value(left) - gromos_vec3_value(right));
    return gromos_with_array(left, right, PyNumber_Subtract);
}

static PyObject *multiply(PyObject *left, PyObject *right)
{
    if (PyFloat_CheckExact(right) && gromos_is_vec3(left))
        return gromos_vec3_new(gromos_f4_scale(gromos_vec3_value(left), PyFloat_AS_DOUBLE(right)));
    if (gromos_is_vec3(left) && gromos_is_vec3(right)) {
        PyErr_SetString(PyExc_TypeError, "Vec3 * Vec3 has two meanings; use dot() or cross()");
        return NULL;
    }
    PyObject *vector = gromos_is_vec3(left) ? left : right;
    double factor;
    int number = gromos_operand(vector == left ? right : left, &factor);
    if (number < 0)
        return NULL;
    if (number == 0)
        return gromos_with_array(left, right, PyNumber_Multiply);
    return gromos_vec3_new(gromos_f4_scale(gromos_vec3_value(vector), factor));
}

static PyObject *divide(PyObject *left, PyObject *right)
{
    double divisor;
    int number = gromos_is_vec3(left) ? gromos_operand(right, &divisor) : 0;
    if (number < 0)
        return NULL;
    if (number == 0)
        return gromos_with_array(left, right, PyNumber_TrueDivide);
    if (divisor == 0.0) {
        PyErr_SetString(PyExc_ZeroDivisionError, "Vec3 divided by zero");
        return NULL;
    }
    return gromos_vec3_new(gromos_f4_divide(gromos_vec3_value(left), divisor));
}

static PyObject *matrix_multiply(PyObject *left, PyObject *right)
{
    return gromos_with_array(left, right, PyNumber_MatrixMultiply);
}

static PyObject *negative(PyObject *self)
{
    gromos_f4 v = gromos_vec3_value(self);
    return gromos_vec3_new((gromos_f4){-v[0], -v[1], -v[2], 0.0f});
}

static PyObject *same(PyObject *self)
{
    return Py_NewRef(self);
}

static double length_of(gromos_f4 v)
{
    return sqrt(gromos_f4_dot(v, v));
}

static PyObject *absolute(PyObject *self)
{
    return gromos_float_new(length_of(gromos_vec3_value(self)));
}

/* --- methods ------------------------------------------------------------------------------------------------ */

static int need_vec3(PyObject *other, const char *method)
{
    if (gromos_is_vec3(other))
        return 0;
    PyErr_Format(PyExc_TypeError, "Vec3.%s() takes a Vec3, not %.200s; Vec3.from_numpy makes one of any three numbers", method,
                 Py_TYPE(other)->tp_name);
    return -1;
}

static PyObject *method_dot(PyObject *self, PyObject *other)
{
    if (!gromos_is_vec3(other) && need_vec3(other, "dot") < 0)
        return NULL;
    return gromos_float_new(gromos_f4_dot(gromos_vec3_value(self), gromos_vec3_value(other)));
}

static PyObject *method_cross(PyObject *self, PyObject *other)
{
    if (!gromos_is_vec3(other) && need_vec3(other, "cross") < 0)
        return NULL;
    gromos_f4 a = gromos_vec3_value(self), b = gromos_vec3_value(other);
    double ax = (double)a[0], ay = (double)a[1], az = (double)a[2];
    double bx = (double)b[0], by = (double)b[1], bz = (double)b[2];
    return gromos_vec3_new(gromos_f4_from(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx));
}

static PyObject *method_length(PyObject *self, PyObject *unused)
{
    (void)unused;
    return gromos_float_new(length_of(gromos_vec3_value(self)));
}

static PyObject *method_length_squared(PyObject *self, PyObject *unused)
{
    (void)unused;
    gromos_f4 v = gromos_vec3_value(self);
    return gromos_float_new(gromos_f4_dot(v, v));
}

static PyObject *method_distance(PyObject *self, PyObject *other)
{
    if (!gromos_is_vec3(other) && need_vec3(other, "distance") < 0)
        return NULL;
    gromos_f4 a = gromos_vec3_value(self), b = gromos_vec3_value(other);
    double dx = (double)a[0] - (double)b[0], dy = (double)a[1] - (double)b[1], dz = (double)a[2] - (double)b[2];
    return gromos_float_new(sqrt(dx * dx + dy * dy + dz * dz));
}

static PyObject *method_normalize(PyObject *self, PyObject *unused)
{
    (void)unused;
    gromos_f4 v = gromos_vec3_value(self);
    double length = length_of(v);
    if (!(length > 0.0 && length < HUGE_VAL))
        return PyErr_Format(PyExc_ValueError, "cannot normalize %R: %s", self, length == 0.0 ? "its length is zero" : "it is not finite");
    return gromos_vec3_new(gromos_f4_divide(v, length));
}

static PyObject *method_to_numpy(PyObject *self, PyObject *unused)
{
    (void)unused;
    npy_intp shape = 3;
    PyObject *array = PyArray_SimpleNew(1, &shape, NPY_FLOAT32);
    if (array != NULL)
        memcpy(PyArray_DATA((PyArrayObject *)array), &((struct gromos_vec3 *)self)->v, 3 * sizeof(float));
    return array;
}

static PyObject *method_from_numpy(PyObject *type, PyObject *array)
{
    (void)type;
    float value[3];
    if (gromos_floats_from(array, "Vec3.from_numpy: array", 1, value) < 0)
        return NULL;
    return gromos_vec3_new((gromos_f4){value[0], value[1], value[2], 0.0f});
}

static PyObject *method_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    gromos_f4 v = gromos_vec3_value(self);
    return Py_BuildValue("O(ddd)", (PyObject *)&gromos_vec3_type, (double)v[0], (double)v[1], (double)v[2]);
}

static PyObject *method_copy(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(self);
}

static PyObject *method_format(PyObject *self, PyObject *specification)
{
    if (!PyUnicode_Check(specification))
        return PyErr_Format(PyExc_TypeError, "format specification must be str, not %.200s", Py_TYPE(specification)->tp_name);
    if (PyUnicode_GET_LENGTH(specification) == 0)
        return represent(self);
    gromos_f4 v = gromos_vec3_value(self);
    PyObject *part[3] = {NULL, NULL, NULL}, *result = NULL;
    for (int i = 0; i < 3; i++) {
        PyObject *number = PyFloat_FromDouble((double)v[i]);
        if (number == NULL)
            goto end;
        part[i] = PyObject_Format(number, specification);
        Py_DECREF(number);
        if (part[i] == NULL)
            goto end;
    }
    result = PyUnicode_FromFormat("Vec3(%U, %U, %U)", part[0], part[1], part[2]);
end:
    for (int i = 0; i < 3; i++)
        Py_XDECREF(part[i]);
    return result;
}

/* --- sequence and buffer ------------------------------------------------------------------------------------ */

static Py_ssize_t sequence_length(PyObject *self)
{
    (void)self;
    return 3;
}

static PyObject *sequence_item(PyObject *self, Py_ssize_t index)
{
    if (index < 0 || index > 2) {
        PyErr_SetString(PyExc_IndexError, "Vec3 has the indices 0, 1, 2 and -1, -2, -3");
        return NULL;
    }
    return gromos_float_new((double)gromos_vec3_value(self)[index]);
}

static PyObject *subscript(PyObject *self, PyObject *key)
{
    if (PyIndex_Check(key)) {
        Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (index == -1 && PyErr_Occurred())
            return NULL;
        return sequence_item(self, index < 0 ? index + 3 : index);
    }
    if (!PySlice_Check(key))
        return PyErr_Format(PyExc_TypeError, "Vec3 indices are integers or slices, not %.200s", Py_TYPE(key)->tp_name);
    PyObject *all = PySequence_Tuple(self);
    PyObject *part = all == NULL ? NULL : PyObject_GetItem(all, key);
    Py_XDECREF(all);
    return part;
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    static Py_ssize_t shape[1] = {3};
    static Py_ssize_t strides[1] = {sizeof(float)};
    if (flags & PyBUF_WRITABLE) {
        PyErr_SetString(PyExc_BufferError, "a Vec3 is read-only");
        view->obj = NULL;
        return -1;
    }
    view->buf = &((struct gromos_vec3 *)self)->v;
    view->obj = Py_NewRef(self);
    view->len = 3 * (Py_ssize_t)sizeof(float);
    view->itemsize = sizeof(float);
    view->readonly = 1;
    view->ndim = 1;
    view->format = flags & PyBUF_FORMAT ? "f" : NULL;
    view->shape = flags & PyBUF_ND ? shape : NULL;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? strides : NULL;
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

#define AT(lane) (offsetof(struct gromos_vec3, v) + (lane) * sizeof(float))
static PyMemberDef members[] = {
    {"x", T_FLOAT, AT(0), READONLY, "First component."},
    {"y", T_FLOAT, AT(1), READONLY, "Second component."},
    {"z", T_FLOAT, AT(2), READONLY, "Third component."},
    {0},
};

static PyGetSetDef properties[] = {
    /* so that NumPy scalars and arrays leave `scalar * Vec3` and `array + Vec3` to this type */
    {"__array_priority__", get_priority, NULL, NULL, NULL},
    {0},
};

PyDoc_STRVAR(doc,
             "Vec3(x, y, z)\n--\n\n"
             "Three numbers in one 16-byte register: a position, a displacement, a velocity.\n\n"
             "A value: it cannot be changed and may be a key of a dict or a member of a set. Components are float32; a Python float is\n"
             "rounded to the nearest one. Numbers that methods return are computed in double precision from the components, vectors are\n"
             "computed in double precision and rounded once. NaN and infinity are taken as they come.\n\n"
             "Parameters\n"
             "----------\n"
             "x, y, z : float\n"
             "    The components.\n\n"
             "Notes\n"
             "-----\n"
             "``+ -`` with a Vec3, ``* /`` with a number, unary ``-``, ``abs`` (the length), ``==``, iteration and indexing. With a NumPy "
             "array as the\n"
             "other operand a Vec3 counts as an array of shape (3,), so ``positions + v`` moves every row. ``np.asarray(v)`` is a\n"
             "read-only view, :meth:`to_numpy` a copy.\n\n"
             "Examples\n"
             "--------\n"
             ">>> from gromos import Vec3\n"
             ">>> a, b = Vec3(1.0, 2.0, 3.0), Vec3(4.0, 5.0, 6.0)\n"
             ">>> a + b\n"
             "Vec3(5.0, 7.0, 9.0)\n"
             ">>> 2.0 * a / 4.0\n"
             "Vec3(0.5, 1.0, 1.5)\n"
             ">>> x, y, z = a\n"
             ">>> f\"{b:.1f}\"\n"
             "'Vec3(4.0, 5.0, 6.0)'\n");

PyDoc_STRVAR(dot_doc, "dot($self, other, /)\n--\n\n"
                      "Scalar product with another Vec3, in double precision.\n\n"
                      "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(1, 2, 3).dot(Vec3(4, 5, 6))\n32.0\n");
PyDoc_STRVAR(cross_doc, "cross($self, other, /)\n--\n\n"
                        "Vector product with another Vec3.\n\n"
                        "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(1, 0, 0).cross(Vec3(0, 1, 0))\nVec3(0.0, 0.0, 1.0)\n");
PyDoc_STRVAR(length_doc, "length($self, /)\n--\n\n"
                         "Euclidean length, in double precision; also ``abs(v)``.\n\n"
                         "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(2, 3, 6).length()\n7.0\n");
PyDoc_STRVAR(length_squared_doc, "length_squared($self, /)\n--\n\n"
                                 "Square of the length, in double precision.\n\n"
                                 "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(2, 3, 6).length_squared()\n49.0\n");
PyDoc_STRVAR(distance_doc, "distance($self, other, /)\n--\n\n"
                           "Distance to another Vec3, without periodic images, in double precision.\n\n"
                           "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(1, 1, 1).distance(Vec3(1, 4, 5))\n5.0\n");
PyDoc_STRVAR(normalize_doc, "normalize($self, /)\n--\n\n"
                            "The Vec3 of length 1 in the same direction.\n\n"
                            "Raises\n------\nValueError\n    If the length is zero or not finite.\n\n"
                            "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(0, 3, 4).normalize()\nVec3(0.0, 0.6, 0.8)\n");
PyDoc_STRVAR(to_numpy_doc,
             "to_numpy($self, /)\n--\n\n"
             "A new array of shape (3,) and dtype float32.\n\n"
             "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3(1, 2, 3).to_numpy()\narray([1., 2., 3.], dtype=float32)\n");
PyDoc_STRVAR(from_numpy_doc,
             "from_numpy(array, /)\n--\n\n"
             "A Vec3 from anything np.asarray takes, of shape (3,) and of real numbers.\n\n"
             "Raises\n------\nValueError\n    If the shape is another.\nTypeError\n    If the elements are not real numbers.\n\n"
             "Examples\n--------\n>>> from gromos import Vec3\n>>> Vec3.from_numpy([4.0, 5.0, 6.0])\nVec3(4.0, 5.0, 6.0)\n");

static PyMethodDef methods[] = {
    {"dot", method_dot, METH_O, dot_doc},
    {"cross", method_cross, METH_O, cross_doc},
    {"length", method_length, METH_NOARGS, length_doc},
    {"length_squared", method_length_squared, METH_NOARGS, length_squared_doc},
    {"distance", method_distance, METH_O, distance_doc},
    {"normalize", method_normalize, METH_NOARGS, normalize_doc},
    {"to_numpy", method_to_numpy, METH_NOARGS, to_numpy_doc},
    {"from_numpy", method_from_numpy, METH_O | METH_CLASS, from_numpy_doc},
    {"__reduce__", method_reduce, METH_NOARGS, NULL},
    {"__copy__", method_copy, METH_NOARGS, NULL},
    {"__deepcopy__", method_copy, METH_O, NULL},
    {"__format__", method_format, METH_O, NULL},
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
    .nb_absolute = absolute,
};
static PySequenceMethods sequence = {.sq_length = sequence_length, .sq_item = sequence_item};
static PyMappingMethods mapping = {.mp_length = sequence_length, .mp_subscript = subscript};
static PyBufferProcs buffer = {.bf_getbuffer = get_buffer};

PyTypeObject gromos_vec3_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos.Vec3",
    .tp_basicsize = sizeof(struct gromos_vec3),
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
    .tp_members = members,
    .tp_getset = properties,
    .tp_new = new_slow,
    .tp_vectorcall = vectorcall,
};

int gromos_add_vec3(PyObject *module)
{
    if (PyType_Ready(&gromos_vec3_type) < 0)
        return -1;
    PyObject *names = Py_BuildValue("(sss)", "x", "y", "z"); /* for `case Vec3(x, y, z)` */
    int failed = names == NULL || PyDict_SetItemString(gromos_vec3_type.tp_dict, "__match_args__", names) < 0;
    Py_XDECREF(names);
    PyType_Modified(&gromos_vec3_type);
    return failed ? -1 : PyModule_AddType(module, &gromos_vec3_type);
}
