/* class Edit: the write lease from the beginning of a `with` block to its end.
 *
 * Leaving the block commits, leaving it by an exception undoes; an Edit that is dropped while open undoes too. Of the methods, those that hand
 * out arrays may be called from any thread the Edit was given to. */
#include "mapping.h"

#include <math.h>

struct gd_edit {
    PyObject_HEAD struct gd_mapping *mapping;
    PyObject *state; /* or NULL */
    int64_t timeout_ns;
    bool publish, active;
    unsigned epoch, lease_number;
    uint64_t version, sequence;
};

#define SELF ((struct gd_edit *)self)

PyTypeObject *gd_edit_class = &gd_edit_type;

PyObject *gd_edit_create(struct gd_mapping *mapping, PyObject *state, int64_t timeout_ns, bool publish)
{
    struct gd_edit *edit = (struct gd_edit *)gd_edit_class->tp_alloc(gd_edit_class, 0);
    if (edit == NULL)
        return NULL;
    edit->mapping = (struct gd_mapping *)Py_NewRef(mapping);
    edit->state = Py_XNewRef(state);
    edit->timeout_ns = timeout_ns;
    edit->publish = publish;
    return (PyObject *)edit;
}

/* 0 while the edit is open here, else -1 with an exception set. */
static int require_active(struct gd_edit *edit)
{
    if (edit->active && edit->epoch == gd_fork_epoch && edit->mapping->owned && edit->lease_number == edit->mapping->lease_number)
        return 0;
    if (edit->active && edit->epoch != gd_fork_epoch)
        gd_raise(GD_E_LEASE_LOST, "this process was forked during the edit; the edit is the parent's");
    else
        gd_raise(GD_E_CONFLICT, "the edit is not open: use it inside its `with` block");
    return -1;
}

static int acquire(struct gd_edit *edit)
{
    if (gd_lease_acquire(edit->mapping, edit->timeout_ns) == 0)
        return 0;
    bool moved = (atomic_load(&edit->mapping->live->flags) & GD_STATE_STALE) != 0 || !gd_door_usable(edit->mapping->door);
    if (edit->state == NULL || !moved || !PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Clear(); /* the State may be had again, from the restarted daemon or as the next generation */
    struct gd_mapping *mapping = gd_state_remap(edit->state);
    if (mapping == NULL)
        return -1;
    Py_INCREF(mapping);
    Py_SETREF(edit->mapping, mapping);
    return gd_lease_acquire(mapping, edit->timeout_ns);
}

static PyObject *edit_enter(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (SELF->active)
        return gd_raise(GD_E_CONFLICT, "the edit is open already");
    if (acquire(SELF) < 0)
        return NULL;
    SELF->active = true;
    SELF->epoch = gd_fork_epoch;
    SELF->lease_number = SELF->mapping->lease_number;
    SELF->sequence = 0;
    return Py_NewRef(self);
}

static int edit_end(struct gd_edit *edit, bool commit)
{
    if (require_active(edit) < 0) {
        edit->active = false;
        return -1;
    }
    edit->active = false;
    if (!commit)
        return gd_lease_rollback(edit->mapping);
    return gd_lease_commit(edit->mapping, edit->publish, &edit->version, &edit->sequence);
}

static PyObject *edit_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (!SELF->active)
        Py_RETURN_FALSE;
    if (count > 0 && args[0] != Py_None) {
        if (edit_end(SELF, false) < 0)
            PyErr_Clear(); /* what ended the block is what the caller should see */
    } else if (edit_end(SELF, true) < 0) {
        return NULL;
    }
    Py_RETURN_FALSE;
}

static PyObject *edit_commit(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (edit_end(SELF, true) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *edit_rollback(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (edit_end(SELF, false) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static void edit_finalize(PyObject *self)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (SELF->active && edit_end(SELF, false) < 0)
        PyErr_Clear();
    PyErr_Restore(type, value, trace);
}

static void edit_dealloc(PyObject *self)
{
    if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    Py_XDECREF(SELF->mapping);
    Py_XDECREF(SELF->state);
    Py_TYPE(self)->tp_free(self);
}

/* ---- arrays */

static PyObject *edit_array(PyObject *self, int which)
{
    return require_active(SELF) < 0 ? NULL : gd_lease_array(SELF->mapping, which);
}

#define NAMED(function, which)                                   \
    static PyObject *function(PyObject *self, PyObject *ignored) \
    {                                                            \
        (void)ignored;                                           \
        return edit_array(self, which);                          \
    }
NAMED(edit_positions, GD_POSITIONS)
NAMED(edit_velocities, GD_VELOCITIES)
NAMED(edit_forces, GD_FORCES)
NAMED(edit_masses, GD_MASSES)
NAMED(edit_energies, GD_ENERGIES)

static PyObject *edit_any_array(PyObject *self, PyObject *object)
{
    long which = PyLong_AsLong(object);
    if ((which == -1 && PyErr_Occurred()) || gd_which_check(which) < 0)
        return NULL;
    return edit_array(self, (int)which);
}

static PyObject *edit_set_array(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"which", "array", NULL};
    long which;
    PyObject *array;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "lO:set_array", names, &which, &array) || gd_which_check(which) < 0)
        return NULL;
    PyObject *prepared = gd_assign_prepare(SELF->mapping, (int)which, array);
    int result = prepared == NULL || require_active(SELF) < 0 ? -1 : gd_assign_store(SELF->mapping, (int)which, prepared);
    Py_XDECREF(prepared);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- step, time and box */

static int begin_small(PyObject *self, PyObject *value, const char *name)
{
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "%s cannot be deleted", name);
        return -1;
    }
    return require_active(SELF) < 0 || gd_lease_touch_small(SELF->mapping) < 0 ? -1 : 0;
}

static PyObject *get_step(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromLongLong(SELF->mapping->live->small.step);
}

static int set_step(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    long long step = value == NULL ? 0 : PyBool_Check(value) ? -1 : PyLong_AsLongLong(value);
    if (step < 0) {
        PyErr_Clear();
        gd_raise(GD_E_INVALID_ARGUMENT, "'step' is %R; it must be a whole number, 0 or more, of 63 bits", value);
        return -1;
    }
    if (begin_small(self, value, "step") < 0)
        return -1;
    SELF->mapping->write->small.step = step;
    return 0;
}

static PyObject *get_time(PyObject *self, void *closure)
{
    (void)closure;
    return PyFloat_FromDouble(SELF->mapping->live->small.time);
}

static int set_time(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    int wrong = value != NULL && PyBool_Check(value);
    double time = value == NULL || wrong ? 0 : PyFloat_AsDouble(value);
    if (wrong || (time == -1.0 && PyErr_Occurred())) {
        PyErr_Clear();
        gd_raise(GD_E_INVALID_ARGUMENT, "'time' is %R; it must be a number of ps", value);
        return -1;
    }
    if (!isfinite(time)) {
        gd_raise(GD_E_NOT_FINITE, "the time must be a finite number of ps, not %R", value);
        return -1;
    }
    if (begin_small(self, value, "time") < 0)
        return -1;
    SELF->mapping->write->small.time = time;
    return 0;
}

static PyObject *edit_get_box(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return gd_box_tuple(&SELF->mapping->live->small.box);
}

static PyObject *edit_set_box(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"kind", "vectors", NULL};
    int kind;
    PyObject *vectors;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iO:set_box", names, &kind, &vectors))
        return NULL;
    if (kind < GD_BOX_VACUUM || kind > GD_BOX_TRUNCATED_OCTAHEDRON)
        return gd_raise(GD_E_INVALID_ARGUMENT, "box kind %d: 0 vacuum, 1 rectangular, 2 triclinic, 3 truncated octahedron", kind);
    PyArrayObject *array = (PyArrayObject *)PyArray_FROM_OTF(vectors, NPY_FLOAT64, NPY_ARRAY_CARRAY_RO);
    if (array == NULL)
        return NULL;
    const double *numbers = PyArray_DATA(array);
    PyObject *result = NULL;
    if (PyArray_SIZE(array) != 9)
        gd_raise(GD_E_INVALID_SHAPE, "box vectors are nine numbers, row by row, not %zd", (Py_ssize_t)PyArray_SIZE(array));
    else if (!gd_finite_f64(numbers, 9))
        gd_raise(GD_E_NOT_FINITE, "box vectors must be finite");
    else if (begin_small(self, vectors, "box") == 0) {
        struct gd_box *box = &SELF->mapping->write->small.box;
        box->kind = kind;
        for (int i = 0; i < 9; i++)
            box->vectors[i / 3][i % 3] = numbers[i];
        result = Py_NewRef(Py_None);
    }
    Py_DECREF(array);
    return result;
}

static PyObject *edit_num_atoms(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return PyLong_FromUnsignedLongLong(SELF->mapping->head.num_atoms);
}

static PyObject *get_version(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(SELF->active ? atomic_load(&SELF->mapping->live->version) : SELF->version);
}

static PyObject *get_active(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(SELF->active && SELF->epoch == gd_fork_epoch);
}

static PyMethodDef methods[] = {
    {"__enter__", edit_enter, METH_NOARGS, "Take the lease."},
    {"__exit__", (PyCFunction)(void (*)(void))edit_exit, METH_FASTCALL, "Commit, or undo after an exception."},
    {"commit", edit_commit, METH_NOARGS, "End the edit now; leaving the block then does nothing."},
    {"rollback", edit_rollback, METH_NOARGS, "Undo and end the edit now."},
    {"positions", edit_positions, METH_NOARGS, "(n, 3), nm, writable until the edit ends."},
    {"velocities", edit_velocities, METH_NOARGS, "(n, 3), nm/ps, writable until the edit ends."},
    {"forces", edit_forces, METH_NOARGS, "(n, 3), kJ/(mol nm), writable until the edit ends."},
    {"masses", edit_masses, METH_NOARGS, "(n,), u, writable until the edit ends."},
    {"energies", edit_energies, METH_NOARGS, "Energies, writable until the edit ends."},
    {"array", edit_any_array, METH_O, "array(which), writable until the edit ends."},
    {"set_array", (PyCFunction)(void (*)(void))edit_set_array, METH_VARARGS | METH_KEYWORDS,
     "set_array(which, array): checked and copied."},
    {"get_box", edit_get_box, METH_NOARGS, "(kind, nine numbers), nm."},
    {"set_box", (PyCFunction)(void (*)(void))edit_set_box, METH_VARARGS | METH_KEYWORDS, "set_box(kind, vectors)."},
    {"num_atoms", edit_num_atoms, METH_NOARGS, "Number of atoms."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"mapping", T_OBJECT, offsetof(struct gd_edit, mapping), READONLY, "The Mapping that is edited."},
    {"state", T_OBJECT, offsetof(struct gd_edit, state), READONLY, "The State whose edit() made this, or None."},
    {"sequence", T_ULONGLONG, offsetof(struct gd_edit, sequence), READONLY, "Of the frame the commit published; 0: none."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"step", get_step, set_step, "Step.", NULL},
    {"time", get_time, set_time, "Time, ps.", NULL},
    {"version", get_version, NULL, "Of the State; after the end of the edit what the commit made.", NULL},
    {"active", get_active, NULL, "Whether the edit is open.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject gd_edit_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Edit",
    .tp_basicsize = sizeof(struct gd_edit),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "The write lease from the beginning of a `with` block to its end.",
    .tp_dealloc = edit_dealloc,
    .tp_finalize = edit_finalize,
    .tp_methods = methods,
    .tp_members = members,
    .tp_getset = properties,
};
