/* Memory for the arrays of a request: written here, read by the daemon, which copies what it takes before it looks at it. It is used by one
 * request at a time, from put() to put_done(); others send their arrays in the message meanwhile. Memory whose request got no answer is
 * never written again, since the daemon may come to that request yet. */
#include "mapping.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 64u
#define LEAST ((size_t)256 << 10)

void gd_arguments_drop(struct gd_door *door)
{
    if (door->arguments.base != NULL)
        munmap(door->arguments.base, door->arguments.bytes);
    door->arguments.base = NULL;
    door->arguments.bytes = 0;
}

static bool map_arguments(struct gd_door *door, int fd, const struct gd_door_reply *reply)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0 || status.st_size <= 0)
        return false;
    void *base = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return false;
    door->arguments.base = base;
    door->arguments.bytes = (size_t)status.st_size;
    door->arguments.number = reply->number[1];
    return true;
}

/* Other memory, of at least `bytes`; false when there is none to be had, without an exception. */
static bool need(struct gd_door *door, size_t bytes)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    int fds[GD_DOOR_MAX_FDS];
    unsigned count;
    size_t wanted = LEAST;
    if (door->arguments.bytes >= bytes)
        return true;
    while (wanted < bytes)
        wanted *= 2;
    gd_arguments_drop(door);
    unsigned epoch = gd_fork_epoch;
    gd_door_request_init(&request, GD_DOOR_ARGUMENTS, NULL, wanted);
    if (gd_door_call(door, &request, &reply, fds, &count, NULL) < 0) {
        PyErr_Clear();
        return false;
    }
    bool mapped = count == 1 && epoch == gd_fork_epoch && map_arguments(door, fds[0], &reply);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    return mapped && door->arguments.bytes >= bytes;
}

static size_t total_bytes(PyObject *parts)
{
    size_t total = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts); i++) {
        PyObject *part = PyTuple_GET_ITEM(parts, i);
        if (!PyArray_Check(part) || !PyArray_IS_C_CONTIGUOUS((PyArrayObject *)part))
            return SIZE_MAX;
        total += gd_round_up((uint64_t)PyArray_NBYTES((PyArrayObject *)part), STEP);
    }
    return total;
}

/* NULL without an exception when the memory is gone: making the list may collect garbage, and what is freed then may find the door dead. */
static PyObject *copy_parts(struct gd_door *door, PyObject *parts)
{
    Py_ssize_t count = PyTuple_GET_SIZE(parts);
    PyObject *where = PyList_New(1 + 2 * count);
    size_t offset = 0;
    if (where == NULL)
        return NULL;
    if (door->arguments.base == NULL) {
        Py_DECREF(where);
        return NULL;
    }
    PyList_SET_ITEM(where, 0, PyLong_FromUnsignedLongLong(door->arguments.number));
    for (Py_ssize_t i = 0; i < count; i++) {
        PyArrayObject *part = (PyArrayObject *)PyTuple_GET_ITEM(parts, i);
        size_t bytes = (size_t)PyArray_NBYTES(part);
        memcpy(door->arguments.base + offset, PyArray_DATA(part), bytes);
        PyList_SET_ITEM(where, 1 + 2 * i, PyLong_FromSize_t(offset));
        PyList_SET_ITEM(where, 2 + 2 * i, PyLong_FromSize_t(bytes));
        offset += gd_round_up(bytes, STEP);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(where); i++) {
        if (PyList_GET_ITEM(where, i) == NULL) {
            Py_DECREF(where);
            return PyErr_NoMemory();
        }
    }
    return where;
}

PyObject *gd_arguments_put(struct gd_door *door, PyObject *parts, size_t least)
{
    size_t bytes = total_bytes(parts);
    /* Whether the daemon still stands is seen when it is asked. */
    if (door->arguments.busy || bytes == 0 || bytes < least || bytes > door->arguments.most || door->closing || !gd_door_connected(door))
        Py_RETURN_NONE;
    door->arguments.busy = true;
    PyObject *where = NULL;
    if (need(door, bytes))
        where = copy_parts(door, parts);
    if (where != NULL)
        return where;
    door->arguments.busy = false;
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

void gd_arguments_done(struct gd_door *door, bool answered)
{
    if (!answered)
        gd_arguments_drop(door);
    door->arguments.busy = false;
}

PyObject *gd_door_put(PyObject *self, PyObject *parts)
{
    if (!PyTuple_Check(parts))
        return PyErr_Format(PyExc_TypeError, "put() takes a tuple of arrays, not %.200s", Py_TYPE(parts)->tp_name);
    return gd_arguments_put((struct gd_door *)self, parts, 1);
}

PyObject *gd_door_put_done(PyObject *self, PyObject *answered)
{
    int good = PyObject_IsTrue(answered);
    if (good < 0)
        return NULL;
    gd_arguments_done((struct gd_door *)self, good);
    Py_RETURN_NONE;
}
