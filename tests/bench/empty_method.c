/* A type whose methods do nothing: the least a call from Python to a C method can cost. Built by bench_vec3.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *nothing(PyObject *self, PyObject *argument)
{
    (void)self;
    (void)argument;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"nothing", nothing, METH_NOARGS, NULL},
    {"nothing_of", nothing, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "empty_method.Empty",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = methods,
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "empty_method", .m_size = -1};

PyMODINIT_FUNC PyInit_empty_method(void);

PyMODINIT_FUNC PyInit_empty_method(void)
{
    type.tp_new = PyType_GenericNew;
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddType(module, &type) < 0)
        Py_CLEAR(module);
    return module;
}
