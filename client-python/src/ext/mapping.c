/* class Mapping: one generation of a State in this process.
 *
 * Opening maps the live segment read-only; the frame ring and the writable side follow when they are first used. Every array, frame and
 * edit made from a Mapping keeps it alive; when it goes, the daemon is told that this process does not map the State any more. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *const array_names[GD_ARRAY_COUNT] = {"positions", "velocities", "forces", "masses", "energies"};

const char *gd_array_name(int which)
{
    return array_names[which];
}

int gd_which_check(long which)
{
    if (which >= 0 && which < GD_ARRAY_COUNT)
        return 0;
    gd_raise(GD_E_INVALID_ARGUMENT, "there is no array %ld; 0 positions, 1 velocities, 2 forces, 3 masses, 4 energies", which);
    return -1;
}

int gd_mode_parse(PyObject *object)
{
    if (PyUnicode_Check(object)) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(object);
        Py_UCS4 first = length > 0 ? PyUnicode_READ_CHAR(object, 0) : 0;
        if (length == 1 && (first == 'r' || first == 'c'))
            return (int)first;
        if (length == 2 && first == 'r' && PyUnicode_READ_CHAR(object, 1) == '+')
            return '+';
    }
    gd_raise(GD_E_INVALID_ARGUMENT, "mode must be 'r' (read-only), 'c' (private copy) or 'r+' (in an edit), not %R", object);
    return -1;
}

int gd_publish_parse(PyObject *object, void *out)
{
    if (PyBool_Check(object) || PyArray_IsScalar(object, Bool)) {
        *(bool *)out = PyObject_IsTrue(object) == 1;
        return 1;
    }
    gd_raise(GD_E_INVALID_ARGUMENT, "'publish' must be True or False, not %R", object);
    return 0;
}

/* ---- opening */

static PyObject *mapping_key(const uint8_t *uuid, uint64_t generation)
{
    char bytes[24];
    memcpy(bytes, uuid, 16);
    memcpy(bytes + 16, &generation, 8);
    return PyBytes_FromStringAndSize(bytes, 24);
}

static void set_array_kinds(struct gd_mapping *mapping)
{
    int real = mapping->head.dtype == GD_FLOAT32 ? NPY_FLOAT32 : NPY_FLOAT64;
    for (int i = 0; i < GD_ARRAY_COUNT; i++) {
        bool vectors = i == GD_POSITIONS || i == GD_VELOCITIES || i == GD_FORCES;
        mapping->descr[i] = PyArray_DescrFromType(vectors ? real : NPY_FLOAT64);
        mapping->ndim[i] = vectors ? 2 : 1;
        mapping->dims[i][0] = i == GD_ENERGIES ? (npy_intp)gd_energies_length(&mapping->head) : (npy_intp)mapping->head.num_atoms;
        mapping->dims[i][1] = 3;
    }
}

/* The descriptor belongs to the Mapping on success only. */
static struct gd_mapping *mapping_create(struct gd_door *door, const struct gd_door_reply *reply, int fd)
{
    struct gd_mapping *mapping = (struct gd_mapping *)gd_mapping_type.tp_alloc(&gd_mapping_type, 0);
    if (mapping == NULL)
        return NULL;
    mapping->live_fd = mapping->frames_fd = mapping->write_fd = -1;
    mapping->name = PyUnicode_DecodeUTF8(reply->name, (Py_ssize_t)strlen(reply->name), "replace");
    if (mapping->name == NULL ||
        gd_segment_map(fd, GD_SEGMENT_LIVE, false, reply->uuid, reply->generation, &mapping->live_map, &mapping->head) < 0) {
        Py_DECREF(mapping);
        return NULL;
    }
    mapping->live = (const struct gd_live_header *)mapping->live_map.base;
    set_array_kinds(mapping);
    mapping->live_fd = fd;
    mapping->door = (struct gd_door *)Py_NewRef(door);
    gd_fork_add_mapping(&mapping->link);
    return mapping;
}

/* The live Mapping of what a reply names, or a new one under that key. */
static PyObject *find_or_create(struct gd_door *door, const struct gd_door_reply *reply, int *fd)
{
    PyObject *key = mapping_key(reply->uuid, reply->generation);
    if (key == NULL)
        return NULL;
    PyObject *known = PyDict_GetItemWithError(door->mappings, key);
    PyObject *mapping = known == NULL ? Py_None : gd_weak_target(known);
    if (mapping != Py_None) {
        Py_INCREF(mapping);
    } else if (PyErr_Occurred()) {
        mapping = NULL;
    } else {
        mapping = (PyObject *)mapping_create(door, reply, *fd);
        if (mapping != NULL) {
            *fd = -1;
            PyObject *reference = PyWeakref_NewRef(mapping, NULL);
            if (reference == NULL || PyDict_SetItem(door->mappings, key, reference) < 0)
                Py_CLEAR(mapping);
            Py_XDECREF(reference);
        }
    }
    Py_DECREF(key);
    return mapping;
}

/* Sends a request that is answered with a State's live segment. *transport as of gd_door_call. */
static PyObject *ask_for_state(struct gd_door *door, struct gd_door_request *request, bool *transport)
{
    struct gd_door_reply reply;
    int fds[GD_DOOR_MAX_FDS];
    unsigned count;
    if (gd_door_call(door, request, &reply, fds, &count, transport) < 0)
        return NULL;
    PyObject *mapping = NULL;
    if (count == 1)
        mapping = find_or_create(door, &reply, &fds[0]);
    else
        gd_raise(GD_E_INVALID_MESSAGE, "a State was opened with %u descriptors instead of one", count);
    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (mapping == NULL) /* the daemon has it open for us */
        gd_door_forget_mapping(door, reply.uuid, reply.generation);
    return mapping;
}

PyObject *gd_mapping_create_state(struct gd_door *door, const char *name, uint64_t num_atoms, const uint32_t more[3], uint32_t flags)
{
    struct gd_door_request request;
    gd_door_request_init(&request, GD_DOOR_CREATE, NULL, num_atoms);
    request.flags = flags;
    memcpy(request.more, more, sizeof(request.more));
    if (name != NULL)
        strcpy(request.name, name);                 /* length checked by the caller */
    int room = fcntl(door->fd, F_DUPFD_CLOEXEC, 0); /* asked first: a State that cannot be mapped is not made */
    if (room < 0 && errno == EMFILE) {
        gd_door_raise_no_room();
        return NULL;
    }
    if (room >= 0)
        close(room);
    bool broken;
    PyObject *mapping = ask_for_state(door, &request, &broken);
    if (mapping == NULL && broken && name != NULL) { /* one without a name has ended with the connection */
        PyErr_Clear();
        gd_raise(GD_E_OUTCOME_UNKNOWN, "the daemon went away before it answered; look whether there is a State %s before you try again",
                 name);
    }
    return mapping;
}

PyObject *gd_mapping_open(struct gd_door *door, const char *name, const uint8_t *uuid, uint64_t generation, uint32_t flags)
{
    struct gd_door_request request;
    gd_door_request_init(&request, GD_DOOR_OPEN, uuid, generation);
    request.flags = GD_OPEN_LIVE;
    if (name != NULL)
        strcpy(request.name, name); /* length checked by the caller */
    PyObject *mapping = ask_for_state(door, &request, NULL);
    if (mapping != NULL && (((flags & GD_OPEN_FRAMES) != 0 && gd_mapping_open_frames((struct gd_mapping *)mapping) < 0) ||
                            ((flags & GD_OPEN_LIVE_WRITE) != 0 && gd_mapping_open_write((struct gd_mapping *)mapping) < 0)))
        Py_CLEAR(mapping);
    return mapping;
}

/* Asks for more segments of the same generation; wants exactly `wanted` descriptors. */
static int open_more(struct gd_mapping *mapping, uint32_t flags, unsigned wanted, int *fds)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    unsigned count;
    if (gd_door_require(mapping->door) < 0)
        return -1;
    gd_door_request_init(&request, GD_DOOR_OPEN, mapping->head.uuid, mapping->head.generation);
    request.flags = flags;
    if (gd_door_call(mapping->door, &request, &reply, fds, &count, NULL) < 0)
        return -1;
    bool same = memcmp(reply.uuid, mapping->head.uuid, 16) == 0 && reply.generation == mapping->head.generation;
    if (count == wanted && same)
        return 0;
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    if (!same)
        gd_raise(GD_E_STALE_GENERATION, "the State moved on from generation %llu", (unsigned long long)mapping->head.generation);
    else
        gd_raise(GD_E_INVALID_MESSAGE, "a State was opened with %u descriptors instead of %u", count, wanted);
    return -1;
}

/* What is wrong with a ring, or NULL. */
static const char *find_ring_fault(const struct gd_mapping *mapping, const struct gd_segment_head *head,
                                   const struct gd_frames_header *frames, size_t bytes)
{
    uint64_t slots = frames->num_slots, offset = frames->slot_offset, stride = frames->slot_stride;
    if (head->num_atoms != mapping->head.num_atoms || head->dtype != mapping->head.dtype)
        return "it has another number of atoms or element type than the State";
    if (slots == 0 || slots > GD_MAX_SLOTS)
        return "the number of slots is impossible";
    if (offset < sizeof(struct gd_frames_header) || offset % GD_PAGE != 0 || offset > bytes || stride % GD_PAGE != 0 ||
        stride < sizeof(struct gd_frame_header) || stride > (bytes - offset) / slots)
        return "the slots do not lie inside";
    for (int i = 0; i < GD_ARRAY_COUNT; i++)
        if (head->array_offset[i] != 0 && (head->array_offset[i] > stride || head->array_bytes[i] > stride - head->array_offset[i] ||
                                           gd_array_bytes(head, i) != gd_array_bytes(&mapping->head, i)))
            return "an array does not fit its slot";
    return NULL;
}

int gd_mapping_open_frames(struct gd_mapping *mapping)
{
    int fds[GD_DOOR_MAX_FDS];
    struct gd_map map;
    struct gd_segment_head head;
    if (mapping->frames != NULL)
        return 0;
    if (open_more(mapping, GD_OPEN_FRAMES, 1, fds) < 0)
        return -1;
    if (mapping->frames != NULL) { /* another thread was faster */
        close(fds[0]);
        return 0;
    }
    if (gd_segment_map(fds[0], GD_SEGMENT_FRAMES, false, mapping->head.uuid, mapping->head.generation, &map, &head) < 0) {
        close(fds[0]);
        return -1;
    }
    const struct gd_frames_header *frames = (const struct gd_frames_header *)map.base;
    const char *fault = find_ring_fault(mapping, &head, frames, map.bytes);
    if (fault != NULL) {
        gd_segment_unmap(&map);
        close(fds[0]);
        gd_raise(GD_E_CORRUPT_DATA, "the State's frame ring cannot be used: %s", fault);
        return -1;
    }
    mapping->frames_fd = fds[0];
    mapping->frames_map = map;
    mapping->ring_id = frames->ring_id;
    mapping->num_slots = frames->num_slots;
    mapping->slot_offset = frames->slot_offset;
    mapping->slot_stride = frames->slot_stride;
    for (int i = 0; i < GD_ARRAY_COUNT; i++)
        mapping->frame_offset[i] = head.array_offset[i];
    mapping->frames = frames;
    return 0;
}

int gd_mapping_open_write(struct gd_mapping *mapping)
{
    int fds[GD_DOOR_MAX_FDS];
    struct gd_map live, undo = {NULL, 0};
    struct gd_segment_head head, undo_head;
    if (mapping->write != NULL)
        return 0;
    if (open_more(mapping, GD_OPEN_LIVE_WRITE, 2, fds) < 0)
        return -1;
    bool fresh = mapping->write == NULL;
    if (fresh && gd_segment_map(fds[0], GD_SEGMENT_LIVE, true, mapping->head.uuid, mapping->head.generation, &live, &head) == 0) {
        if (gd_segment_map(fds[1], GD_SEGMENT_UNDO, true, mapping->head.uuid, mapping->head.generation, &undo, &undo_head) < 0)
            gd_segment_unmap(&live);
    }
    close(fds[1]);
    if (undo.base == NULL) {
        close(fds[0]);
        return fresh ? -1 : 0;
    }
    for (int i = 0; i < GD_ARRAY_COUNT; i++) {
        bool there = undo_head.array_offset[i] != 0 && gd_array_bytes(&undo_head, i) == gd_array_bytes(&mapping->head, i);
        if (!there || head.array_offset[i] != mapping->head.array_offset[i] ||
            gd_array_bytes(&head, i) != gd_array_bytes(&mapping->head, i)) {
            gd_segment_unmap(&live);
            gd_segment_unmap(&undo);
            close(fds[0]);
            gd_raise(GD_E_CORRUPT_DATA, "the State's segments for writing do not fit the one for reading");
            return -1;
        }
        mapping->undo_offset[i] = undo_head.array_offset[i];
    }
    mapping->write_fd = fds[0];
    mapping->write_map = live;
    mapping->undo_map = undo;
    mapping->write = (struct gd_live_header *)live.base;
    return 0;
}

int gd_mapping_need_masses(struct gd_mapping *mapping)
{
    int fds[GD_DOOR_MAX_FDS];
    if ((atomic_load(&mapping->live->unset) & GD_ARRAY_BIT(GD_MASSES)) == 0)
        return 0;
    return open_more(mapping, GD_OPEN_MASSES, 0, fds);
}

static void mapping_dealloc(PyObject *self)
{
    struct gd_mapping *mapping = (struct gd_mapping *)self;
    if (mapping->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    gd_fork_remove(&mapping->link);
    for (int i = 0; i < GD_ARRAY_COUNT; i++) {
        Py_XDECREF(mapping->edit_block[i]);
        Py_XDECREF(mapping->descr[i]);
    }
    gd_segment_unmap(&mapping->live_map);
    gd_segment_unmap(&mapping->frames_map);
    gd_segment_unmap(&mapping->write_map);
    gd_segment_unmap(&mapping->undo_map);
    int fds[] = {mapping->live_fd, mapping->frames_fd, mapping->write_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (mapping->door != NULL) {
        gd_door_forget_mapping(mapping->door, mapping->head.uuid, mapping->head.generation);
        Py_DECREF(mapping->door);
    }
    Py_XDECREF(mapping->name);
    Py_TYPE(self)->tp_free(self);
}

/* ---- arrays */

PyObject *gd_mapping_view(struct gd_mapping *mapping, int which, void *data, bool writable, PyObject *base)
{
    Py_INCREF(mapping->descr[which]);
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, mapping->descr[which], mapping->ndim[which], mapping->dims[which], NULL, data,
                                           writable ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO, NULL);
    if (array == NULL)
        return NULL;
    Py_INCREF(base);
    if (PyArray_SetBaseObject((PyArrayObject *)array, base) < 0)
        Py_CLEAR(array);
    return array;
}

/* What the masses of a new State are, when there is nobody any more who could write them into it. */
static PyObject *first_masses(const struct gd_mapping *mapping, int mode)
{
    PyArrayObject *array = (PyArrayObject *)PyArray_SimpleNew(1, (npy_intp *)(uintptr_t)mapping->dims[GD_MASSES], NPY_FLOAT64);
    if (array == NULL)
        return NULL;
    double *masses = PyArray_DATA(array);
    for (npy_intp i = 0; i < mapping->dims[GD_MASSES][0]; i++)
        masses[i] = 1.0;
    if (mode == 'r')
        PyArray_CLEARFLAGS(array, NPY_ARRAY_WRITEABLE);
    return (PyObject *)array;
}

PyObject *gd_mapping_array(struct gd_mapping *mapping, int which, int mode)
{
    if (mapping->head.array_offset[which] == 0)
        return gd_raise(GD_E_UNSUPPORTED, "the State has no %s", gd_array_name(which));
    if (which == GD_MASSES && gd_mapping_need_masses(mapping) < 0) {
        if (mode == '+' || !PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
        return first_masses(mapping, mode);
    }
    if (mode == 'r')
        return gd_mapping_view(mapping, which, (void *)gd_live_array(mapping, which), false, (PyObject *)mapping);
    if (mode == '+')
        return gd_lease_array(mapping, which);
    struct gd_block *block = gd_block_create((PyObject *)mapping, mapping->live_fd, mapping->head.array_offset[which],
                                             gd_array_bytes(&mapping->head, which), false);
    if (block == NULL)
        return NULL;
    PyObject *array = gd_mapping_view(mapping, which, block->data, true, (PyObject *)block);
    Py_DECREF(block);
    return array;
}

static PyObject *mapping_array(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"which", "mode", NULL};
    long which;
    PyObject *mode = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "l|O:array", names, &which, &mode))
        return NULL;
    int parsed = mode == NULL ? 'r' : gd_mode_parse(mode);
    if (parsed < 0 || gd_which_check(which) < 0)
        return NULL;
    return gd_mapping_array((struct gd_mapping *)self, (int)which, parsed);
}

PyObject *gd_box_tuple(const struct gd_box *box)
{
    const double *v = &box->vectors[0][0];
    return Py_BuildValue("i(ddddddddd)", (int)box->kind, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]);
}

/* ---- properties */

#define SELF ((struct gd_mapping *)self)

static PyObject *get_uuid(PyObject *self, void *closure)
{
    (void)closure;
    return PyBytes_FromStringAndSize((const char *)SELF->head.uuid, 16);
}

static PyObject *get_dtype(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef((PyObject *)SELF->descr[GD_POSITIONS]);
}

static PyObject *get_version(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(atomic_load_explicit(&SELF->live->version, memory_order_acquire));
}

static PyObject *get_flag(PyObject *self, void *closure)
{
    return PyBool_FromLong((atomic_load_explicit(&SELF->live->flags, memory_order_acquire) & (uint32_t)(uintptr_t)closure) != 0);
}

static PyObject *get_step(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromLongLong(SELF->live->small.step);
}

static PyObject *get_time(PyObject *self, void *closure)
{
    (void)closure;
    return PyFloat_FromDouble(SELF->live->small.time);
}

static PyObject *get_box(PyObject *self, void *closure)
{
    (void)closure;
    return gd_box_tuple(&SELF->live->small.box);
}

static PyObject *get_array(PyObject *self, void *closure)
{
    return gd_mapping_array(SELF, (int)(intptr_t)closure, 'r');
}

static PyObject *get_lease_holder(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(atomic_load(&SELF->live->lease) & GD_LEASE_HOLDER);
}

static PyObject *get_edited_here(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(gd_lease_mine(SELF));
}

enum ring_number { RING_NEWEST, RING_PUBLISHED, RING_SKIPPED, RING_SLOTS };

static PyObject *get_ring_number(PyObject *self, void *closure)
{
    if (gd_mapping_open_frames(SELF) < 0)
        return NULL;
    const struct gd_frames_header *frames = SELF->frames;
    uint64_t number = 0;
    switch ((enum ring_number)(intptr_t)closure) {
    case RING_NEWEST:
        number = gd_newest_sequence(SELF);
        break;
    case RING_PUBLISHED:
        number = atomic_load(&frames->published);
        break;
    case RING_SKIPPED:
        number = atomic_load(&frames->skipped);
        break;
    case RING_SLOTS:
        number = SELF->num_slots;
        break;
    }
    return PyLong_FromUnsignedLongLong(number);
}

static PyGetSetDef properties[] = {
    {"uuid", get_uuid, NULL, "16 bytes.", NULL},
    {"dtype", get_dtype, NULL, "Of positions, velocities and forces.", NULL},
    {"version", get_version, NULL, "Commits so far.", NULL},
    {"deleted", get_flag, NULL, "Whether the State is gone.", (void *)(uintptr_t)GD_STATE_DELETED},
    {"stale", get_flag, NULL, "Whether a newer generation exists.", (void *)(uintptr_t)GD_STATE_STALE},
    {"step", get_step, NULL, "Step of the live arrays.", NULL},
    {"time", get_time, NULL, "Time of the live arrays, ps.", NULL},
    {"box", get_box, NULL, "(kind, nine numbers row by row), nm.", NULL},
    {"energies", get_array, NULL, "Live energies, read-only.", (void *)(intptr_t)GD_ENERGIES},
    {"masses", get_array, NULL, "Live masses, read-only.", (void *)(intptr_t)GD_MASSES},
    {"lease_holder", get_lease_holder, NULL, "Session number of the holder of the lease; 0: nobody.", NULL},
    {"edited_here", get_edited_here, NULL, "Whether the calling thread holds the lease.", NULL},
    {"newest_sequence", get_ring_number, NULL, "Of the newest frame.", (void *)(intptr_t)RING_NEWEST},
    {"frames_published", get_ring_number, NULL, "Frames published.", (void *)(intptr_t)RING_PUBLISHED},
    {"frames_skipped", get_ring_number, NULL, "Publishes left out because every slot was held.", (void *)(intptr_t)RING_SKIPPED},
    {"num_slots", get_ring_number, NULL, "Slots of the ring.", (void *)(intptr_t)RING_SLOTS},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"door", T_OBJECT, offsetof(struct gd_mapping, door), READONLY, "Where it came from."},
    {"name", T_OBJECT, offsetof(struct gd_mapping, name), READONLY, "Name at the time of opening."},
    {"generation", T_ULONGLONG, offsetof(struct gd_mapping, head.generation), READONLY, "Generation, from 1."},
    {"num_atoms", T_ULONGLONG, offsetof(struct gd_mapping, head.num_atoms), READONLY, "Number of atoms."},
    {"num_temperature_groups", T_UINT, offsetof(struct gd_mapping, head.num_temperature_groups), READONLY, "Groups."},
    {"num_energy_groups", T_UINT, offsetof(struct gd_mapping, head.num_energy_groups), READONLY, "Groups."},
    {NULL, 0, 0, 0, NULL},
};

/* ---- frames and leases: thin methods */

static PyObject *mapping_open_frames(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (gd_mapping_open_frames(SELF) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *mapping_snapshot(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"sequence", NULL};
    PyObject *object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:snapshot", names, &object))
        return NULL;
    uint64_t sequence = 0;
    if (object != NULL && object != Py_None) {
        sequence = PyLong_AsUnsignedLongLong(object);
        if (sequence == (uint64_t)-1 && PyErr_Occurred())
            return NULL;
        if (sequence == 0)
            return gd_raise(GD_E_INVALID_ARGUMENT, "frames are counted from 1");
    }
    return gd_frame_create(SELF, sequence);
}

static PyObject *mapping_frames_list(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    uint32_t flags = atomic_load_explicit(&SELF->live->flags, memory_order_acquire);
    if ((flags & GD_STATE_STALE) != 0) {
        gd_raise_ended(SELF, flags);
        return NULL;
    }
    if (gd_mapping_open_frames(SELF) < 0)
        return NULL;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < SELF->num_slots; i++) {
        uint64_t sequence = atomic_load(&SELF->frames->sequence[i]);
        if (sequence == 0)
            continue;
        PyObject *number = PyLong_FromUnsignedLongLong(sequence);
        if (number == NULL || PyList_Append(list, number) < 0)
            Py_CLEAR(list);
        Py_XDECREF(number);
    }
    if (list != NULL && PyList_Sort(list) < 0)
        Py_CLEAR(list);
    return list;
}

static PyObject *mapping_lease_acquire(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"timeout", NULL};
    PyObject *timeout = NULL;
    int64_t ns = 30 * (int64_t)1000000000;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:lease_acquire", names, &timeout))
        return NULL;
    if ((timeout != NULL && gd_timeout_parse(timeout, &ns) < 0) || gd_lease_acquire(SELF, ns) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *mapping_lease_release(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (gd_lease_release(SELF) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *mapping_commit(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"publish", NULL};
    bool publish = true;
    uint64_t version, sequence;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O&:commit", names, gd_publish_parse, &publish) ||
        gd_lease_commit(SELF, publish, &version, &sequence) < 0)
        return NULL;
    return Py_BuildValue("KK", (unsigned long long)version, (unsigned long long)sequence);
}

static PyObject *mapping_rollback(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (gd_lease_rollback(SELF) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *mapping_set_array(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"which", "array", "publish", "timeout", NULL};
    long which;
    bool publish = true;
    PyObject *array, *timeout = NULL;
    int64_t ns = 30 * (int64_t)1000000000;
    uint64_t version;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "lO|O&O:set_array", names, &which, &array, gd_publish_parse, &publish, &timeout) ||
        gd_which_check(which) < 0 || (timeout != NULL && gd_timeout_parse(timeout, &ns) < 0) ||
        gd_assign(SELF, (int)which, array, publish, ns, &version) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(version);
}

static PyObject *mapping_edit(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"timeout", "publish", NULL};
    bool publish = true;
    PyObject *timeout = NULL;
    int64_t ns = 30 * (int64_t)1000000000;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO&:edit", names, &timeout, gd_publish_parse, &publish) ||
        (timeout != NULL && gd_timeout_parse(timeout, &ns) < 0))
        return NULL;
    return gd_edit_create(SELF, NULL, ns, publish);
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"array", KEYWORDS(mapping_array), "array(which, mode='r'): an array over the live memory."},
    {"wait", KEYWORDS(gd_mapping_wait), "wait(after, timeout=None, spin=0): the version above `after`, or None."},
    {"wait_frame", KEYWORDS(gd_mapping_wait_frame), "wait_frame(after, timeout=None, spin=0): the newest sequence above `after`, or None."},
    {"next_frame", (PyCFunction)(void (*)(void))gd_mapping_next_frame, METH_FASTCALL,
     "next_frame(wanted, latest, timeout, spin): waits as wait_frame(wanted - 1) does, then snapshot(wanted), or snapshot() if latest."},
    {"open_frames", mapping_open_frames, METH_NOARGS, "Map the frame ring now."},
    {"snapshot", KEYWORDS(mapping_snapshot), "snapshot(sequence=None): a Frame."},
    {"frames_list", mapping_frames_list, METH_NOARGS, "Sequences in the ring, rising."},
    {"lease_acquire", KEYWORDS(mapping_lease_acquire), "lease_acquire(timeout=30)."},
    {"lease_release", mapping_lease_release, METH_NOARGS, "Give the lease back after nothing was changed."},
    {"commit", KEYWORDS(mapping_commit), "commit(publish=True): (version, sequence)."},
    {"rollback", mapping_rollback, METH_NOARGS, "Undo and give the lease back."},
    {"set_array", KEYWORDS(mapping_set_array), "set_array(which, array, publish=True, timeout=30): the new version."},
    {"edit", KEYWORDS(mapping_edit), "edit(timeout=30, publish=True): an Edit."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject gd_mapping_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Mapping",
    .tp_basicsize = sizeof(struct gd_mapping),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "One generation of one State mapped into this process.",
    .tp_dealloc = mapping_dealloc,
    .tp_weaklistoffset = offsetof(struct gd_mapping, weakrefs),
    .tp_methods = methods,
    .tp_members = members,
    .tp_getset = properties,
};
