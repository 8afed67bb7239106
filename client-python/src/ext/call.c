/* class CallLine: a connection of the session's own for commands at the door (proto/gd_call.h), each used by one thread at a time.
 *
 * Arrays of some size are put into the session's argument memory, a packet goes out and the wait for the answer begins in one call, with
 * the GIL released once. A wait comes back every SLICE_MS, and at a signal, so that Ctrl-C and time limits work. What is not a packet is
 * an error; the line is then closed by who owns it, since what follows could be the answer to something else. */
#include "mapping.h"

#include "proto/gd_call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLICE_MS 50
#define LEAST_IN_MEMORY 4096 /* bytes of arrays from which on they are put into shared memory; fewer are faster in the message */

struct gd_call_line {
    PyObject_HEAD struct gd_link link;
    struct gd_door *door;
    int fd;               /* -1: closed */
    char *packet;         /* GD_CALL_BYTES for what comes */
    unsigned long number; /* of the request that is on its way */
    bool in_memory;       /* its arrays are in the door's argument memory, which is taken until it is answered */
};

static PyObject *no_parts;

#define LINE_OF(member) ((struct gd_call_line *)((char *)(member)-offsetof(struct gd_call_line, link)))

void gd_call_forked(struct gd_link *link)
{
    struct gd_call_line *line = LINE_OF(link);
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
}

PyObject *gd_door_line(PyObject *self, PyObject *ignored)
{
    struct gd_door *door = (struct gd_door *)self;
    struct gd_door_request request;
    struct gd_door_reply reply;
    int fds[GD_DOOR_MAX_FDS];
    unsigned count;
    (void)ignored;
    if (gd_door_require(door) < 0)
        return NULL;
    struct gd_call_line *line = PyObject_New(struct gd_call_line, &gd_call_line_type);
    if (line == NULL)
        return NULL;
    memset(&line->link, 0, sizeof line->link);
    line->door = (struct gd_door *)Py_NewRef(self);
    line->fd = -1;
    line->number = 0;
    line->in_memory = false;
    line->packet = PyMem_Malloc(GD_CALL_BYTES);
    unsigned epoch = gd_fork_epoch;
    gd_door_request_init(&request, GD_DOOR_CALLS, NULL, 0);
    if (line->packet == NULL)
        PyErr_NoMemory();
    if (line->packet == NULL || gd_door_call(door, &request, &reply, fds, &count, NULL) < 0) {
        Py_DECREF(line);
        return NULL;
    }
    if (count == 1 && epoch == gd_fork_epoch) {
        struct timeval slice = {.tv_usec = SLICE_MS * 1000};
        line->fd = fds[0];
        setsockopt(line->fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice);
        gd_fork_add_call(&line->link);
        return (PyObject *)line;
    }
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    Py_DECREF(line);
    return gd_raise(GD_E_INVALID_MESSAGE, "the door %R gave %u connections for calls, not one", door->path, count);
}

/* The request is over. Memory that nobody answered for is not used again: the daemon may come to it yet. */
static void release_memory(struct gd_call_line *line, bool answered)
{
    if (line->in_memory)
        gd_arguments_done(line->door, answered);
    line->in_memory = false;
}

static void line_close(struct gd_call_line *line)
{
    release_memory(line, false);
    gd_fork_remove(&line->link);
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
}

static void line_dealloc(PyObject *self)
{
    struct gd_call_line *line = (struct gd_call_line *)self;
    line_close(line);
    PyMem_Free(line->packet);
    Py_DECREF(line->door);
    Py_TYPE(self)->tp_free(self);
}

/* ---- out ---- */

struct outgoing {
    struct gd_call_head head;
    struct iovec pieces[1 + 2 * GD_PROTOCOL_MAX_PARTS];
    size_t count, total;
};

static void add_piece(struct outgoing *out, const void *data, size_t bytes)
{
    out->pieces[out->count++] = (struct iovec){(void *)(uintptr_t)data, bytes};
    out->total += bytes;
}

static void add_part(struct outgoing *out, const void *data, size_t bytes)
{
    static const char zeros[GD_CALL_ALIGN];
    add_piece(out, zeros, gd_call_step(out->total) - out->total);
    add_piece(out, data, bytes);
    out->head.bytes[out->head.count++] = (uint32_t)bytes;
}

/* The arrays of a request where it says they are: the request that is sent, new, or NULL with an exception. */
static PyObject *place_arrays(struct gd_call_line *line, PyObject *request)
{
    PyObject *parts = gd_request_parts(request);
    if (parts == NULL)
        return PyErr_Format(PyExc_TypeError, "ask() takes a Request, not %.200s", Py_TYPE(request)->tp_name);
    PyObject *where = PyTuple_GET_SIZE(parts) > 0 ? gd_arguments_put(line->door, parts, LEAST_IN_MEMORY) : Py_NewRef(Py_None);
    if (where == NULL || where == Py_None) {
        Py_XDECREF(where);
        return where == NULL ? NULL : Py_NewRef(request);
    }
    line->in_memory = true;
    PyObject *placed = gd_request_in_memory(request, where);
    Py_DECREF(where);
    return placed;
}

static int compose(struct outgoing *out, PyObject *head, PyObject *parts)
{
    memset(&out->head, 0, sizeof out->head);
    out->head.magic = GD_CALL_MAGIC;
    out->count = out->total = 0;
    add_piece(out, &out->head, sizeof out->head);
    add_part(out, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts); i++) {
        PyArrayObject *part = (PyArrayObject *)PyTuple_GET_ITEM(parts, i);
        if (!PyArray_Check(part) || !PyArray_IS_C_CONTIGUOUS(part) || i + 1 == GD_PROTOCOL_MAX_PARTS) {
            PyErr_Format(PyExc_TypeError, "a request has fewer than %d arrays, C-contiguous ones", GD_PROTOCOL_MAX_PARTS);
            return -1;
        }
        add_part(out, PyArray_DATA(part), (size_t)PyArray_NBYTES(part));
    }
    if (out->total <= GD_CALL_BYTES)
        return 0;
    errno = EMSGSIZE;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* ---- in ---- */

static bool answers(PyObject *message, unsigned long number)
{
    PyObject *id = PyDict_GetItemString(message, "id");
    return id != NULL && PyLong_Check(id) && PyLong_AsUnsignedLongMask(id) == number;
}

static PyObject *take_packet(struct gd_call_line *line, size_t bytes)
{
    const void *parts[GD_PROTOCOL_MAX_PARTS];
    size_t part_bytes[GD_PROTOCOL_MAX_PARTS];
    unsigned count = bytes <= GD_CALL_BYTES ? gd_call_split(line->packet, bytes, parts, part_bytes) : 0;
    if (count == 0)
        return gd_raise(GD_E_INVALID_MESSAGE, "the daemon sent %zu bytes that are no answer to a call", bytes);
    PyObject *message = gd_message_decode(parts[0], part_bytes[0]);
    if (message != NULL && !answers(message, line->number)) {
        Py_DECREF(message);
        return gd_raise(GD_E_INVALID_MESSAGE, "the daemon answered something else than the request that was sent");
    }
    PyObject *rest = message == NULL ? NULL : count == 1 ? Py_NewRef(no_parts) : PyTuple_New(count - 1);
    for (unsigned i = 1; i < count && rest != NULL; i++) {
        PyObject *part = PyBytes_FromStringAndSize(parts[i], (Py_ssize_t)part_bytes[i]);
        if (part == NULL)
            Py_CLEAR(rest);
        else
            PyTuple_SET_ITEM(rest, i - 1, part);
    }
    PyObject *answer = rest == NULL ? NULL : PyTuple_Pack(2, message, rest);
    Py_XDECREF(message);
    Py_XDECREF(rest);
    return answer;
}

/* What recv() came to. Lost once the request was sent: ConnectionResetError. */
static PyObject *take_outcome(struct gd_call_line *line, ssize_t got, int code)
{
    if (got > 0) {
        PyObject *answer = take_packet(line, (size_t)got);
        if (answer != NULL)
            release_memory(line, true);
        return answer;
    }
    if (got == 0)
        code = ECONNRESET;
    if (got < 0 && code == EINTR && PyErr_CheckSignals() < 0)
        return NULL;
    if (got < 0 && (code == EAGAIN || code == EWOULDBLOCK || code == EINTR))
        Py_RETURN_NONE;
    PyErr_SetString(PyExc_ConnectionResetError, strerror(code));
    return NULL;
}

static int require_open(const struct gd_call_line *line)
{
    if (line->fd >= 0)
        return 0;
    PyErr_SetString(PyExc_BrokenPipeError, "the connection is closed");
    return -1;
}

/* Sends what is composed and waits a slice. */
static PyObject *send_and_wait(struct gd_call_line *line, struct outgoing *out)
{
    struct msghdr message = {.msg_iov = out->pieces, .msg_iovlen = out->count};
    ssize_t sent, got = -1;
    int fd = line->fd, code;
    do {
        Py_BEGIN_ALLOW_THREADS sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent >= 0)
            got = recv(fd, line->packet, GD_CALL_BYTES, MSG_TRUNC);
        code = errno;
        Py_END_ALLOW_THREADS
    } while (sent < 0 && code == EINTR && PyErr_CheckSignals() == 0);
    if (sent >= 0)
        return take_outcome(line, got, code);
    if (!PyErr_Occurred() && code == EMSGSIZE) {
        errno = code;
        PyErr_SetFromErrno(PyExc_OSError);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_BrokenPipeError, strerror(code));
    }
    return NULL;
}

static PyObject *line_ask(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct gd_call_line *line = (struct gd_call_line *)self;
    struct outgoing out;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "ask() takes a Request and its number");
    line->number = PyLong_AsUnsignedLongMask(args[1]) & UINT32_MAX;
    if (PyErr_Occurred() || require_open(line) < 0)
        return NULL;
    PyObject *answer = NULL, *request = place_arrays(line, args[0]);
    PyObject *head = request == NULL ? NULL : gd_request_head(request, line->number);
    if (head != NULL && compose(&out, head, gd_request_parts(request)) == 0)
        answer = send_and_wait(line, &out);
    Py_XDECREF(head);
    Py_XDECREF(request);
    if (answer == NULL)
        release_memory(line, false);
    return answer;
}

static PyObject *line_wait(PyObject *self, PyObject *ignored)
{
    struct gd_call_line *line = (struct gd_call_line *)self;
    ssize_t got;
    int fd = line->fd, code;
    (void)ignored;
    if (require_open(line) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS got = recv(fd, line->packet, GD_CALL_BYTES, MSG_TRUNC);
    code = errno;
    Py_END_ALLOW_THREADS PyObject *answer = take_outcome(line, got, code);
    if (answer == NULL)
        release_memory(line, false);
    return answer;
}

static PyObject *line_close_method(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    line_close((struct gd_call_line *)self);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"ask", (PyCFunction)(void (*)(void))line_ask, METH_FASTCALL,
     "ask(request, number)\n--\n\nSend a request and begin to wait: the answer's map and its further parts, or None when it is not there "
     "yet. BrokenPipeError: nothing was sent; ConnectionResetError: it was; OSError of EMSGSIZE: it is too long for this way."},
    {"wait", line_wait, METH_NOARGS, "wait()\n--\n\nGo on waiting, as ask() does."},
    {"close", line_close_method, METH_NOARGS, "Close the connection; twice is fine."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject gd_call_line_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.CallLine",
    .tp_doc = "A connection for commands at the door. Made by Door.line(). Not for two threads at once.",
    .tp_basicsize = sizeof(struct gd_call_line),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = line_dealloc,
    .tp_methods = methods,
};

int gromos_add_call(PyObject *module)
{
    no_parts = PyTuple_New(0);
    if (no_parts == NULL || PyModule_AddIntMacro(module, LEAST_IN_MEMORY) < 0)
        return -1;
    return PyModule_AddType(module, &gd_call_line_type);
}
