/* class Result: a large result that came as a segment. Read-only buffer; the memory lives as long as anything exports it. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct gd_result {
    PyObject_HEAD
    void *base;
    Py_ssize_t bytes;
};

static struct gd_result *map_result(int fd, uint64_t bytes)
{
    struct stat status;
    if (bytes == 0 || bytes > (uint64_t)PY_SSIZE_T_MAX || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size < bytes || (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0) {
        gd_raise(GD_E_CORRUPT_DATA, "the segment of a result is shorter than the %llu bytes announced, or can shrink",
                 (unsigned long long)bytes);
        return NULL;
    }
    struct gd_result *result = PyObject_New(struct gd_result, &gd_result_type);
    if (result == NULL)
        return NULL;
    result->bytes = (Py_ssize_t)bytes;
    result->base = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (result->base == MAP_FAILED) {
        result->base = NULL;
        Py_DECREF(result);
        gd_raise(GD_E_OUT_OF_MEMORY, "a result of %llu bytes cannot be mapped: %s", (unsigned long long)bytes, strerror(errno));
        return NULL;
    }
    return result;
}

PyObject *gd_result_fetch(struct gd_door *door, uint64_t number, uint64_t bytes)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    int fds[GD_DOOR_MAX_FDS];
    unsigned count;
    gd_door_request_init(&request, GD_DOOR_RESULT, NULL, number);
    if (gd_door_call(door, &request, &reply, fds, &count, NULL) < 0)
        return NULL;
    struct gd_result *result = NULL;
    if (count == 1)
        result = map_result(fds[0], bytes);
    else
        gd_raise(GD_E_INVALID_MESSAGE, "a result came with %u descriptors instead of one", count);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    return (PyObject *)result;
}

static void result_dealloc(PyObject *self)
{
    struct gd_result *result = (struct gd_result *)self;
    if (result->base != NULL)
        munmap(result->base, (size_t)result->bytes);
    PyObject_Free(self);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    struct gd_result *result = (struct gd_result *)self;
    return PyBuffer_FillInfo(view, self, result->base, result->bytes, 1, flags);
}

static Py_ssize_t length(PyObject *self)
{
    return ((struct gd_result *)self)->bytes;
}

static PyMemberDef members[] = {
    {"nbytes", T_PYSSIZET, offsetof(struct gd_result, bytes), READONLY, "Length in bytes."},
    {NULL, 0, 0, 0, NULL},
};

static PyBufferProcs buffer = {.bf_getbuffer = get_buffer};
static PySequenceMethods sequence = {.sq_length = length};

PyTypeObject gd_result_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Result",
    .tp_basicsize = sizeof(struct gd_result),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "A large result: a read-only buffer.",
    .tp_dealloc = result_dealloc,
    .tp_members = members,
    .tp_as_buffer = &buffer,
    .tp_as_sequence = &sequence,
};
