/* class StateBase: what of gromos.State must be fast. Bound to a Mapping it answers from memory; unbound (a session on another machine) it
 * asks the Python class. Also the list of this half's types. */
#include "mapping.h"

struct gd_state_base {
    PyObject_HEAD struct gd_mapping *mapping; /* NULL: remote */
};

#define SELF ((struct gd_state_base *)self)

struct gd_mapping *gd_state_remap(PyObject *self)
{
    PyObject *result = PyObject_CallMethod(self, "_remap", NULL);
    if (result == NULL)
        return NULL;
    Py_DECREF(result);
    if (SELF->mapping == NULL)
        gd_raise(GD_E_NOT_FOUND, "the State is not mapped any more");
    return SELF->mapping;
}

/* The Mapping of the present generation; borrowed. Only for bound States. NULL with an exception set. */
static inline struct gd_mapping *present(PyObject *self)
{
    struct gd_mapping *mapping = SELF->mapping;
    if (__builtin_expect((atomic_load_explicit(&mapping->live->flags, memory_order_relaxed) & GD_STATE_STALE) == 0, 1))
        return mapping;
    return gd_state_remap(self);
}

static PyObject *state_array(PyObject *self, int which, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    int mode = 'r';
    if (count > 0 || names != NULL) {
        Py_ssize_t total = count + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
        if (total > 1 || (total == 1 && count == 0 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "mode") != 0)) {
            PyErr_Format(PyExc_TypeError, "%s() takes one argument, mode", gd_array_name(which));
            return NULL;
        }
        if (total == 1 && (mode = gd_mode_parse(args[0])) < 0)
            return NULL;
    }
    if (SELF->mapping == NULL)
        return PyObject_CallMethod(self, "_remote_array", "is", which, mode == '+' ? "r+" : mode == 'c' ? "c" : "r");
    if (mode == '+' && SELF->mapping->owned && !gd_lease_mine(SELF->mapping))
        return gd_raise(GD_E_CONFLICT, "another thread edits the State");
    /* An open edit goes on in the generation it began in. Another thread may bind the next one while this one asks at the door. */
    struct gd_mapping *mapping = mode == '+' ? SELF->mapping : present(self);
    if (mapping == NULL)
        return NULL;
    Py_INCREF(mapping);
    PyObject *array = gd_mapping_array(mapping, which, mode);
    Py_DECREF(mapping);
    return array;
}

#define NAMED(function, which)                                                                          \
    static PyObject *function(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) \
    {                                                                                                   \
        return state_array(self, which, args, count, names);                                            \
    }
NAMED(state_positions, GD_POSITIONS)
NAMED(state_velocities, GD_VELOCITIES)
NAMED(state_forces, GD_FORCES)
NAMED(state_masses, GD_MASSES)

static PyObject *state_bind(PyObject *self, PyObject *mapping)
{
    if (mapping != Py_None && !Py_IS_TYPE(mapping, &gd_mapping_type)) {
        PyErr_SetString(PyExc_TypeError, "_bind() takes a Mapping or None");
        return NULL;
    }
    struct gd_mapping *value = mapping == Py_None ? NULL : (struct gd_mapping *)Py_NewRef(mapping);
    Py_XSETREF(SELF->mapping, value);
    Py_RETURN_NONE;
}

static PyObject *get_mapping(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef(SELF->mapping == NULL ? Py_None : (PyObject *)SELF->mapping);
}

enum value { VERSION, GENERATION, STEP, TIME };
static const char *const value_names[] = {"version", "generation", "step", "time"};

static PyObject *get_value(PyObject *self, void *closure)
{
    enum value which = (enum value)(intptr_t)closure;
    if (SELF->mapping == NULL)
        return PyObject_CallMethod(self, "_remote_value", "s", value_names[which]);
    struct gd_mapping *mapping = present(self);
    if (mapping == NULL)
        return NULL;
    switch (which) {
    case VERSION:
        return PyLong_FromUnsignedLongLong(atomic_load_explicit(&mapping->live->version, memory_order_acquire));
    case GENERATION:
        return PyLong_FromUnsignedLongLong(mapping->head.generation);
    case STEP:
        return PyLong_FromLongLong(mapping->live->small.step);
    case TIME:
        break;
    }
    return PyFloat_FromDouble(mapping->live->small.time);
}

static PyObject *state_num_atoms(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (SELF->mapping == NULL)
        return PyObject_CallMethod(self, "_remote_value", "s", "num_atoms");
    return PyLong_FromUnsignedLongLong(SELF->mapping->head.num_atoms);
}

static PyObject *state_edit(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[2] = {NULL, NULL}; /* timeout, publish */
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    int64_t ns = 30 * (int64_t)1000000000;
    if (count > 2) {
        PyErr_SetString(PyExc_TypeError, "edit() takes timeout and publish");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        values[i] = args[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int at = PyUnicode_CompareWithASCIIString(name, "timeout") == 0   ? 0
                 : PyUnicode_CompareWithASCIIString(name, "publish") == 0 ? 1
                                                                          : -1;
        if (at < 0 || values[at] != NULL) {
            PyErr_Format(PyExc_TypeError, "edit() takes timeout and publish, each once; not %R", name);
            return NULL;
        }
        values[at] = args[count + i];
    }
    bool publish = true;
    if ((values[1] != NULL && gd_publish_parse(values[1], &publish) == 0) || (values[0] != NULL && gd_timeout_parse(values[0], &ns) < 0))
        return NULL;
    if (SELF->mapping == NULL)
        return PyObject_CallMethod(self, "_remote_edit", "OO", values[0] == NULL ? Py_None : values[0], publish ? Py_True : Py_False);
    struct gd_mapping *mapping = present(self);
    return mapping == NULL ? NULL : gd_edit_create(mapping, self, ns, publish);
}

static void state_dealloc(PyObject *self)
{
    Py_XDECREF(SELF->mapping);
    Py_TYPE(self)->tp_free(self);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"positions", FAST(state_positions),
     "positions($self, /, mode='r')\n--\n\nPositions, shape (n, 3), nm.\n\n"
     "mode \"r\": the live memory, read-only, the same for every process on the node. \"c\": a private copy-on-write view.\n"
     "\"r+\": the live memory, writable, inside an edit of this thread; private after its end."},
    {"velocities", FAST(state_velocities),
     "velocities($self, /, mode='r')\n--\n\nVelocities, shape (n, 3), nm/ps. Modes as of positions()."},
    {"forces", FAST(state_forces), "forces($self, /, mode='r')\n--\n\nForces, shape (n, 3), kJ/(mol nm). Modes as of positions()."},
    {"masses", FAST(state_masses), "masses($self, /, mode='r')\n--\n\nMasses, shape (n,), u. Modes as of positions()."},
    {"num_atoms", state_num_atoms, METH_NOARGS, "num_atoms($self, /)\n--\n\nNumber of atoms."},
    {"edit", FAST(state_edit),
     "edit($self, /, timeout=30.0, publish=True)\n--\n\nThe exclusive right to change the State, as a context manager. Leaving the block "
     "makes the changes one\n"
     "step; leaving it by an exception undoes them. Raises LeaseTimeoutError when somebody else edits for the whole timeout (seconds; "
     "None: for ever)."},
    {"_bind", state_bind, METH_O, "Answer from this Mapping; None: ask the Python class."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"_mapping", get_mapping, NULL, "The Mapping, or None.", NULL},
    {"version", get_value, NULL, "Commits so far.", (void *)(intptr_t)VERSION},
    {"generation", get_value, NULL, "Generation of the memory, from 1.", (void *)(intptr_t)GENERATION},
    {"step", get_value, NULL, "Step of the live arrays.", (void *)(intptr_t)STEP},
    {"time", get_value, NULL, "Time of the live arrays, ps.", (void *)(intptr_t)TIME},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject gd_state_base_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.StateBase",
    .tp_basicsize = sizeof(struct gd_state_base),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Base of gromos.State.",
    .tp_new = PyType_GenericNew,
    .tp_dealloc = state_dealloc,
    .tp_methods = methods,
    .tp_getset = properties,
};

/* ---- the module's part */

static PyMethodDef configure = {"configure", (PyCFunction)(void (*)(void))gd_configure, METH_VARARGS | METH_KEYWORDS,
                                "configure(*, error, edit, frame): what the extension makes."};

static const struct {
    const char *name;
    long value;
} constants[] = {
    {"POSITIONS", GD_POSITIONS},
    {"VELOCITIES", GD_VELOCITIES},
    {"FORCES", GD_FORCES},
    {"MASSES", GD_MASSES},
    {"ENERGIES", GD_ENERGIES},
    {"OPEN_LIVE", GD_OPEN_LIVE},
    {"OPEN_LIVE_WRITE", GD_OPEN_LIVE_WRITE},
    {"OPEN_FRAMES", GD_OPEN_FRAMES},
};

int gromos_add_mapping(PyObject *module)
{
    PyTypeObject *shown[] = {&gd_door_type, &gd_result_type, &gd_mapping_type, &gd_frame_type, &gd_edit_type, &gd_state_base_type};
    PyTypeObject *hidden[] = {&gd_block_type, &gd_frame_hold_type};
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (PyType_Ready(hidden[i]) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        if (PyModule_AddType(module, shown[i]) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
            return -1;
    PyObject *function = PyCFunction_NewEx(&configure, NULL, PyModule_GetNameObject(module));
    if (function == NULL || PyModule_AddObjectRef(module, "configure", function) < 0)
        return -1;
    Py_DECREF(function);
    return gd_raise_init(module) < 0 || gd_fork_init() < 0 ? -1 : 0;
}
