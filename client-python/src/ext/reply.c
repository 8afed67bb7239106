/* decode(), which makes a reply's map of its bytes, and attach_arrays(), which puts the arrays in that it names; refers() and
 * names_parts() say when there are none. For every command, like request.c, and for its reason.
 *
 * The bytes come from the daemon, but nothing here trusts them: lengths are checked against what is there before anything is made of
 * them, and maps and arrays are nested DEPTH_MOST deep at most. Not taken: extension types, and keys that are not text. */
#include "mapping.h"

#include <string.h>

#define DEPTH_MOST 64
#define SEGMENTS_MOST 8 /* of one reply; the daemon uses one */

/* ---- msgpack, read ---- */

struct reader {
    const unsigned char *at, *end;
    Py_ssize_t bytes; /* of the message */
};

static PyObject *get_value(struct reader *r, unsigned depth);

static PyObject *not_msgpack(const struct reader *r, const char *why)
{
    return gd_raise(GD_E_INVALID_MESSAGE, "the daemon sent %zd bytes that are not msgpack: %s", r->bytes, why);
}

/* So many bytes; NULL with an exception. */
static const unsigned char *get(struct reader *r, uint64_t bytes)
{
    if ((uint64_t)(r->end - r->at) < bytes)
        return (const unsigned char *)not_msgpack(r, "they end too early");
    const unsigned char *p = r->at;
    r->at += bytes;
    return p;
}

/* A number of 1, 2, 4 or 8 bytes, big end first. */
static int get_number(struct reader *r, unsigned bytes, uint64_t *out)
{
    const unsigned char *p = get(r, bytes);
    if (p == NULL)
        return -1;
    *out = 0;
    for (unsigned i = 0; i < bytes; i++)
        *out = *out << 8 | p[i];
    return 0;
}

static PyObject *get_float(struct reader *r, unsigned bytes)
{
    uint64_t bits;
    double wide;
    float narrow;
    if (get_number(r, bytes, &bits) < 0)
        return NULL;
    if (bytes == 8) {
        memcpy(&wide, &bits, sizeof wide);
    } else {
        uint32_t low = (uint32_t)bits;
        memcpy(&narrow, &low, sizeof narrow);
        wide = (double)narrow;
    }
    return PyFloat_FromDouble(wide);
}

static PyObject *get_integer(struct reader *r, unsigned char first)
{
    unsigned bytes = 1u << (first & 3);
    uint64_t number;
    if (get_number(r, bytes, &number) < 0)
        return NULL;
    if (first < 0xd0)
        return PyLong_FromUnsignedLongLong(number);
    unsigned unused = 64 - 8 * bytes;
    return PyLong_FromLongLong((int64_t)(number << unused) >> unused);
}

static PyObject *get_text(struct reader *r, uint64_t bytes)
{
    const unsigned char *p = get(r, bytes);
    if (p == NULL)
        return NULL;
    PyObject *text = PyUnicode_DecodeUTF8((const char *)p, (Py_ssize_t)bytes, "strict");
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return not_msgpack(r, "a text is not UTF-8");
    }
    return text;
}

static PyObject *get_bytes(struct reader *r, uint64_t bytes)
{
    const unsigned char *p = get(r, bytes);
    return p == NULL ? NULL : PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)bytes);
}

static PyObject *get_list(struct reader *r, uint64_t count, unsigned depth)
{
    if (count > (uint64_t)(r->end - r->at))
        return not_msgpack(r, "they end too early");
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint64_t i = 0; list != NULL && i < count; i++) {
        PyObject *value = get_value(r, depth + 1);
        if (value == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, value);
    }
    return list;
}

static PyObject *get_key(struct reader *r, unsigned depth)
{
    PyObject *key = get_value(r, depth + 1);
    if (key != NULL && !PyUnicode_CheckExact(key)) {
        Py_DECREF(key);
        return not_msgpack(r, "a key of a map is not text");
    }
    if (key != NULL)
        PyUnicode_InternInPlace(&key);
    return key;
}

static PyObject *get_map(struct reader *r, uint64_t count, unsigned depth)
{
    PyObject *map = PyDict_New();
    for (uint64_t i = 0; map != NULL && i < count; i++) {
        PyObject *key = get_key(r, depth);
        PyObject *value = key == NULL ? NULL : get_value(r, depth + 1);
        if (value == NULL || PyDict_SetItem(map, key, value) < 0)
            Py_CLEAR(map);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return map;
}

/* What has its length in a number of 1, 2 or 4 bytes. */
static PyObject *get_long(struct reader *r, unsigned char first, unsigned depth)
{
    static const unsigned char length_bytes[] = {
        [0xc4 - 0xc4] = 1, [0xc5 - 0xc4] = 2, [0xc6 - 0xc4] = 4, [0xd9 - 0xc4] = 1, [0xda - 0xc4] = 2,
        [0xdb - 0xc4] = 4, [0xdc - 0xc4] = 2, [0xdd - 0xc4] = 4, [0xde - 0xc4] = 2, [0xdf - 0xc4] = 4,
    };
    uint64_t length;
    if (get_number(r, length_bytes[first - 0xc4], &length) < 0)
        return NULL;
    if (first <= 0xc6)
        return get_bytes(r, length);
    if (first <= 0xdb)
        return get_text(r, length);
    return first <= 0xdd ? get_list(r, length, depth) : get_map(r, length, depth);
}

/* A value whose first byte is 0xc0 to 0xdf. */
static PyObject *get_typed(struct reader *r, unsigned char first, unsigned depth)
{
    if (first == 0xc0)
        Py_RETURN_NONE;
    if (first == 0xc2 || first == 0xc3)
        return PyBool_FromLong(first & 1);
    if (first == 0xca || first == 0xcb)
        return get_float(r, first == 0xca ? 4 : 8);
    if (first >= 0xcc && first <= 0xd3)
        return get_integer(r, first);
    if ((first >= 0xc4 && first <= 0xc6) || first >= 0xd9)
        return get_long(r, first, depth);
    return not_msgpack(r, "they hold a type that no reply has");
}

static PyObject *get_value(struct reader *r, unsigned depth)
{
    const unsigned char *p = get(r, 1);
    if (p == NULL)
        return NULL;
    unsigned char first = *p;
    if (depth > DEPTH_MOST)
        return not_msgpack(r, "they are nested too deep");
    if (first < 0x80)
        return PyLong_FromLong(first);
    if (first < 0x90)
        return get_map(r, first & 0xf, depth);
    if (first < 0xa0)
        return get_list(r, first & 0xf, depth);
    if (first < 0xc0)
        return get_text(r, first & 0x1f);
    return first < 0xe0 ? get_typed(r, first, depth) : PyLong_FromLong(first - 0x100);
}

/* ---- words that are looked for ---- */

static struct {
    PyObject *event, *id, *ok, *part, *segment, *offset, *bytes, *dtype, *shape;
} word;

static int make_words(void)
{
    const struct {
        PyObject **out;
        const char *text;
    } all[] = {{&word.event, "event"},   {&word.id, "id"},       {&word.ok, "ok"},       {&word.part, "part"},  {&word.segment, "segment"},
               {&word.offset, "offset"}, {&word.bytes, "bytes"}, {&word.dtype, "dtype"}, {&word.shape, "shape"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if ((*all[i].out = PyUnicode_InternFromString(all[i].text)) == NULL)
            return -1;
    }
    return 0;
}

static bool has(PyObject *map, PyObject *key)
{
    return PyDict_GetItemWithError(map, key) != NULL; /* of text, so that nothing can fail */
}

PyObject *gd_message_decode(const void *data, size_t bytes)
{
    struct reader r = {data, (const unsigned char *)data + bytes, (Py_ssize_t)bytes};
    PyObject *message = get_value(&r, 0);
    if (message == NULL)
        return NULL;
    if (r.at != r.end)
        not_msgpack(&r, "something follows the message");
    else if (PyDict_CheckExact(message) && (has(message, word.event) || (has(message, word.id) && has(message, word.ok))))
        return message;
    else
        gd_raise(GD_E_INVALID_MESSAGE, "the daemon sent a message that is neither a reply nor an event");
    Py_DECREF(message);
    return NULL;
}

static PyObject *decode(PyObject *module, PyObject *data)
{
    (void)module;
    if (!PyBytes_Check(data))
        return PyErr_Format(PyExc_TypeError, "decode() takes bytes, not %.200s", Py_TYPE(data)->tp_name);
    return gd_message_decode(PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data));
}

/* ---- arrays ---- */

struct segment {
    uint64_t number, end; /* bytes that are needed */
    PyObject *memory;     /* a memoryview */
};

struct attaching {
    PyObject *parts, *fetch;
    unsigned num_segments;
    struct segment segments[SEGMENTS_MOST];
};

static bool is_array(PyObject *map, PyObject *where)
{
    return has(map, where) && has(map, word.dtype) && has(map, word.shape);
}

/* A number that an array's map has to have. */
static int number_of(PyObject *map, PyObject *key, uint64_t *out)
{
    PyObject *value = PyDict_GetItemWithError(map, key);
    *out = value != NULL && PyLong_Check(value) ? PyLong_AsUnsignedLongLong(value) : UINT64_MAX;
    if (*out != UINT64_MAX)
        return 0;
    PyErr_Clear();
    gd_raise(GD_E_INVALID_MESSAGE, "the '%U' of an array in a result is no such number", key);
    return -1;
}

static struct segment *find_segment(struct attaching *a, uint64_t number)
{
    for (unsigned i = 0; i < a->num_segments; i++) {
        if (a->segments[i].number == number)
            return &a->segments[i];
    }
    return NULL;
}

static int need_segment(struct attaching *a, PyObject *about)
{
    uint64_t number, offset, bytes, end;
    if (number_of(about, word.segment, &number) < 0 || number_of(about, word.offset, &offset) < 0 ||
        number_of(about, word.bytes, &bytes) < 0)
        return -1;
    struct segment *segment = find_segment(a, number);
    if (segment == NULL && a->num_segments < SEGMENTS_MOST) {
        segment = &a->segments[a->num_segments++];
        *segment = (struct segment){number, 0, NULL};
    }
    if (segment == NULL || __builtin_add_overflow(offset, bytes, &end)) {
        gd_raise(GD_E_INVALID_MESSAGE, "a result lies in too many segments, or beyond the end of one");
        return -1;
    }
    if (segment->end < end)
        segment->end = end;
    return 0;
}

static int collect(struct attaching *a, PyObject *result)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int code = 0;
    if (Py_EnterRecursiveCall(" in the arrays of a result"))
        return -1;
    while (code == 0 && PyDict_Next(result, &at, &name, &value)) {
        if (PyDict_CheckExact(value))
            code = is_array(value, word.segment) ? need_segment(a, value) : collect(a, value);
    }
    Py_LeaveRecursiveCall();
    return code;
}

static int fetch_segments(struct attaching *a)
{
    if (a->num_segments > 0 && a->fetch == Py_None) {
        gd_raise(GD_E_INVALID_MESSAGE, "the reply lies in shared memory, which this session cannot reach");
        return -1;
    }
    for (unsigned i = 0; i < a->num_segments; i++) {
        struct segment *segment = &a->segments[i];
        PyObject *found = PyObject_CallFunction(a->fetch, "KK", (unsigned long long)segment->number, (unsigned long long)segment->end);
        if (found == NULL)
            return -1;
        segment->memory = PyMemoryView_FromObject(found);
        Py_DECREF(found);
        if (segment->memory == NULL)
            return -1;
    }
    return 0;
}

/* The memoryview of a part. */
static PyObject *part_of(const struct attaching *a, PyObject *name, PyObject *about)
{
    uint64_t number;
    Py_ssize_t count = PySequence_Size(a->parts);
    if (count < 0 || number_of(about, word.part, &number) < 0)
        return NULL;
    if (number < 1 || number > (uint64_t)count)
        return gd_raise(GD_E_INVALID_MESSAGE, "result '%S' names part %llu of %zd", name, (unsigned long long)number, count);
    PyObject *part = PySequence_GetItem(a->parts, (Py_ssize_t)number - 1);
    PyObject *memory = part == NULL ? NULL : PyMemoryView_FromObject(part);
    Py_XDECREF(part);
    return memory;
}

static const struct element {
    char code[3];
    int type, bytes;
} elements[] = {{"f4", NPY_FLOAT32, 4}, {"f8", NPY_FLOAT64, 8}, {"i4", NPY_INT32, 4}, {"i8", NPY_INT64, 8}, {"u1", NPY_UINT8, 1}};

static const struct element *element_of(PyObject *dtype)
{
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        if (PyUnicode_Check(dtype) && PyUnicode_CompareWithASCIIString(dtype, elements[i].code) == 0)
            return &elements[i];
    }
    return NULL;
}

/* The lengths and their product; the number of dimensions, or -1 without an exception. */
static int shape_of(PyObject *list, npy_intp shape[NPY_MAXDIMS], npy_intp *count)
{
    *count = 1;
    if (!PyList_Check(list) || PyList_GET_SIZE(list) > NPY_MAXDIMS)
        return -1;
    int dimensions = (int)PyList_GET_SIZE(list);
    for (int i = 0; i < dimensions; i++) {
        PyObject *length = PyList_GET_ITEM(list, i);
        shape[i] = PyLong_Check(length) ? PyLong_AsSsize_t(length) : -1;
        if (shape[i] < 0 || __builtin_mul_overflow(*count, shape[i], count)) {
            PyErr_Clear();
            return -1;
        }
    }
    return dimensions;
}

/* A read-only array of what `about` says, from `offset` in a memoryview, which it keeps alive. */
static PyObject *view(PyObject *name, PyObject *about, PyObject *memory, uint64_t offset)
{
    npy_intp shape[NPY_MAXDIMS], count, bytes;
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(memory);
    PyObject *dtype = PyDict_GetItemWithError(about, word.dtype), *lengths = PyDict_GetItemWithError(about, word.shape);
    const struct element *element = element_of(dtype);
    int dimensions = shape_of(lengths, shape, &count);
    if (element == NULL || dimensions < 0 || __builtin_mul_overflow(count, element->bytes, &bytes) || !PyBuffer_IsContiguous(buffer, 'C') ||
        offset > (uint64_t)buffer->len || bytes > buffer->len - (Py_ssize_t)offset)
        return gd_raise(GD_E_INVALID_MESSAGE, "result '%S' does not fill its shape %S of %S", name, lengths, dtype);
    void *data = bytes == 0 ? NULL : (char *)buffer->buf + offset;
    PyArrayObject *array = (PyArrayObject *)PyArray_NewFromDescr(&PyArray_Type, PyArray_DescrFromType(element->type), dimensions, shape,
                                                                 NULL, data, NPY_ARRAY_C_CONTIGUOUS, NULL);
    if (array == NULL || (data != NULL && PyArray_SetBaseObject(array, Py_NewRef(memory)) < 0)) {
        Py_XDECREF(array);
        return NULL;
    }
    PyArray_UpdateFlags(array, NPY_ARRAY_UPDATE_ALL);
    PyArray_CLEARFLAGS(array, NPY_ARRAY_WRITEABLE); /* as one in shared memory has to be */
    return (PyObject *)array;
}

/* What is to stand in the place of the map `about`; it stays itself when it names no array. */
static PyObject *array_of(struct attaching *a, PyObject *name, PyObject *about)
{
    uint64_t number, offset;
    if (is_array(about, word.part)) {
        PyObject *memory = part_of(a, name, about);
        PyObject *array = memory == NULL ? NULL : view(name, about, memory, 0);
        Py_XDECREF(memory);
        return array;
    }
    if (!is_array(about, word.segment))
        return Py_NewRef(about);
    if (number_of(about, word.segment, &number) < 0 || number_of(about, word.offset, &offset) < 0)
        return NULL;
    struct segment *segment = find_segment(a, number);
    return segment == NULL ? Py_NewRef(about) : view(name, about, segment->memory, offset);
}

static int place(struct attaching *a, PyObject *result)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int code = 0;
    while (code == 0 && PyDict_Next(result, &at, &name, &value)) {
        if (!PyDict_CheckExact(value))
            continue;
        PyObject *array = array_of(a, name, value);
        if (array == NULL)
            code = -1;
        else if (array == value)
            code = place(a, value);
        else
            code = PyDict_SetItem(result, name, array); /* a key that is there: the order stays */
        Py_XDECREF(array);
    }
    return code;
}

static PyObject *attach_arrays(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count < 2 || count > 3 || !PyDict_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "attach_arrays() takes a dict, a sequence of parts, and what fetches a segment");
        return NULL;
    }
    struct attaching a = {.parts = args[1], .fetch = count == 3 ? args[2] : Py_None};
    int code = collect(&a, args[0]);
    if (code == 0)
        code = fetch_segments(&a);
    if (code == 0)
        code = place(&a, args[0]);
    for (unsigned i = 0; i < a.num_segments; i++)
        Py_XDECREF(a.segments[i].memory);
    return code == 0 ? Py_NewRef(args[0]) : NULL;
}

static bool names_part(PyObject *result)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(result, &at, &name, &value)) {
        if (PyDict_CheckExact(value) && (is_array(value, word.part) || names_part(value)))
            return true;
    }
    return false;
}

static PyObject *names_parts(PyObject *module, PyObject *result)
{
    (void)module;
    if (!PyDict_Check(result))
        return PyErr_Format(PyExc_TypeError, "names_parts() takes a dict, not %.200s", Py_TYPE(result)->tp_name);
    return PyBool_FromLong(names_part(result));
}

static PyObject *refers(PyObject *module, PyObject *result)
{
    (void)module;
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if (!PyDict_Check(result))
        return PyErr_Format(PyExc_TypeError, "refers() takes a dict, not %.200s", Py_TYPE(result)->tp_name);
    while (PyDict_Next(result, &at, &name, &value)) {
        if (PyDict_CheckExact(value))
            Py_RETURN_TRUE;
    }
    Py_RETURN_FALSE;
}

/* ---- the module's part ---- */

static PyMethodDef functions[] = {
    {"decode", decode, METH_O, "decode(data)\n--\n\nThe map of a message from the daemon."},
    {"attach_arrays", (PyCFunction)(void (*)(void))attach_arrays, METH_FASTCALL,
     "attach_arrays(result, parts, fetch=None)\n--\n\nPut NumPy arrays where a result names a part or a segment; in place, in nested maps "
     "too."},
    {"names_parts", names_parts, METH_O, "names_parts(result)\n--\n\nWhether a decoded result names arrays in parts of the message."},
    {"refers", refers, METH_O,
     "refers(result)\n--\n\nWhether a result may name arrays, in parts of the message or in shared memory: they are named by maps in it."},
    {NULL, NULL, 0, NULL},
};

int gromos_add_reply(PyObject *module)
{
    if (make_words() < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
