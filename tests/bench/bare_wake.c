/* Two ways to wake a Python process from another, as thin as an extension can be: a futex in shared memory and an eventfd. Like
 * the package's own waits they release the GIL and come back to Python every 100 ms. Built by benchlib.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* futex_post(memory): adds one to the word and wakes who sleeps on it. */
static PyObject *futex_post(PyObject *module, PyObject *object)
{
    Py_buffer memory;
    (void)module;
    if (PyObject_GetBuffer(object, &memory, PyBUF_WRITABLE) < 0)
        return NULL;
    atomic_fetch_add((_Atomic uint32_t *)memory.buf, 1);
    syscall(SYS_futex, memory.buf, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    PyBuffer_Release(&memory);
    Py_RETURN_NONE;
}

/* futex_wait(memory, seen) -> the word, once it is not `seen` any more. */
static PyObject *futex_wait(PyObject *module, PyObject *args)
{
    Py_buffer memory;
    unsigned seen;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*I", &memory, &seen))
        return NULL;
    _Atomic uint32_t *word = memory.buf;
    int broken = 0;
    while (atomic_load(word) == seen && !broken) {
        struct timespec slice = {0, 100000000};
        Py_BEGIN_ALLOW_THREADS syscall(SYS_futex, word, FUTEX_WAIT, seen, &slice, NULL, 0);
        Py_END_ALLOW_THREADS broken = PyErr_CheckSignals();
    }
    unsigned value = atomic_load(word);
    PyBuffer_Release(&memory);
    return broken ? NULL : PyLong_FromUnsignedLong(value);
}

/* eventfd_wait(fd): until something was written. */
static PyObject *eventfd_wait(PyObject *module, PyObject *number)
{
    uint64_t value;
    struct pollfd item = {(int)PyLong_AsLong(number), POLLIN, 0};
    (void)module;
    for (int got = 0; got == 0;) {
        Py_BEGIN_ALLOW_THREADS got = poll(&item, 1, 100);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() < 0) return NULL;
    }
    if (read(item.fd, &value, sizeof value) != sizeof value)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromUnsignedLongLong(value);
}

static PyMethodDef methods[] = {
    {"futex_post", futex_post, METH_O, NULL},
    {"futex_wait", futex_wait, METH_VARARGS, NULL},
    {"eventfd_wait", eventfd_wait, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "bare_wake", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit_bare_wake(void);

PyMODINIT_FUNC PyInit_bare_wake(void)
{
    return PyModule_Create(&definition);
}
