/* class Result: a large result that came as a segment. Read-only buffer; the memory lives as long as anything exports it.
 *
 * A segment of the session's pool comes again: its mapping is kept under its place while nothing refers to it, and the daemon is told,
 * in the control block, that it may write it again (see gd_result_place). That is said only when the last array is gone, by
 * the process that was given the result, and not when a child was forked meanwhile: it may have arrays of its own. */
#include "mapping.h"

#include "proto/gd_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct gd_result {
    PyObject_HEAD struct gd_link link;
    struct gd_door *door; /* borrowed; NULL when the door is gone or the segment does not come again */
    bool inherited;       /* a child has it too */
    unsigned place;
    uint64_t number;
    struct gd_kept_result map;
    Py_ssize_t bytes;
};
#define RESULT_OF(link_) ((struct gd_result *)((char *)(link_)-offsetof(struct gd_result, link)))

/* ---- mappings kept for the next result */

static void drop_kept(struct gd_kept_result *kept)
{
    if (kept->base != NULL)
        munmap(kept->base, kept->bytes);
    kept->base = NULL;
}

void gd_results_drop_kept(struct gd_door *door)
{
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++)
        drop_kept(&door->kept[i]);
}

/* Those whose segment the daemon has given up. */
static void drop_stale(struct gd_door *door)
{
    for (unsigned i = 0; i < GD_RESULT_PLACES; i++) {
        if (door->kept[i].base != NULL &&
            atomic_load_explicit(&door->control->results[i].segment, memory_order_acquire) != door->kept[i].segment)
            drop_kept(&door->kept[i]);
    }
}

/* The place where this result lies, or -1. */
static int place_of(struct gd_door *door, uint64_t number)
{
    for (int i = 0; i < (int)GD_RESULT_PLACES; i++) {
        if (atomic_load_explicit(&door->control->results[i].number, memory_order_acquire) == number)
            return i;
    }
    return -1;
}

void gd_result_forked(struct gd_link *link)
{
    RESULT_OF(link)->inherited = true;
}

void gd_result_leave_door(struct gd_link *link, const struct gd_door *door)
{
    if (RESULT_OF(link)->door == door)
        RESULT_OF(link)->door = NULL;
}

/* ---- making */

static struct gd_result *result_create(uint64_t number, uint64_t bytes)
{
    struct gd_result *result = PyObject_New(struct gd_result, &gd_result_type);
    if (result == NULL)
        return NULL;
    result->link = (struct gd_link){NULL, NULL};
    result->door = NULL;
    result->inherited = false;
    result->place = 0;
    result->number = number;
    result->map = (struct gd_kept_result){NULL, 0, 0};
    result->bytes = (Py_ssize_t)bytes;
    return result;
}

/* The result is of a segment that comes again; the mapping in `map` is its own now. */
static void bind(struct gd_result *result, struct gd_door *door, unsigned place, struct gd_kept_result map)
{
    result->door = door;
    result->place = place;
    result->map = map;
    gd_fork_add_result(&result->link);
    atomic_store_explicit(&door->control->results[place].taken, result->number, memory_order_release);
}

/* The result in a segment that is mapped already; NULL without an exception if it is not in one. */
static struct gd_result *take_kept(struct gd_door *door, uint64_t number, uint64_t bytes)
{
    int place = place_of(door, number);
    if (place < 0)
        return NULL;
    struct gd_kept_result *kept = &door->kept[place];
    uint64_t segment = atomic_load_explicit(&door->control->results[place].segment, memory_order_acquire);
    if (kept->base == NULL || kept->segment != segment || kept->bytes < bytes)
        return NULL;
    struct gd_result *result = result_create(number, bytes);
    if (result == NULL)
        return NULL;
    bind(result, door, (unsigned)place, *kept);
    kept->base = NULL;
    return result;
}

static struct gd_result *map_result(int fd, uint64_t number, uint64_t bytes)
{
    struct stat status;
    if (bytes == 0 || bytes > (uint64_t)PY_SSIZE_T_MAX || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size < bytes || (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0) {
        gd_raise(GD_E_CORRUPT_DATA, "the segment of a result is shorter than the %llu bytes announced, or can shrink",
                 (unsigned long long)bytes);
        return NULL;
    }
    struct gd_result *result = result_create(number, bytes);
    if (result == NULL)
        return NULL;
    void *base = gd_map_shared(fd, (size_t)status.st_size, PROT_READ);
    if (base == MAP_FAILED) {
        Py_DECREF(result);
        gd_raise(GD_E_OUT_OF_MEMORY, "a result of %llu bytes cannot be mapped: %s", (unsigned long long)bytes, strerror(errno));
        return NULL;
    }
    result->map = (struct gd_kept_result){base, (size_t)status.st_size, 0};
    return result;
}

/* If it lies where the reply says, which the control block confirms, its segment comes again. */
static void bind_fetched(struct gd_result *result, struct gd_door *door, uint64_t place)
{
    if (place < 1 || place > GD_RESULT_PLACES || door->control == NULL || !gd_door_connected(door))
        return;
    struct gd_result_place *shared = &door->control->results[place - 1];
    if (atomic_load_explicit(&shared->number, memory_order_acquire) != result->number)
        return;
    struct gd_kept_result map = result->map;
    map.segment = atomic_load_explicit(&shared->segment, memory_order_acquire);
    bind(result, door, (unsigned)place - 1, map);
}

PyObject *gd_result_fetch(struct gd_door *door, uint64_t number, uint64_t bytes)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    int fds[GD_DOOR_MAX_FDS];
    unsigned count;
    drop_stale(door);
    struct gd_result *result = take_kept(door, number, bytes);
    if (result != NULL || PyErr_Occurred())
        return (PyObject *)result;
    gd_door_request_init(&request, GD_DOOR_RESULT, NULL, number);
    if (gd_door_call(door, &request, &reply, fds, &count, NULL) < 0)
        return NULL;
    if (count == 1)
        result = map_result(fds[0], number, bytes);
    else
        gd_raise(GD_E_INVALID_MESSAGE, "a result came with %u descriptors instead of one", count);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    if (result != NULL)
        bind_fetched(result, door, reply.number[1]);
    return (PyObject *)result;
}

/* ---- letting go */

/* Whether the segment was kept for the next result, and the daemon told. */
static bool give_back(struct gd_result *result)
{
    struct gd_door *door = result->door;
    if (door == NULL || result->inherited || door->control == NULL || door->closing || !gd_door_connected(door))
        return false;
    struct gd_result_place *shared = &door->control->results[result->place];
    if (atomic_load_explicit(&shared->number, memory_order_acquire) != result->number)
        return false;
    drop_kept(&door->kept[result->place]);
    door->kept[result->place] = result->map;
    atomic_store_explicit(&shared->returned, result->number, memory_order_release);
    return true;
}

static void result_dealloc(PyObject *self)
{
    struct gd_result *result = (struct gd_result *)self;
    gd_fork_remove(&result->link); /* from here on no child can inherit it */
    if (result->map.base != NULL && !give_back(result))
        munmap(result->map.base, result->map.bytes);
    PyObject_Free(self);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    struct gd_result *result = (struct gd_result *)self;
    return PyBuffer_FillInfo(view, self, result->map.base, result->bytes, 1, flags);
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
