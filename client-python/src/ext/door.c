/* class Door: the connection to the daemon's door.
 *
 * One request at a time: a mutex, taken without the GIL, covers sending and receiving. A reply that is late, of the wrong size, with the wrong
 * magic word or an unexpected number of descriptors ends the connection, since what follows could not be trusted to answer the right
 * question; the daemon sees the hang-up and ends the session. Descriptors of a bad reply are closed. A good reply whose descriptors this process
 * may not have, since it has as many as it may, is an error and no more. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_BYTES gd_round_up(sizeof(struct gd_control_block), GD_PAGE)

/* How an exchange went; everything but DONE and NO_ROOM ends the connection. */
enum outcome { DONE, NO_ROOM, HUNG_UP, TOO_LATE, NOT_SENT, BAD_REPLY };

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Takes the descriptors out of a received message; more than GD_DOOR_MAX_FDS are closed and make it fail. */
static bool take_descriptors(struct msghdr *message, int *fds, unsigned *count)
{
    bool good = true;
    *count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
            if (*count < GD_DOOR_MAX_FDS) {
                fds[(*count)++] = fd;
            } else {
                close(fd);
                good = false;
            }
        }
    }
    return good;
}

static enum outcome receive_reply(int fd, int64_t deadline, struct gd_door_reply *reply, int *fds, unsigned *num_fds)
{
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {reply, sizeof(*reply)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    *num_fds = 0;
    do {
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR && gd_now_ns() < deadline);
    if (got == 0)
        return HUNG_UP;
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TOO_LATE : HUNG_UP;
    bool good = take_descriptors(&message, fds, num_fds);
    bool whole = good && got == (ssize_t)sizeof(*reply) && (message.msg_flags & MSG_TRUNC) == 0;
    if (whole && (message.msg_flags & MSG_CTRUNC) == 0)
        return DONE;
    close_all(fds, *num_fds);
    *num_fds = 0;
    return whole ? NO_ROOM : BAD_REPLY;
}

static enum outcome exchange(int fd, int64_t timeout, const struct gd_door_request *request, struct gd_door_reply *reply, int *fds,
                             unsigned *num_fds)
{
    int64_t deadline = gd_now_ns() + timeout;
    ssize_t sent;
    do {
        sent = send(fd, request, sizeof(*request), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR && gd_now_ns() < deadline);
    if (sent != (ssize_t)sizeof(*request))
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TOO_LATE : NOT_SENT;
    enum outcome outcome = receive_reply(fd, deadline, reply, fds, num_fds);
    if (outcome != DONE && outcome != NO_ROOM)
        return outcome;
    if (reply->magic != GD_DOOR_MAGIC || reply->op != request->op || (outcome == DONE && reply->num_fds != *num_fds)) {
        close_all(fds, *num_fds);
        *num_fds = 0;
        return BAD_REPLY;
    }
    reply->name[GD_DOOR_NAME - 1] = '\0';
    reply->text[GD_DOOR_TEXT - 1] = '\0';
    return outcome;
}

void gd_door_request_init(struct gd_door_request *request, uint32_t op, const uint8_t *uuid, uint64_t generation)
{
    memset(request, 0, sizeof(*request));
    request->magic = GD_DOOR_MAGIC;
    request->op = op;
    request->protocol = GD_PROTOCOL_VERSION;
    request->number = generation;
    if (uuid != NULL)
        memcpy(request->uuid, uuid, sizeof(request->uuid));
}

/* The socket is closed when no thread is inside a request any more; shutdown() gets them out. */
static void drop_socket(struct gd_door *door)
{
    if (door->fd < 0)
        return;
    if (door->users > 0) {
        shutdown(door->fd, SHUT_RDWR);
        return;
    }
    close(door->fd);
    door->fd = -1;
    gd_results_drop_kept(door);
    gd_arguments_drop(door);
}

bool gd_door_connected(struct gd_door *door)
{
    return door->fd >= 0 && !door->dead;
}

bool gd_door_usable(struct gd_door *door)
{
    if (!gd_door_connected(door) || door->closing)
        return false;
    struct pollfd entry = {.fd = door->fd, .events = POLLRDHUP};
    if (poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR | POLLRDHUP | POLLNVAL)) != 0) {
        door->dead = true;
        drop_socket(door);
        return false;
    }
    return true;
}

int gd_door_require(struct gd_door *door)
{
    if (gd_door_usable(door))
        return 0;
    if (door->pid != (int)getpid())
        gd_raise(GD_E_NO_DAEMON, "this process was forked from the one that opened the door %R; connect again", door->path);
    else if (door->closing)
        gd_raise(GD_E_NO_DAEMON, "the door %R was closed", door->path);
    else
        gd_raise(GD_E_NO_DAEMON, "the daemon at %R hung up", door->path);
    return -1;
}

void gd_door_settle(struct gd_door *door)
{
    if (door->closing && door->num_pins == 0 && door->held_leases == 0)
        drop_socket(door);
}

static void raise_outcome(struct gd_door *door, enum outcome outcome)
{
    if (outcome == TOO_LATE)
        gd_raise(GD_E_TIMEOUT, "the daemon at %R did not answer within %d ms; the connection was given up", door->path,
                 (int)(door->timeout_ns / 1000000));
    else if (outcome == BAD_REPLY)
        gd_raise(GD_E_INVALID_MESSAGE, "the reply from %R is not well-formed; the connection was given up", door->path);
    else
        gd_raise(GD_E_NO_DAEMON, "the daemon at %R hung up", door->path);
}

void gd_door_raise_no_room(void)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    gd_raise(GD_E_OUT_OF_MEMORY,
             "this process has all the descriptors it may have, %llu, and every State it holds takes one: let go of some, "
             "or raise the limit (`ulimit -n`)",
             (unsigned long long)limit.rlim_cur);
}

/* Text from the daemon, whatever bytes it is made of. */
static PyObject *text_of(const char *bytes)
{
    return PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)strlen(bytes), "replace");
}

int gd_door_call(struct gd_door *door, struct gd_door_request *request, struct gd_door_reply *reply, int *fds, unsigned *num_fds,
                 bool *transport)
{
    int spare[GD_DOOR_MAX_FDS];
    unsigned spare_count = 0;
    enum outcome outcome;
    bool want = fds != NULL;
    if (!want) {
        fds = spare;
        num_fds = &spare_count;
    }
    if (transport != NULL)
        *transport = false;
    *num_fds = 0;
    if (!gd_door_connected(door)) {
        if (transport != NULL)
            *transport = true;
        gd_raise(GD_E_NO_DAEMON, "the door %R is closed", door->path);
        return -1;
    }
    int fd = door->fd;
    door->users++;
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&door->mutex);
    outcome = exchange(fd, door->timeout_ns, request, reply, fds, num_fds);
    pthread_mutex_unlock(&door->mutex);
    Py_END_ALLOW_THREADS door->users--;
    if (outcome != DONE && outcome != NO_ROOM)
        door->dead = true;
    if (door->dead && door->users == 0)
        drop_socket(door);
    else
        gd_door_settle(door);
    if (outcome == NO_ROOM) {
        gd_door_raise_no_room();
        if (request->op == GD_DOOR_OPEN || request->op == GD_DOOR_CREATE) /* the daemon has it open for us */
            gd_door_forget_mapping(door, reply->uuid, reply->generation);
        return -1;
    }
    if (outcome != DONE) {
        if (transport != NULL)
            *transport = true;
        raise_outcome(door, outcome);
        return -1;
    }
    if (reply->code < 0 || !want) {
        close_all(fds, *num_fds);
        *num_fds = 0;
    }
    if (reply->code < 0) {
        PyObject *text = text_of(reply->text);
        if (text != NULL) {
            gd_raise(reply->code, "%U", text);
            Py_DECREF(text);
        }
        return -1;
    }
    return reply->code;
}

bool gd_door_tell(struct gd_door *door, uint32_t op, const uint8_t *uuid, uint64_t generation, bool patience)
{
    struct gd_door_request request;
    if (!gd_door_connected(door))
        return false;
    gd_door_request_init(&request, op, uuid, generation);
    int fd = door->fd;
    ssize_t sent = send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && patience && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        int64_t deadline = gd_now_ns() + door->timeout_ns;
        door->users++;
        Py_BEGIN_ALLOW_THREADS do
        {
            sent = send(fd, &request, sizeof(request), MSG_NOSIGNAL);
        }
        while (sent < 0 && errno == EINTR && gd_now_ns() < deadline)
            ;
        Py_END_ALLOW_THREADS door->users--;
        if (sent != (ssize_t)sizeof(request))
            door->dead = true; /* a hang-up tells the daemon as well */
        if (door->dead && door->users == 0)
            drop_socket(door);
    }
    return sent == (ssize_t)sizeof(request);
}

/* ---- connecting */

static int open_socket(struct gd_door *door, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = (time_t)(door->timeout_ns / 1000000000), .tv_usec = (door->timeout_ns % 1000000000) / 1000};
    if (limit.tv_sec == 0 && limit.tv_usec == 0)
        limit.tv_usec = 1; /* zero would mean: for ever */
    size_t length = strlen(path);
    if (length >= sizeof(address.sun_path)) {
        gd_raise(GD_E_INVALID_ARGUMENT, "the path of the door has %zu bytes, a socket's can have %zu: %R", length,
                 sizeof(address.sun_path) - 1, door->path);
        return -1;
    }
    memcpy(address.sun_path, path, length + 1);
    door->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (door->fd < 0) {
        int code = errno;
        gd_raise(code == EMFILE || code == ENFILE ? GD_E_OUT_OF_MEMORY : GD_E_INTERNAL, "cannot make a socket: %s", strerror(code));
        return -1;
    }
    setsockopt(door->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(door->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    int code;
    Py_BEGIN_ALLOW_THREADS code = connect(door->fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    Py_END_ALLOW_THREADS if (code != 0)
    {
        gd_raise(GD_E_NO_DAEMON, "no daemon answers at %R: %s", door->path, strerror(code));
        return -1;
    }
    return 0;
}

static int map_control(struct gd_door *door, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size < (off_t)CONTROL_BYTES ||
        (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) == 0) {
        gd_raise(GD_E_CORRUPT_DATA, "the control block from %R has the wrong size or can shrink", door->path);
        return -1;
    }
    void *base = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        gd_raise(GD_E_OUT_OF_MEMORY, "the control block from %R cannot be mapped: %s", door->path, strerror(errno));
        return -1;
    }
    struct gd_control_block *control = base;
    if (atomic_load_explicit(&control->head.layout, memory_order_acquire) != GD_LAYOUT || control->head.role != GD_SEGMENT_CONTROL) {
        munmap(base, CONTROL_BYTES);
        gd_raise(GD_E_PROTOCOL_MISMATCH, "the control block from %R has another layout than this client's %u", door->path, GD_LAYOUT);
        return -1;
    }
    door->control = control;
    return 0;
}

static int say_hello(struct gd_door *door, const char *version)
{
    struct gd_door_request request;
    struct gd_door_reply reply;
    int fds[GD_DOOR_MAX_FDS];
    unsigned count;
    gd_door_request_init(&request, GD_DOOR_HELLO, NULL, 0);
    if (strlen(version) >= sizeof(request.name)) {
        gd_raise(GD_E_INVALID_ARGUMENT, "the version text has %zu bytes, at most %zu are possible", strlen(version),
                 sizeof(request.name) - 1);
        return -1;
    }
    strcpy(request.name, version);
    if (gd_door_call(door, &request, &reply, fds, &count, NULL) < 0)
        return -1;
    int result = -1;
    if (reply.protocol != GD_PROTOCOL_VERSION)
        gd_raise(GD_E_PROTOCOL_MISMATCH, "the daemon at %R speaks protocol %u, this client %u", door->path, reply.protocol,
                 GD_PROTOCOL_VERSION);
    else if (count != 1 || reply.session <= GD_LEASE_DAEMON || reply.session > GD_LEASE_HOLDER)
        gd_raise(GD_E_INVALID_MESSAGE, "the greeting from %R is not well-formed", door->path);
    else
        result = map_control(door, fds[0]);
    close_all(fds, count);
    if (result < 0)
        return -1;
    door->session = reply.session;
    door->max_pins = reply.number[0] > 0 && reply.number[0] < GD_MAX_PINS ? (uint32_t)reply.number[0] : GD_MAX_PINS;
    door->lease_limit = (double)reply.number[1] * 1e-3;
    door->arguments.most = (size_t)reply.number[2];
    memcpy(door->token, reply.token, sizeof(door->token));
    door->server_version = text_of(reply.name);
    return door->server_version == NULL ? -1 : 0;
}

static struct gd_door *door_allocate(PyTypeObject *type, const char *path, double timeout)
{
    struct gd_door *door = (struct gd_door *)type->tp_alloc(type, 0);
    if (door == NULL)
        return NULL;
    door->fd = -1;
    door->pid = (int)getpid();
    door->timeout_ns = (int64_t)(timeout * 1e9);
    pthread_mutex_init(&door->mutex, NULL);
    door->path = PyUnicode_DecodeFSDefault(path);
    door->mappings = PyDict_New();
    door->pending_closes = PyList_New(0);
    door->free_entries = PyMem_Malloc(GD_MAX_PINS * sizeof(*door->free_entries));
    if (door->path == NULL || door->mappings == NULL || door->pending_closes == NULL || door->free_entries == NULL) {
        Py_DECREF(door);
        PyErr_NoMemory();
        return NULL;
    }
    return door;
}

static PyObject *door_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", "version", "timeout", NULL};
    PyObject *path;
    const char *version;
    double timeout = 5.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&s|d:Door", names, PyUnicode_FSConverter, &path, &version, &timeout))
        return NULL;
    if (!(timeout > 0 && timeout <= 1e6)) {
        Py_DECREF(path);
        return gd_raise(GD_E_INVALID_ARGUMENT, "timeout must be above 0 and at most 1e6 seconds");
    }
    struct gd_door *door = door_allocate(type, PyBytes_AS_STRING(path), timeout);
    if (door != NULL) {
        gd_fork_add_door(&door->link);
        if (open_socket(door, PyBytes_AS_STRING(path)) < 0 || say_hello(door, version) < 0)
            Py_CLEAR(door);
    }
    Py_DECREF(path);
    return (PyObject *)door;
}

static void door_dealloc(PyObject *self)
{
    struct gd_door *door = (struct gd_door *)self;
    gd_fork_remove(&door->link);
    gd_fork_leave_door(door);
    gd_results_drop_kept(door);
    gd_arguments_drop(door);
    if (door->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    if (door->fd >= 0)
        close(door->fd);
    if (door->control != NULL)
        munmap(door->control, CONTROL_BYTES);
    pthread_mutex_destroy(&door->mutex);
    PyMem_Free(door->free_entries);
    Py_XDECREF(door->path);
    Py_XDECREF(door->server_version);
    Py_XDECREF(door->mappings);
    Py_XDECREF(door->pending_closes);
    Py_TYPE(self)->tp_free(self);
}

/* ---- mappings of this door */

static bool uuid_is_mapped(struct gd_door *door, PyObject *uuid)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(door->mappings, &at, &key, &value))
        if (memcmp(PyBytes_AS_STRING(key), PyBytes_AS_STRING(uuid), 16) == 0 && gd_weak_target(value) != Py_None)
            return true;
    return false;
}

/* Tells the daemon about States that are not mapped any more. What cannot be told now is told at the next occasion. */
static void flush_closes(struct gd_door *door)
{
    if (door->opening > 0)
        return;
    while (PyList_GET_SIZE(door->pending_closes) > 0) {
        Py_ssize_t last = PyList_GET_SIZE(door->pending_closes) - 1;
        PyObject *uuid = PyList_GET_ITEM(door->pending_closes, last);
        if (!uuid_is_mapped(door, uuid) && gd_door_connected(door) &&
            !gd_door_tell(door, GD_DOOR_CLOSE, (const uint8_t *)PyBytes_AS_STRING(uuid), 0, false))
            return;
        if (PyList_SetSlice(door->pending_closes, last, last + 1, NULL) < 0) {
            PyErr_Clear();
            return;
        }
    }
}

void gd_door_forget_mapping(struct gd_door *door, const uint8_t *uuid, uint64_t generation)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace); /* called while objects are freed, perhaps under an exception */
    char bytes[24];
    memcpy(bytes, uuid, 16);
    memcpy(bytes + 16, &generation, 8);
    PyObject *key = PyBytes_FromStringAndSize(bytes, 24), *id = PyBytes_FromStringAndSize(bytes, 16);
    if (key != NULL && id != NULL) {
        PyObject *known = PyDict_GetItemWithError(door->mappings, key);
        /* A newer Mapping may stand under the same key already. */
        if (known != NULL && gd_weak_target(known) == Py_None)
            PyDict_DelItem(door->mappings, key);
        if (!uuid_is_mapped(door, id)) {
            PyList_Append(door->pending_closes, id);
            flush_closes(door);
        }
    }
    Py_XDECREF(key);
    Py_XDECREF(id);
    PyErr_Restore(type, value, trace);
}

/* Runs around every call that makes a Mapping: a State whose last Mapping goes meanwhile may be the one that is being opened. */
static void begin_opening(struct gd_door *door)
{
    Py_INCREF(door);
    door->opening++;
}

static void end_opening(struct gd_door *door, unsigned epoch)
{
    if (epoch == gd_fork_epoch)
        door->opening--;
    flush_closes(door);
    Py_DECREF(door);
}

static PyObject *door_create(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"num_atoms", "num_temperature_groups", "num_energy_groups", "name", "float64", "slots", "frame_forces", NULL};
    struct gd_door *door = (struct gd_door *)self;
    unsigned long long num_atoms;
    unsigned int more[3] = {1, 1, 0};
    const char *name = NULL;
    int float64 = 0, frame_forces = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "K|IIzpIp:create", names, &num_atoms, &more[0], &more[1], &name, &float64, &more[2],
                                     &frame_forces))
        return NULL;
    if (name != NULL && (name[0] == '\0' || strlen(name) >= GD_DOOR_NAME))
        return gd_raise(GD_E_INVALID_ARGUMENT, "a State's name has 1 to %d bytes, not %zu", GD_DOOR_NAME - 1, strlen(name));
    if (gd_door_require(door) < 0)
        return NULL;
    unsigned epoch = gd_fork_epoch;
    begin_opening(door);
    PyObject *mapping = gd_mapping_create_state(door, name, num_atoms, more,
                                                (float64 ? GD_CREATE_FLOAT64 : 0) | (frame_forces ? GD_CREATE_FRAME_FORCES : 0));
    end_opening(door, epoch);
    return mapping;
}

static PyObject *door_open(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "uuid", "flags", "generation", NULL};
    struct gd_door *door = (struct gd_door *)self;
    const char *name = NULL;
    Py_buffer uuid = {0};
    unsigned int flags = GD_OPEN_LIVE;
    unsigned long long generation = 0;
    PyObject *mapping = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zz*IK:open", names, &name, &uuid, &flags, &generation))
        return NULL;
    if (uuid.buf != NULL && uuid.len != 16)
        gd_raise(GD_E_INVALID_ARGUMENT, "a uuid has 16 bytes, not %zd", uuid.len);
    else if ((name == NULL) == (uuid.buf == NULL))
        gd_raise(GD_E_INVALID_ARGUMENT, "either a name or a uuid is wanted");
    else if (name != NULL && (name[0] == '\0' || strlen(name) >= GD_DOOR_NAME))
        gd_raise(GD_E_INVALID_ARGUMENT, "a State's name has 1 to %d bytes, not %zu", GD_DOOR_NAME - 1, strlen(name));
    else if (gd_door_require(door) == 0) {
        unsigned epoch = gd_fork_epoch;
        begin_opening(door);
        mapping = gd_mapping_open(door, name, uuid.buf, generation, flags);
        end_opening(door, epoch);
    }
    PyBuffer_Release(&uuid);
    return mapping;
}

static PyObject *door_result(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"number", "nbytes", NULL};
    unsigned long long number, bytes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "KK:result", names, &number, &bytes))
        return NULL;
    if (gd_door_require((struct gd_door *)self) < 0)
        return NULL;
    return gd_result_fetch((struct gd_door *)self, number, bytes);
}

static PyObject *door_close(PyObject *self, PyObject *ignored)
{
    struct gd_door *door = (struct gd_door *)self;
    (void)ignored;
    door->closing = true;
    gd_results_drop_kept(door);
    gd_door_settle(door);
    Py_RETURN_NONE;
}

static PyObject *get_token(PyObject *self, void *closure)
{
    (void)closure;
    return PyBytes_FromStringAndSize((const char *)((struct gd_door *)self)->token, GD_TOKEN_BYTES);
}

static PyObject *get_closed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(!gd_door_usable((struct gd_door *)self));
}

static PyMethodDef methods[] = {
    {"create", (PyCFunction)(void (*)(void))door_create, METH_VARARGS | METH_KEYWORDS, "The Mapping of a new State."},
    {"open", (PyCFunction)(void (*)(void))door_open, METH_VARARGS | METH_KEYWORDS, "The Mapping of a State by name or uuid."},
    {"result", (PyCFunction)(void (*)(void))door_result, METH_VARARGS | METH_KEYWORDS, "A large result, once."},
    {"put", gd_door_put, METH_O, "Put arrays where the daemon can read them: number, and offset and bytes of each; None: not now."},
    {"put_done", gd_door_put_done, METH_O, "The request they were for is over; whether it was answered."},
    {"line", gd_door_line, METH_NOARGS, "A new connection for commands: a CallLine."},
    {"close", door_close, METH_NOARGS, "End the session; arrays stay valid."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"session", T_UINT, offsetof(struct gd_door, session), READONLY, "Session number."},
    {"pid", T_INT, offsetof(struct gd_door, pid), READONLY, "The process that made this door."},
    {"max_pins", T_UINT, offsetof(struct gd_door, max_pins), READONLY, "Frames this session may hold."},
    {"pins", T_UINT, offsetof(struct gd_door, num_pins), READONLY, "Frames it holds."},
    {"pin_retries", T_ULONGLONG, offsetof(struct gd_door, pin_retries), READONLY, "Pins that came too late and were taken again."},
    {"lease_limit", T_DOUBLE, offsetof(struct gd_door, lease_limit), READONLY, "Seconds a lease may be held; 0: no limit."},
    {"path", T_OBJECT, offsetof(struct gd_door, path), READONLY, "Path of the socket."},
    {"server_version", T_OBJECT, offsetof(struct gd_door, server_version), READONLY, "The daemon's version."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"token", get_token, NULL, "What binds a ZeroMQ connection to this session.", NULL},
    {"closed", get_closed, NULL, "Whether nothing can be asked for any more.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject gd_door_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "gromos._ext.Door",
    .tp_basicsize = sizeof(struct gd_door),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A connection to the daemon's door.",
    .tp_new = door_new,
    .tp_dealloc = door_dealloc,
    .tp_weaklistoffset = offsetof(struct gd_door, weakrefs),
    .tp_methods = methods,
    .tp_members = members,
    .tp_getset = properties,
};
