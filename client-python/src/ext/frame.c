/* class Frame: a published step that does not change.
 *
 * A Frame is a handle; the hold behind it owns the pin and is the base of every array over the frame. release() and the end of a
 * `with` block drop the handle's reference; the pin goes with the last array. The small values are copied into the handle. */
#include "mapping.h"

struct gd_frame_hold {
    PyObject_HEAD struct gd_mapping *mapping;
    const uint8_t *slot;
    uint32_t entry;
    unsigned epoch;
};

struct gd_frame {
    PyObject_HEAD struct gd_mapping *mapping;
    struct gd_frame_hold *hold; /* NULL after release */
    uint64_t sequence, version;
    struct gd_small small;
};

PyTypeObject *gd_frame_class = &gd_frame_type;

/* Takes the pin over, also when it fails. */
static struct gd_frame_hold *hold_create(struct gd_mapping *mapping, uint32_t slot, uint32_t entry)
{
    struct gd_frame_hold *hold = PyObject_New(struct gd_frame_hold, &gd_frame_hold_type);
    if (hold == NULL) {
        gd_pin_drop(mapping->door, entry);
        return NULL;
    }
    hold->mapping = (struct gd_mapping *)Py_NewRef(mapping);
    hold->slot = (const uint8_t *)gd_slot(mapping, slot);
    hold->entry = entry;
    hold->epoch = gd_fork_epoch;
    return hold;
}

PyObject *gd_frame_create(struct gd_mapping *mapping, uint64_t sequence)
{
    uint32_t entry;
    uint32_t flags = atomic_load_explicit(&mapping->live->flags, memory_order_acquire);
    if ((flags & GD_STATE_STALE) != 0) { /* another ring has the newer frames */
        gd_raise_ended(mapping, flags);
        return NULL;
    }
    if (mapping->frames == NULL && gd_mapping_open_frames(mapping) < 0)
        return NULL;
    int slot = gd_pin_take(mapping, &sequence, &entry);
    if (slot < 0)
        return NULL;
    struct gd_frame_hold *hold = hold_create(mapping, (uint32_t)slot, entry);
    if (hold == NULL)
        return NULL;
    const struct gd_frame_header *header = (const struct gd_frame_header *)hold->slot;
    if (header->sequence != sequence) {
        Py_DECREF(hold);
        return gd_raise(GD_E_CORRUPT_DATA, "slot %d of the ring holds frame %llu instead of %llu", slot,
                        (unsigned long long)header->sequence, (unsigned long long)sequence);
    }
    struct gd_frame *frame = (struct gd_frame *)gd_frame_class->tp_alloc(gd_frame_class, 0);
    if (frame == NULL) {
        Py_DECREF(hold);
        return NULL;
    }
    frame->mapping = (struct gd_mapping *)Py_NewRef(mapping);
    frame->hold = hold;
    frame->sequence = sequence;
    frame->version = header->version;
    frame->small = header->small;
    return (PyObject *)frame;
}

static void hold_dealloc(PyObject *self)
{
    struct gd_frame_hold *hold = (struct gd_frame_hold *)self;
    if (hold->epoch == gd_fork_epoch)
        gd_pin_drop(hold->mapping->door, hold->entry);
    Py_DECREF(hold->mapping);
    PyObject_Free(self);
}

PyTypeObject gd_frame_hold_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.FrameHold",
    .tp_basicsize = sizeof(struct gd_frame_hold),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "Keeps a frame from being overwritten; the base of arrays over it.",
    .tp_dealloc = hold_dealloc,
};

/* ---- the handle */

#define SELF ((struct gd_frame *)self)

static void frame_dealloc(PyObject *self)
{
    Py_XDECREF(SELF->hold);
    Py_XDECREF(SELF->mapping);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *frame_array(struct gd_frame *frame, int which, int mode)
{
    struct gd_mapping *mapping = frame->mapping;
    if (frame->hold == NULL)
        return gd_raise(GD_E_CONFLICT, "the frame was released; take arrays from it before");
    if (mapping->frame_offset[which] == 0)
        return gd_raise(GD_E_UNSUPPORTED, "the State's frames do not carry %s", gd_array_name(which));
    const uint8_t *data = frame->hold->slot + mapping->frame_offset[which];
    if (mode == 'r')
        return gd_mapping_view(mapping, which, (void *)data, false, (PyObject *)frame->hold);
    if (mode != 'c')
        return gd_raise(GD_E_INVALID_ARGUMENT, "a frame does not change: mode is 'r' or 'c'");
    struct gd_block *block = gd_block_create((PyObject *)frame->hold, mapping->frames_fd, (uint64_t)(data - mapping->frames_map.base),
                                             gd_array_bytes(&mapping->head, which), false);
    if (block == NULL)
        return NULL;
    PyObject *array = gd_mapping_view(mapping, which, block->data, true, (PyObject *)block);
    Py_DECREF(block);
    return array;
}

/* positions(mode="r") and its sisters. */
static PyObject *named_array(PyObject *self, int which, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    int mode = 'r';
    Py_ssize_t total = count + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
    if (total > 1 ||
        (names != NULL && PyTuple_GET_SIZE(names) == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "mode") != 0)) {
        PyErr_Format(PyExc_TypeError, "%s() takes one argument, mode", gd_array_name(which));
        return NULL;
    }
    if (total == 1 && (mode = gd_mode_parse(args[0])) < 0)
        return NULL;
    return frame_array(SELF, which, mode);
}

#define NAMED(function, which)                                                                          \
    static PyObject *function(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) \
    {                                                                                                   \
        return named_array(self, which, args, count, names);                                            \
    }
NAMED(frame_positions, GD_POSITIONS)
NAMED(frame_velocities, GD_VELOCITIES)
NAMED(frame_forces, GD_FORCES)
NAMED(frame_masses, GD_MASSES)

static PyObject *frame_any_array(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"which", "mode", NULL};
    long which;
    PyObject *mode = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "l|O:array", names, &which, &mode) || gd_which_check(which) < 0)
        return NULL;
    int parsed = mode == NULL ? 'r' : gd_mode_parse(mode);
    return parsed < 0 ? NULL : frame_array(SELF, (int)which, parsed);
}

static PyObject *frame_has(PyObject *self, PyObject *object)
{
    long which = PyLong_AsLong(object);
    if ((which == -1 && PyErr_Occurred()) || gd_which_check(which) < 0)
        return NULL;
    return PyBool_FromLong(SELF->mapping->frame_offset[which] != 0);
}

static PyObject *frame_num_atoms(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return PyLong_FromUnsignedLongLong(SELF->mapping->head.num_atoms);
}

static PyObject *frame_release(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    Py_CLEAR(SELF->hold);
    Py_RETURN_NONE;
}

static PyObject *frame_enter(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return Py_NewRef(self);
}

static PyObject *frame_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)args;
    (void)count;
    Py_CLEAR(SELF->hold);
    Py_RETURN_FALSE;
}

static PyObject *get_box(PyObject *self, void *closure)
{
    (void)closure;
    return gd_box_tuple(&SELF->small.box);
}

static PyObject *get_energies(PyObject *self, void *closure)
{
    (void)closure;
    return frame_array(SELF, GD_ENERGIES, 'r');
}

static PyObject *get_released(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(SELF->hold == NULL);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"positions", FAST(frame_positions), "positions(mode='r'): (n, 3), nm."},
    {"velocities", FAST(frame_velocities), "velocities(mode='r'): (n, 3), nm/ps."},
    {"forces", FAST(frame_forces), "forces(mode='r'): (n, 3), kJ/(mol nm)."},
    {"masses", FAST(frame_masses), "masses(mode='r'): (n,), u."},
    {"array", (PyCFunction)(void (*)(void))frame_any_array, METH_VARARGS | METH_KEYWORDS, "array(which, mode='r')."},
    {"has", frame_has, METH_O, "Whether the ring carries an array."},
    {"num_atoms", frame_num_atoms, METH_NOARGS, "Number of atoms."},
    {"release", frame_release, METH_NOARGS, "Drop the handle's hold; arrays keep theirs."},
    {"__enter__", frame_enter, METH_NOARGS, "The frame itself."},
    {"__exit__", (PyCFunction)(void (*)(void))frame_exit, METH_FASTCALL, "Release."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"mapping", T_OBJECT, offsetof(struct gd_frame, mapping), READONLY, "The Mapping it came from."},
    {"sequence", T_ULONGLONG, offsetof(struct gd_frame, sequence), READONLY, "Number of the frame, from 1."},
    {"version", T_ULONGLONG, offsetof(struct gd_frame, version), READONLY, "Version of the State it was copied from."},
    {"step", T_LONGLONG, offsetof(struct gd_frame, small.step), READONLY, "Step."},
    {"time", T_DOUBLE, offsetof(struct gd_frame, small.time), READONLY, "Time, ps."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"raw_box", get_box, NULL, "(kind, nine numbers row by row), nm.", NULL},
    {"raw_energies", get_energies, NULL, "Energies, read-only.", NULL},
    {"released", get_released, NULL, "Whether the handle's hold was dropped.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject gd_frame_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Frame",
    .tp_basicsize = sizeof(struct gd_frame),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "A published step, immutable as long as this handle or an array over it lives.",
    .tp_dealloc = frame_dealloc,
    .tp_methods = methods,
    .tp_members = members,
    .tp_getset = properties,
};
