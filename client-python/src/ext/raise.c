/* Exceptions made from error codes. The package gromos gives a factory (code, text) -> exception with configure(); without
 * one, or when it fails, the exception is DoorError. */
#include "mapping.h"

PyObject *gd_door_error;
static PyObject *factory; /* NULL: DoorError */

static PyObject *make_door_error(int code, PyObject *text)
{
    PyObject *error = PyObject_CallFunction(gd_door_error, "iO", code, text);
    if (error == NULL)
        return NULL;
    PyObject *number = PyLong_FromLong(code);
    if (number == NULL || PyObject_SetAttrString(error, "code", number) < 0 || PyObject_SetAttrString(error, "text", text) < 0)
        Py_CLEAR(error);
    Py_XDECREF(number);
    return error;
}

PyObject *gd_raise(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    PyObject *text = PyUnicode_FromFormatV(format, list);
    va_end(list);
    if (text == NULL)
        return NULL;
    PyObject *error = NULL;
    if (factory != NULL) {
        error = PyObject_CallFunction(factory, "iO", code, text);
        if (error != NULL && !PyExceptionInstance_Check(error))
            Py_CLEAR(error);
        if (error == NULL)
            PyErr_Clear();
    }
    if (error == NULL)
        error = make_door_error(code, text);
    Py_DECREF(text);
    if (error == NULL)
        return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

/* A class given to configure(): NULL for None, -1 if it does not derive from base. */
static int take_class(PyObject *given, PyTypeObject *base, PyTypeObject **out)
{
    if (given == NULL)
        return 0;
    PyTypeObject *type = base;
    if (given != Py_None) {
        if (!PyType_Check(given) || !PyType_IsSubtype((PyTypeObject *)given, base)) {
            PyErr_Format(PyExc_TypeError, "configure: a subclass of %s is wanted, not %R", base->tp_name, given);
            return -1;
        }
        type = (PyTypeObject *)given;
    }
    Py_INCREF(type);
    Py_XSETREF(*out, type);
    return 0;
}

PyObject *gd_configure(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"error", "edit", "frame", NULL};
    PyObject *error = NULL, *edit = NULL, *frame = NULL;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOO:configure", names, &error, &edit, &frame))
        return NULL;
    if (error != NULL && error != Py_None && !PyCallable_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "configure: error must be callable as error(code, text)");
        return NULL;
    }
    if (take_class(edit, &gd_edit_type, &gd_edit_class) < 0 || take_class(frame, &gd_frame_type, &gd_frame_class) < 0)
        return NULL;
    if (error != NULL) {
        PyObject *value = error == Py_None ? NULL : Py_NewRef(error);
        Py_XSETREF(factory, value);
    }
    Py_RETURN_NONE;
}

int gd_raise_init(PyObject *module)
{
    gd_door_error = PyErr_NewExceptionWithDoc(
        "gromos._ext.DoorError", "An error of the door or of shared memory; args and attributes: code (GD_E_*, negative), text.", NULL,
        NULL);
    if (gd_door_error == NULL)
        return -1;
    return PyModule_AddObjectRef(module, "DoorError", gd_door_error);
}
