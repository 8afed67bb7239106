/* class Request: a command encoded but for its number, and what makes one, encode(). Also vector() and matrix(), which make arrays of a
 * reply's numbers. All of it is done for every command, right before the client goes to sleep and after it wakes, when little of
 * an interpreter is in the processor's caches: hence C.
 *
 * The bytes are those of msgpack, every number in its shortest form; see proto/PROTOCOL.md for the map they make. */
#include "mapping.h"

#include "proto/gd_errors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- msgpack, written ---- */

struct writer {
    unsigned char *data;
    size_t used, room;
    unsigned char first[448]; /* enough for most requests */
};

static void writer_init(struct writer *w)
{
    w->data = w->first;
    w->used = 0;
    w->room = sizeof w->first;
}

static void writer_free(struct writer *w)
{
    if (w->data != w->first)
        PyMem_Free(w->data);
}

/* Room for so many bytes more; NULL with an exception. */
static unsigned char *extend(struct writer *w, size_t bytes)
{
    if (w->room - w->used < bytes) {
        size_t room = 2 * (w->used + bytes);
        unsigned char *data = w->data == w->first ? PyMem_Malloc(room) : PyMem_Realloc(w->data, room);
        if (data == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        if (w->data == w->first)
            memcpy(data, w->first, w->used);
        w->data = data;
        w->room = room;
    }
    unsigned char *place = w->data + w->used;
    w->used += bytes;
    return place;
}

static int put(struct writer *w, const void *data, size_t bytes)
{
    unsigned char *place = extend(w, bytes);
    if (place == NULL)
        return -1;
    memcpy(place, data, bytes);
    return 0;
}

/* A first byte and a number behind it, big end first. */
static int put_head(struct writer *w, unsigned char first, uint64_t number, unsigned bytes)
{
    unsigned char *place = extend(w, 1 + bytes);
    if (place == NULL)
        return -1;
    place[0] = first;
    for (unsigned i = 0; i < bytes; i++)
        place[1 + i] = (unsigned char)(number >> (8 * (bytes - 1 - i)));
    return 0;
}

/* The head of what has a length: `fix` with the length in it up to fix_most, else the first of the types of 1 (0: there is none), 2 and 4
 * bytes of length. */
static int put_length(struct writer *w, Py_ssize_t length, unsigned char fix, Py_ssize_t fix_most, unsigned char one, unsigned char two)
{
    uint64_t n = (uint64_t)length;
    if (length <= fix_most)
        return put_head(w, (unsigned char)(fix | n), 0, 0);
    if (one != 0 && n <= UINT8_MAX)
        return put_head(w, one, n, 1);
    if (n <= UINT16_MAX)
        return put_head(w, two, n, 2);
    if (n <= UINT32_MAX)
        return put_head(w, (unsigned char)(two + 1), n, 4);
    PyErr_SetString(PyExc_ValueError, "too long to be sent");
    return -1;
}

static int put_map(struct writer *w, Py_ssize_t length)
{
    return put_length(w, length, 0x80, 15, 0, 0xde);
}

static int put_list(struct writer *w, Py_ssize_t length)
{
    return put_length(w, length, 0x90, 15, 0, 0xdc);
}

static int put_bytes(struct writer *w, const void *data, Py_ssize_t length)
{
    return put_length(w, length, 0, -1, 0xc4, 0xc5) < 0 ? -1 : put(w, data, (size_t)length);
}

static int put_text(struct writer *w, PyObject *value)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(value, &length);
    if (text == NULL || put_length(w, length, 0xa0, 31, 0xd9, 0xda) < 0)
        return -1;
    return put(w, text, (size_t)length);
}

static int put_unsigned(struct writer *w, uint64_t n)
{
    if (n < 0x80)
        return put_head(w, (unsigned char)n, 0, 0);
    return n <= UINT8_MAX    ? put_head(w, 0xcc, n, 1)
           : n <= UINT16_MAX ? put_head(w, 0xcd, n, 2)
           : n <= UINT32_MAX ? put_head(w, 0xce, n, 4)
                             : put_head(w, 0xcf, n, 8);
}

static int put_integer(struct writer *w, PyObject *value)
{
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (n == -1 && PyErr_Occurred())
        return -1;
    if (overflow != 0) { /* above 2**63 there may be an unsigned one */
        unsigned long long large = PyLong_AsUnsignedLongLong(value);
        return PyErr_Occurred() ? -1 : put_unsigned(w, large);
    }
    if (n >= 0)
        return put_unsigned(w, (uint64_t)n);
    if (n >= -32)
        return put_head(w, (unsigned char)n, 0, 0);
    return n >= INT8_MIN    ? put_head(w, 0xd0, (uint64_t)n, 1)
           : n >= INT16_MIN ? put_head(w, 0xd1, (uint64_t)n, 2)
           : n >= INT32_MIN ? put_head(w, 0xd2, (uint64_t)n, 4)
                            : put_head(w, 0xd3, (uint64_t)n, 8);
}

static int put_real(struct writer *w, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_head(w, 0xcb, bits, 8);
}

static int put_value(struct writer *w, PyObject *value);

static int put_items(struct writer *w, PyObject *value)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(value);
    int code = put_list(w, count);
    /* Nothing called here runs Python code that could change the list. */
    for (Py_ssize_t i = 0; code == 0 && i < count; i++)
        code = put_value(w, PySequence_Fast_GET_ITEM(value, i));
    return code;
}

static int put_pairs(struct writer *w, PyObject *value)
{
    PyObject *name, *item;
    Py_ssize_t at = 0;
    int code = put_map(w, PyDict_GET_SIZE(value));
    while (code == 0 && PyDict_Next(value, &at, &name, &item))
        code = put_value(w, name) < 0 ? -1 : put_value(w, item);
    return code;
}

static int put_value(struct writer *w, PyObject *value)
{
    if (value == Py_None)
        return put_head(w, 0xc0, 0, 0);
    if (PyBool_Check(value))
        return put_head(w, value == Py_True ? 0xc3 : 0xc2, 0, 0);
    if (PyUnicode_Check(value))
        return put_text(w, value);
    if (PyBytes_Check(value))
        return put_bytes(w, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    if (PyByteArray_Check(value))
        return put_bytes(w, PyByteArray_AS_STRING(value), PyByteArray_GET_SIZE(value));
    if (PyLong_Check(value))
        return put_integer(w, value);
    if (PyFloat_Check(value))
        return put_real(w, PyFloat_AS_DOUBLE(value));
    int is_list = PyList_Check(value) || PyTuple_Check(value);
    if (!is_list && !PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "cannot send a %.200s", Py_TYPE(value)->tp_name);
        return -1;
    }
    if (Py_EnterRecursiveCall(" while a request is encoded"))
        return -1;
    int code = is_list ? put_items(w, value) : put_pairs(w, value);
    Py_LeaveRecursiveCall();
    return code;
}

/* ---- arrays ---- */

/* The code of an array's elements on the wire, or NULL with an exception. */
static const char *element_code(PyArrayObject *array)
{
    static const struct {
        char kind;
        int bytes;
        const char *code;
    } elements[] = {{'f', 4, "f4"}, {'f', 8, "f8"}, {'i', 4, "i4"}, {'i', 8, "i8"}, {'u', 1, "u1"}};
    char kind = PyArray_DESCR(array)->kind;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        if (kind == elements[i].kind && PyArray_ITEMSIZE(array) == elements[i].bytes && PyArray_ISNOTSWAPPED(array))
            return elements[i].code;
    }
    PyErr_Format(PyExc_TypeError, "cannot send an array of %S", (PyObject *)PyArray_DESCR(array));
    return NULL;
}

/* The number of the part that an array is, from 1; it becomes the last part if it is none yet. 0 with an exception. */
static Py_ssize_t part_number(PyObject *parts, PyObject *part)
{
    Py_ssize_t at = 0, count = PyList_GET_SIZE(parts);
    while (at < count && PyList_GET_ITEM(parts, at) != part)
        at++;
    return at == count && PyList_Append(parts, part) < 0 ? 0 : at + 1;
}

/* {part, dtype, shape} in its place, and the array, contiguous, into the list of parts. */
static int put_array(struct writer *w, PyArrayObject *array, PyObject **parts)
{
    const char *code = element_code(array);
    if (code == NULL || (*parts == NULL && (*parts = PyList_New(0)) == NULL))
        return -1;
    PyObject *part = (PyObject *)PyArray_GETCONTIGUOUS(array);
    if (part == NULL)
        return -1;
    Py_ssize_t number = part_number(*parts, part);
    Py_DECREF(part);
    if (number == 0 || put(w, "\x83\xa4part", 6) < 0 || put_unsigned(w, (uint64_t)number) < 0 ||
        put(w,
            "\xa5"
            "dtype\xa2",
            7) < 0 ||
        put(w, code, 2) < 0 || put(w, "\xa5shape", 6) < 0 || put_list(w, PyArray_NDIM(array)) < 0)
        return -1;
    for (int i = 0; i < PyArray_NDIM(array); i++) {
        if (put_unsigned(w, (uint64_t)PyArray_DIM(array, i)) < 0)
            return -1;
    }
    return 0;
}

/* ---- Request ---- */

struct gd_wire_request {
    PyObject_HEAD PyObject *command, *tail, *parts;
    int in_memory; /* the tail ends with where the arrays lie */
};

static PyTypeObject request_type;
static PyObject *no_parts;

static PyObject *request_create(PyObject *command, struct writer *w, PyObject *parts, int in_memory)
{
    PyObject *tail = PyBytes_FromStringAndSize((const char *)w->data, (Py_ssize_t)w->used);
    struct gd_wire_request *request = tail == NULL ? NULL : PyObject_New(struct gd_wire_request, &request_type);
    if (request == NULL) {
        Py_XDECREF(tail);
        return NULL;
    }
    request->command = Py_NewRef(command);
    request->tail = tail;
    request->parts = Py_NewRef(parts);
    request->in_memory = in_memory;
    return (PyObject *)request;
}

static void request_dealloc(PyObject *self)
{
    struct gd_wire_request *request = (struct gd_wire_request *)self;
    Py_DECREF(request->command);
    Py_DECREF(request->tail);
    Py_DECREF(request->parts);
    Py_TYPE(self)->tp_free(self);
}

PyObject *gd_request_head(PyObject *self, unsigned long n)
{
    const struct gd_wire_request *request = (struct gd_wire_request *)self;
    static const char start[] = "\x84\xa1v"
                                "\x01"
                                "\xa2id\xce";
    _Static_assert(GD_PROTOCOL_VERSION == 1, "the version stands in the start of every request");
    enum { START = sizeof start - 1 };
    Py_ssize_t tail = PyBytes_GET_SIZE(request->tail);
    PyObject *head = PyBytes_FromStringAndSize(NULL, START + 4 + tail);
    if (head == NULL)
        return NULL;
    unsigned char *out = (unsigned char *)PyBytes_AS_STRING(head);
    memcpy(out, start, START);
    out[0] = (unsigned char)(out[0] + request->in_memory);
    for (int i = 0; i < 4; i++)
        out[START + i] = (unsigned char)(n >> (24 - 8 * i));
    memcpy(out + START + 4, PyBytes_AS_STRING(request->tail), (size_t)tail);
    return head;
}

static PyObject *request_head(PyObject *self, PyObject *number)
{
    unsigned long n = PyLong_AsUnsignedLongMask(number);
    return n == (unsigned long)-1 && PyErr_Occurred() ? NULL : gd_request_head(self, n);
}

PyObject *gd_request_parts(PyObject *self)
{
    return Py_TYPE(self) == &request_type ? ((struct gd_wire_request *)self)->parts : NULL;
}

PyObject *gd_request_in_memory(PyObject *self, PyObject *where)
{
    const struct gd_wire_request *request = (struct gd_wire_request *)self;
    struct writer w;
    writer_init(&w);
    PyObject *made = NULL;
    if (put(&w, PyBytes_AS_STRING(request->tail), (size_t)PyBytes_GET_SIZE(request->tail)) == 0 && put(&w, "\xa6memory", 7) == 0 &&
        put_value(&w, where) == 0)
        made = request_create(request->command, &w, no_parts, 1);
    writer_free(&w);
    return made;
}

static PyObject *request_with_parts(PyObject *self, PyObject *parts)
{
    const struct gd_wire_request *request = (struct gd_wire_request *)self;
    if (!PyTuple_Check(parts))
        return PyErr_Format(PyExc_TypeError, "with_parts() takes a tuple of arrays, not %.200s", Py_TYPE(parts)->tp_name);
    struct writer w;
    writer_init(&w);
    PyObject *made = NULL;
    if (put(&w, PyBytes_AS_STRING(request->tail), (size_t)PyBytes_GET_SIZE(request->tail)) == 0)
        made = request_create(request->command, &w, parts, request->in_memory);
    writer_free(&w);
    return made;
}

static PyObject *encode(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyUnicode_Check(args[0]) || !PyDict_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "encode() takes a command's name and a dict of its arguments");
        return NULL;
    }
    struct writer w;
    writer_init(&w);
    PyObject *parts = NULL, *made = NULL, *name, *value;
    Py_ssize_t at = 0;
    int code = put(&w,
                   "\xa3"
                   "cmd",
                   4) < 0 ||
                       put_text(&w, args[0]) < 0 ||
                       put(&w,
                           "\xa4"
                           "args",
                           5) < 0 ||
                       put_map(&w, PyDict_GET_SIZE(args[1])) < 0
                   ? -1
                   : 0;
    while (code == 0 && PyDict_Next(args[1], &at, &name, &value)) {
        code = put_value(&w, name);
        if (code == 0)
            code = PyArray_Check(value) ? put_array(&w, (PyArrayObject *)value, &parts) : put_value(&w, value);
    }
    if (code == 0 && parts != NULL) {
        PyObject *tuple = PyList_AsTuple(parts);
        made = tuple == NULL ? NULL : request_create(args[0], &w, tuple, 0);
        Py_XDECREF(tuple);
    } else if (code == 0) {
        made = request_create(args[0], &w, no_parts, 0);
    }
    Py_XDECREF(parts);
    writer_free(&w);
    return made;
}

/* ---- arrays as arguments ---- */

static bool has_type(PyArrayObject *array, const char *kind)
{
    int type = PyArray_TYPE(array);
    if (kind[0] == 'i')
        return type == NPY_INT32 || type == NPY_INT64;
    return type == NPY_FLOAT32 || type == NPY_FLOAT64 || (kind[0] == 'a' && type == NPY_UINT8);
}

/* Whether the shape is one as the protocol writes it, "(n, 3)": a length that is no number is free. */
static bool has_shape(PyArrayObject *array, const char *text)
{
    int dimension = 0;
    while (*text != '\0') {
        text += strspn(text, "(), ");
        size_t length = strcspn(text, "(), ");
        if (length == 0)
            break;
        if (dimension == PyArray_NDIM(array) || (*text >= '0' && *text <= '9' && PyArray_DIM(array, dimension) != strtol(text, NULL, 10)))
            return false;
        dimension++;
        text += length;
    }
    return dimension == PyArray_NDIM(array);
}

static PyObject *is_sent_as_is(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    const char *kind = count == 3 ? PyUnicode_AsUTF8(args[1]) : "";
    const char *shape = count == 3 && kind != NULL ? PyUnicode_AsUTF8(args[2]) : NULL;
    if (shape == NULL)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "is_sent_as_is() takes a value, a kind and a shape");
    if (!PyArray_CheckExact(args[0]))
        Py_RETURN_FALSE;
    PyArrayObject *array = (PyArrayObject *)args[0];
    return PyBool_FromLong(PyArray_ISNOTSWAPPED(array) && PyArray_SIZE(array) > 0 && has_type(array, kind) && has_shape(array, shape));
}

/* ---- numbers of a reply ---- */

static PyObject *numbers(PyObject *list, int ndim, npy_intp *shape, Py_ssize_t count)
{
    if (!PyList_Check(list) || PyList_GET_SIZE(list) != count)
        return PyErr_Format(PyExc_ValueError, "a list of %zd numbers is wanted", count);
    PyObject *array = PyArray_SimpleNew(ndim, shape, NPY_DOUBLE);
    if (array == NULL)
        return NULL;
    double *out = PyArray_DATA((PyArrayObject *)array);
    for (Py_ssize_t i = 0; i < count; i++) {
        out[i] = PyFloat_AsDouble(PyList_GET_ITEM(list, i));
        if (out[i] == -1.0 && PyErr_Occurred()) {
            Py_DECREF(array);
            return NULL;
        }
    }
    return array;
}

static PyObject *vector(PyObject *module, PyObject *list)
{
    (void)module;
    return numbers(list, 1, (npy_intp[]){3}, 3);
}

static PyObject *matrix(PyObject *module, PyObject *list)
{
    (void)module;
    return numbers(list, 2, (npy_intp[]){3, 3}, 9);
}

/* ---- the module's part ---- */

static PyMemberDef request_members[] = {
    {"command", T_OBJECT, offsetof(struct gd_wire_request, command), READONLY, "its name"},
    {"parts", T_OBJECT, offsetof(struct gd_wire_request, parts), READONLY, "the arrays, contiguous, that follow the head"},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef request_methods[] = {
    {"head", request_head, METH_O, "head(number)\n--\n\nPart 1 of the message. `number` is taken modulo 2**32."},
    {"in_memory", gd_request_in_memory, METH_O,
     "in_memory(where)\n--\n\nThe same request with its arrays in the session's argument memory: number, then offset and bytes of each."},
    {"with_parts", request_with_parts, METH_O, "with_parts(parts)\n--\n\nThe same request with these arrays behind its head."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject request_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Request",
    .tp_doc = "A command, encoded but for its number, which is put in when it is sent. Made by encode().",
    .tp_basicsize = sizeof(struct gd_wire_request),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = request_dealloc,
    .tp_members = request_members,
    .tp_methods = request_methods,
};

static PyMethodDef functions[] = {
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL,
     "encode(command, args)\n--\n\nA Request; arrays among the arguments become parts."},
    {"is_sent_as_is", (PyCFunction)(void (*)(void))is_sent_as_is, METH_FASTCALL,
     "is_sent_as_is(value, kind, shape)\n--\n\nWhether it is an array of a dtype on the wire and of the wanted kind and shape."},
    {"vector", vector, METH_O, "vector(numbers)\n--\n\nThree numbers of a reply, (3,)."},
    {"matrix", matrix, METH_O, "matrix(numbers)\n--\n\nNine numbers of a reply, (3, 3)."},
    {NULL, NULL, 0, NULL},
};

int gromos_add_request(PyObject *module)
{
    no_parts = PyTuple_New(0);
    if (no_parts == NULL || PyModule_AddType(module, &request_type) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
