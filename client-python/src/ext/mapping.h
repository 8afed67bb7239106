/* The local-memory half of the extension: what its files share.
 *
 *   raise.c       exceptions made from error codes
 *   fork.c        the list of doors and mappings, and what a forked child does to them
 *   door.c        the connection to the daemon's door, requests and replies; result.c: large results; arguments.c: large arguments
 *   call.c        class CallLine: commands at the door
 *   segment.c     descriptors into checked mappings; arrays over them; private and lease-long mappings (blocks)
 *   mapping.c     class Mapping: one generation of a State
 *   wait.c        futexes, with the GIL released and signals looked at
 *   pins.c        pins in the control block; frame.c: class Frame
 *   lease.c       the lease word, dirty marks, undo, commit and rollback; edit.c: class Edit
 *   assign.c      whole arrays into the State; finite.c, overwrite.c: loops over numbers
 *   state_base.c  class StateBase
 *
 * Everything here runs under the GIL except where a function says that it releases it; a build of Python without a GIL switches
 * it on for this module. Nothing that is read from a shared mapping is used as a size, an offset or an index later: layouts are
 * checked once, against the size of the object, and copied. */
#ifndef GD_EXT_MAPPING_H
#define GD_EXT_MAPPING_H

#include "ext.h"
#include "numbers.h"

#include "proto/gd_door.h"
#include "proto/gd_energies.h"
#include "proto/gd_errors.h"
#include "proto/gd_shm.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gd_link {
    struct gd_link *next, *prev;
};

/* What a weak reference refers to, borrowed, or None. */
static inline PyObject *gd_weak_target(PyObject *reference)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *target;
    if (PyWeakref_GetRef(reference, &target) != 1)
        return Py_None;
    Py_DECREF(target); /* under the GIL its owner keeps it */
    return target;
#else
    return PyWeakref_GET_OBJECT(reference);
#endif
}

/* ---- raise.c */
extern PyObject *gd_door_error;
/* Sets the exception for a code; returns NULL. The text is formatted as by PyErr_Format. */
PyObject *gd_raise(int code, const char *format, ...);
int gd_raise_init(PyObject *module);
PyObject *gd_configure(PyObject *module, PyObject *args, PyObject *kwargs);

struct gd_door;

/* ---- fork.c */
extern unsigned gd_fork_epoch; /* +1 in every forked child */
int gd_fork_init(void);
void gd_fork_add_door(struct gd_link *link);
void gd_fork_add_mapping(struct gd_link *link);
void gd_fork_add_result(struct gd_link *link);
void gd_fork_add_call(struct gd_link *link);
void gd_fork_leave_door(const struct gd_door *door); /* no result refers to it any more */
void gd_fork_remove(struct gd_link *link);

/* ---- door.c */
/* A mapping of a pooled result's segment. base NULL: none. */
struct gd_kept_result {
    void *base;
    size_t bytes;
    uint64_t segment;
};

/* Memory the arrays of a request are put into. base NULL: none yet. */
struct gd_arguments {
    uint8_t *base;
    size_t bytes, most;
    uint64_t number;
    bool busy;
};

struct gd_door {
    PyObject_HEAD struct gd_link link;
    PyObject *weakrefs;
    int fd;         /* -1: closed */
    unsigned users; /* threads inside a request */
    bool dead;      /* the daemon hung up, or a reply was late or wrong */
    bool closing;   /* close() was called; the socket stays while something is held */
    unsigned held_leases;
    unsigned opening;      /* open() calls under way */
    pthread_mutex_t mutex; /* one request at a time; taken without the GIL */
    int64_t timeout_ns;
    int pid;
    uint32_t session;
    uint32_t max_pins;
    double lease_limit;
    uint8_t token[GD_TOKEN_BYTES];
    PyObject *path, *server_version;
    PyObject *mappings;       /* uuid + generation -> weak reference to a Mapping */
    PyObject *pending_closes; /* uuids whose last mapping went while open() was under way */
    struct gd_control_block *control;
    struct gd_kept_result kept[GD_RESULT_PLACES]; /* of results nothing refers to any more */
    struct gd_arguments arguments;
    uint32_t num_pins;
    uint64_t pin_retries; /* pins that came too late for their slot and were taken again */
    uint32_t num_free;    /* stack of entries given back */
    uint16_t *free_entries;
};
extern PyTypeObject gd_door_type;

#define GD_DOOR_MAX_FDS 4

/* One request and its reply; releases the GIL. fds: room for GD_DOOR_MAX_FDS, or NULL if none is expected. Returns the reply's code if
 * it is not negative, else -1 with an exception set. *transport: true if the connection broke, so that the daemon may or may not have
 * done it. num_fds descriptors belong to the caller. */
int gd_door_call(struct gd_door *door, struct gd_door_request *request, struct gd_door_reply *reply, int *fds, unsigned *num_fds,
                 bool *transport);
void gd_door_request_init(struct gd_door_request *request, uint32_t op, const uint8_t *uuid, uint64_t generation);
/* A request without a reply. False if it could not be sent; with patience it waits for room (releasing the GIL), else never. */
bool gd_door_tell(struct gd_door *door, uint32_t op, const uint8_t *uuid, uint64_t generation, bool patience);
/* Whether new things may be asked for; looks for a hang-up without waiting. */
bool gd_door_usable(struct gd_door *door);
/* Whether the socket still stands, for ending what was begun. */
bool gd_door_connected(struct gd_door *door);
int gd_door_require(struct gd_door *door); /* 0, or -1 with no_daemon set */
void gd_door_settle(struct gd_door *door); /* closes the socket if close() was called and nothing is held any more */
void gd_door_raise_no_room(void);          /* this process has as many descriptors as it may */
void gd_door_forget_mapping(struct gd_door *door, const uint8_t *uuid, uint64_t generation);

/* ---- request.c */
/* The parts of a Request, borrowed; NULL without an exception if it is none. */
PyObject *gd_request_parts(PyObject *request);
/* As its methods of these names; `number` modulo 2**32. */
PyObject *gd_request_head(PyObject *request, unsigned long number);
PyObject *gd_request_in_memory(PyObject *request, PyObject *where);

/* ---- reply.c */
/* The map of a message from the daemon, or NULL with an exception. */
PyObject *gd_message_decode(const void *data, size_t bytes);

/* ---- call.c */
extern PyTypeObject gd_call_line_type;
PyObject *gd_door_line(PyObject *self, PyObject *ignored);
void gd_call_forked(struct gd_link *link); /* system calls only */

/* ---- arguments.c */
/* The list of where the parts are now, or None: not now, not so many, or fewer than `least` bytes. NULL with an exception. */
PyObject *gd_arguments_put(struct gd_door *door, PyObject *parts, size_t least);
/* The request they were for is over. */
void gd_arguments_done(struct gd_door *door, bool answered);
PyObject *gd_door_put(PyObject *self, PyObject *parts);
PyObject *gd_door_put_done(PyObject *self, PyObject *answered);
void gd_arguments_drop(struct gd_door *door); /* system calls only */

/* ---- result.c */
extern PyTypeObject gd_result_type;
PyObject *gd_result_fetch(struct gd_door *door, uint64_t number, uint64_t bytes);
void gd_results_drop_kept(struct gd_door *door); /* system calls only */
void gd_result_forked(struct gd_link *link);
void gd_result_leave_door(struct gd_link *link, const struct gd_door *door);

/* ---- segment.c */
struct gd_map {
    uint8_t *base;
    size_t bytes;
};
/* Maps a whole segment and copies its checked head. On failure -1 with corrupt_data (or no memory) set. The descriptor stays open. */
int gd_segment_map(int fd, uint32_t role, bool writable, const uint8_t *uuid, uint64_t generation, struct gd_map *out,
                   struct gd_segment_head *head);
void gd_segment_unmap(struct gd_map *map);
size_t gd_array_bytes(const struct gd_segment_head *head, int which); /* of the numbers, without padding */
size_t gd_energies_length(const struct gd_segment_head *head);

struct gd_mapping;

/* A mapping of some pages of one array that is not the persistent one: private (mode "c") or for the time of a lease ("r+"). The base
 * object of its arrays. */
struct gd_block {
    PyObject_HEAD PyObject *owner; /* keeps the Mapping, or a pin, alive; NULL for the blocks of a lease, which the Mapping itself keeps */
    uint8_t *base;
    size_t bytes;
    uint8_t *data; /* first byte of the array */
};
extern PyTypeObject gd_block_type;
struct gd_block *gd_block_create(PyObject *owner, int fd, uint64_t offset, size_t bytes, bool shared);

/* ---- mapping.c */
struct gd_mapping {
    PyObject_HEAD struct gd_link link;
    PyObject *weakrefs;
    struct gd_door *door;
    PyObject *name;
    struct gd_segment_head head; /* checked copy */
    int live_fd;                 /* read-only */
    struct gd_map live_map;
    const struct gd_live_header *live;
    PyArray_Descr *descr[GD_ARRAY_COUNT];
    npy_intp dims[GD_ARRAY_COUNT][2];
    int ndim[GD_ARRAY_COUNT];

    int frames_fd; /* -1: not mapped yet */
    struct gd_map frames_map;
    const struct gd_frames_header *frames;
    uint32_t ring_id, num_slots;
    uint64_t slot_offset, slot_stride;
    uint64_t frame_offset[GD_ARRAY_COUNT];

    int write_fd; /* -1: never edited */
    struct gd_map write_map, undo_map;
    struct gd_live_header *write;
    uint64_t undo_offset[GD_ARRAY_COUNT];

    unsigned publishes; /* commits with a frame through this mapping */

    /* the lease, as this process sees it */
    bool held;             /* by a thread of this process: the in-process lock */
    bool owned;            /* and the word was ours */
    unsigned long holder;  /* that thread */
    unsigned lease_number; /* counts the leases of this process */
    struct gd_waiter *first, *last;
    bool touching;       /* a thread keeps or overwrites an array without the GIL, or ends the edit; the others wait, also to end it */
    uint32_t dirty;      /* as stored in the segment */
    uint32_t kept_undo;  /* arrays whose old content stands in the undo segment */
    uint32_t kept_frame; /* ... in the newest frame, which does not change under the lease */
    uint32_t handed;     /* arrays handed out as "r+" in this lease */
    struct gd_block *edit_block[GD_ARRAY_COUNT];
};
extern PyTypeObject gd_mapping_type;
#define GD_MAPPING_OF(link_) ((struct gd_mapping *)((char *)(link_)-offsetof(struct gd_mapping, link)))
#define GD_DOOR_OF(link_) ((struct gd_door *)((char *)(link_)-offsetof(struct gd_door, link)))

PyObject *gd_mapping_open(struct gd_door *door, const char *name, const uint8_t *uuid, uint64_t generation, uint32_t flags);
/* Makes a State; the fields as in the request of that name, name or NULL. */
PyObject *gd_mapping_create_state(struct gd_door *door, const char *name, uint64_t num_atoms, const uint32_t more[3], uint32_t flags);
/* 0, or -1 with an exception set. Both release the GIL. */
int gd_mapping_open_frames(struct gd_mapping *mapping);
int gd_mapping_open_write(struct gd_mapping *mapping);
int gd_mapping_need_masses(struct gd_mapping *mapping); /* before anything looks at them: a new State's are not written yet */
/* A fresh array; mode 'r' or 'c'; base and data as given. */
PyObject *gd_mapping_view(struct gd_mapping *mapping, int which, void *data, bool writable, PyObject *base);
PyObject *gd_mapping_array(struct gd_mapping *mapping, int which, int mode);
int gd_mode_parse(PyObject *object);               /* 'r', 'c', '+', or -1 with an exception set */
int gd_publish_parse(PyObject *object, void *out); /* True or False into a bool: 1, or 0 with an exception set; as PyArg_Parse wants it */
int gd_which_check(long which);                    /* 0, or -1 with an exception set */
const char *gd_array_name(int which);
PyObject *gd_box_tuple(const struct gd_box *box);

static inline const void *gd_live_array(const struct gd_mapping *mapping, int which)
{
    return mapping->live_map.base + mapping->head.array_offset[which];
}

/* ---- wait.c */
#define GD_WAIT_SLICE_NS 100000000 /* how long Python may not see a signal */
int64_t gd_now_ns(void);
/* None or absent: -1 (for ever); else nanoseconds, not negative. 0, or -1 with an exception set. */
int gd_timeout_parse(PyObject *object, int64_t *out);
/* When a wait that begins now ends; INT64_MAX for ever. */
int64_t gd_deadline(int64_t timeout_ns);
/* Sleeps while *word == value, at most until the deadline and at most one slice; releases the GIL; then looks at signals. Woken
 * by wakes without bits and by those with one of `bits`. 0, or -1 with the handler's exception set. */
#define GD_WAIT_ANY UINT32_MAX
int gd_wait_word(const _Atomic uint32_t *word, uint32_t value, uint32_t bits, int64_t deadline);
void gd_wake_word(_Atomic uint32_t *word);
int gd_raise_ended(const struct gd_mapping *mapping, uint32_t flags); /* stale_generation or state_deleted; -1 */
PyObject *gd_mapping_wait(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *gd_mapping_wait_frame(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *gd_mapping_next_frame(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* ---- pins.c */
/* Pins a frame of a mapped ring; *sequence 0: the newest. Returns the slot and sets *entry and *sequence, or -1 with an exception set. */
int gd_pin_take(struct gd_mapping *mapping, uint64_t *sequence, uint32_t *entry);
void gd_pin_drop(struct gd_door *door, uint32_t entry);
uint64_t gd_newest_sequence(const struct gd_mapping *mapping);
const struct gd_frame_header *gd_slot(const struct gd_mapping *mapping, uint32_t slot);

extern PyTypeObject gd_frame_type, gd_frame_hold_type;
extern PyTypeObject *gd_frame_class; /* what snapshot() makes */
PyObject *gd_frame_create(struct gd_mapping *mapping, uint64_t sequence);

/* ---- lease.c; deadline as from gd_deadline. All return 0 or -1 with an exception set. */
int gd_lease_acquire(struct gd_mapping *mapping, int64_t timeout_ns);
int gd_lease_release(struct gd_mapping *mapping);
int gd_lease_commit(struct gd_mapping *mapping, bool publish, uint64_t *version, uint64_t *sequence);
int gd_lease_rollback(struct gd_mapping *mapping);
bool gd_lease_mine(const struct gd_mapping *mapping);   /* held by the calling thread */
int gd_lease_require(const struct gd_mapping *mapping); /* held in this process and not lost */
int gd_lease_touch_small(struct gd_mapping *mapping);
/* Before and after an array is overwritten as a whole, whether under the GIL or not; in between nothing of Python's runs. Begin marks the
 * array and says where its old content is; after GD_TOUCHED the caller may not write what it has not checked. End with good = false puts
 * the content back and takes the mark back. */
enum gd_old_content { GD_TOUCHED, GD_IN_FRAME, GD_KEPT_ON_THE_WAY };
int gd_lease_overwrite_begin(struct gd_mapping *mapping, int which); /* or -1 with an exception set */
void gd_lease_overwrite_end(struct gd_mapping *mapping, int which, enum gd_old_content old, bool good);
PyObject *gd_lease_array(struct gd_mapping *mapping, int which);
void gd_lease_forked(struct gd_mapping *mapping); /* in a child, between fork and anything else: system calls only */

extern PyTypeObject gd_edit_type;
extern PyTypeObject *gd_edit_class; /* what edit() makes */
PyObject *gd_edit_create(struct gd_mapping *mapping, PyObject *state, int64_t timeout_ns, bool publish);

/* ---- assign.c */
/* The object as an array that is C-contiguous, float32 or float64 and of the right shape; NULL with an exception set. The store checks
 * and copies it into the State under the lease; a number that is not finite or does not fit leaves the array as it was. */
PyObject *gd_assign_prepare(struct gd_mapping *mapping, int which, PyObject *object);
int gd_assign_store(struct gd_mapping *mapping, int which, PyObject *prepared);
/* 0 when every number of a live array is finite, and of masses above zero; else -1 with an exception set. Releases the GIL when the array is long. */
int gd_assign_check(const struct gd_mapping *mapping, int which);
/* A copy that releases the GIL when it is long. */
void gd_copy_bytes(void *out, const void *in, size_t bytes);
int gd_assign(struct gd_mapping *mapping, int which, PyObject *object, bool publish, int64_t timeout_ns, uint64_t *version);
#define GD_LONG_COPY ((size_t)65536) /* bytes from which on other threads may run meanwhile */

/* ---- state_base.c */
extern PyTypeObject gd_state_base_type;
/* Calls state._remap() and returns the Mapping bound then; borrowed; NULL with an exception set. */
struct gd_mapping *gd_state_remap(PyObject *state);

#endif
