/* Waiting on words in shared memory.
 *
 * Every sleep is a shared FUTEX_WAIT_BITSET (it works on a read-only mapping), without the GIL, of at most a slice, so that Python sees
 * Ctrl-C. No wake-up is lost: the wake word is read before the condition is looked at, and the kernel sleeps only while the
 * word still has that value. */
#include "mapping.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int64_t gd_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int gd_timeout_parse(PyObject *object, int64_t *out)
{
    if (object == NULL || object == Py_None) {
        *out = -1;
        return 0;
    }
    double seconds = PyBool_Check(object) ? -1.0 : PyFloat_AsDouble(object);
    if (seconds == -1.0 && PyLong_Check(object) && PyErr_Occurred()) { /* a whole number beyond all floats */
        int beyond = 0;
        PyErr_Clear();
        PyLong_AsLongLongAndOverflow(object, &beyond);
        seconds = beyond > 0 ? HUGE_VAL : -1.0;
    }
    if (!(seconds >= 0)) {
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError))
            return -1;
        PyErr_Clear();
        gd_raise(GD_E_INVALID_ARGUMENT, "'timeout' is %R; a time limit is a number of seconds, 0 or more, or None", object);
        return -1;
    }
    *out = seconds > 1e9 ? -1 : (int64_t)(seconds * 1e9);
    return 0;
}

int64_t gd_deadline(int64_t timeout_ns)
{
    return timeout_ns < 0 ? INT64_MAX : gd_now_ns() + timeout_ns;
}

int gd_wait_word(const _Atomic uint32_t *word, uint32_t value, uint32_t bits, int64_t deadline)
{
    int64_t now = gd_now_ns(), end = deadline - now > GD_WAIT_SLICE_NS ? now + GD_WAIT_SLICE_NS : deadline;
    if (end > now) {
        struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
        Py_BEGIN_ALLOW_THREADS syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &until, NULL, bits);
        Py_END_ALLOW_THREADS
    }
    return PyErr_CheckSignals();
}

void gd_wake_word(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* What a waiter waits for: a number in shared memory that rises. */
struct condition {
    struct gd_mapping *mapping;
    bool frames; /* the newest frame's sequence, else the version */
    uint64_t after;
};

static uint64_t look(const struct condition *condition)
{
    if (condition->frames)
        return gd_newest_sequence(condition->mapping);
    return atomic_load_explicit(&condition->mapping->live->version, memory_order_acquire);
}

/* Looks for at most ns without the GIL. */
static void spin(const struct condition *condition, int64_t ns)
{
    const struct gd_live_header *live = condition->mapping->live;
    int64_t until = gd_now_ns() + ns;
    do {
        for (int i = 0; i < 64; i++) {
            if (look(condition) > condition->after || atomic_load_explicit(&live->flags, memory_order_relaxed) != 0)
                return;
            relax();
        }
    } while (gd_now_ns() < until);
}

int gd_raise_ended(const struct gd_mapping *mapping, uint32_t flags)
{
    if ((flags & GD_STATE_STALE) != 0)
        gd_raise(GD_E_STALE_GENERATION, "the State moved on from generation %llu; these arrays do not change any more",
                 (unsigned long long)mapping->head.generation);
    else
        gd_raise(GD_E_STATE_DELETED, "the State was deleted; arrays already mapped stay valid");
    return -1;
}

/* 1 and *value when the condition holds, 0 when the time ran out, -1 with an exception set. */
static int wait_for(const struct condition *condition, int64_t timeout, int64_t spin_ns, uint64_t *value)
{
    struct gd_mapping *mapping = condition->mapping;
    const struct gd_live_header *live = mapping->live;
    int64_t deadline = INT64_MAX;
    for (bool first = true;; first = false) {
        uint32_t word = atomic_load_explicit(&live->wake, memory_order_acquire);
        *value = look(condition);
        if (*value > condition->after)
            return 1;
        uint32_t flags = atomic_load_explicit(&live->flags, memory_order_acquire);
        if (flags != 0)
            return gd_raise_ended(mapping, flags);
        if (first) {
            deadline = gd_deadline(timeout);
            if (spin_ns > 0) {
                Py_BEGIN_ALLOW_THREADS spin(condition, timeout >= 0 && timeout < spin_ns ? timeout : spin_ns);
                Py_END_ALLOW_THREADS continue;
            }
        }
        if (deadline != INT64_MAX && gd_now_ns() >= deadline)
            return 0;
        if (gd_door_require(mapping->door) < 0)
            return -1;
        if (gd_wait_word(&live->wake, word, GD_WAIT_ANY, deadline) < 0)
            return -1;
    }
}

static PyObject *wait_with(PyObject *self, PyObject *args, PyObject *kwargs, bool frames)
{
    static char *names[] = {"after", "timeout", "spin", NULL};
    struct condition condition = {(struct gd_mapping *)self, frames, 0};
    PyObject *after, *timeout = NULL;
    double spin_seconds = 0;
    int64_t ns;
    uint64_t value = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Od:wait", names, &after, &timeout, &spin_seconds))
        return NULL;
    condition.after = PyLong_AsUnsignedLongLong(after);
    if (condition.after == (uint64_t)-1 && PyErr_Occurred())
        return NULL;
    if (gd_timeout_parse(timeout, &ns) < 0)
        return NULL;
    if (!(spin_seconds >= 0 && spin_seconds <= 0.1))
        return gd_raise(GD_E_INVALID_ARGUMENT, "spin is a number of seconds between 0 and 0.1");
    if (frames && gd_mapping_open_frames(condition.mapping) < 0)
        return NULL;
    int result = wait_for(&condition, ns, (int64_t)(spin_seconds * 1e9), &value);
    if (result < 0)
        return NULL;
    if (result == 0)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(value);
}

PyObject *gd_mapping_wait(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return wait_with(self, args, kwargs, false);
}

PyObject *gd_mapping_wait_frame(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return wait_with(self, args, kwargs, true);
}

/* next_frame(wanted, latest, timeout, spin): what a loop over frames does for each of them, in one call. Its caller's data has
 * left the caches since the frame before, and then every step in Python costs several times what it costs alone. */
PyObject *gd_mapping_next_frame(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct condition condition = {(struct gd_mapping *)self, true, 0};
    int64_t ns;
    uint64_t newest = 0;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "next_frame() takes wanted, latest, timeout and spin");
        return NULL;
    }
    uint64_t wanted = PyLong_AsUnsignedLongLong(args[0]);
    int latest = PyObject_IsTrue(args[1]);
    double spin_seconds = PyFloat_AsDouble(args[3]);
    if (PyErr_Occurred() || gd_timeout_parse(args[2], &ns) < 0)
        return NULL;
    if (wanted == 0 || !(spin_seconds >= 0 && spin_seconds <= 0.1))
        return gd_raise(GD_E_INVALID_ARGUMENT, "frames are counted from 1, and spin is a number of seconds between 0 and 0.1");
    if (gd_mapping_open_frames(condition.mapping) < 0)
        return NULL;
    condition.after = wanted - 1;
    int result = wait_for(&condition, ns, (int64_t)(spin_seconds * 1e9), &newest);
    if (result < 0)
        return NULL;
    if (result == 0)
        Py_RETURN_NONE;
    return gd_frame_create(condition.mapping, latest ? 0 : wanted);
}
