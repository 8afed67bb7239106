/* The door: an AF_UNIX SOCK_SEQPACKET socket beside the daemon's ZeroMQ endpoint, through which local processes get
 * segments. One packet per message, fixed structures, descriptors by SCM_RIGHTS from the daemon only.
 *
 *   client                              daemon
 *   GD_DOOR_HELLO  protocol, version -> <- session number, token, lifetime limits      + control block (read-write)
 *   GD_DOOR_OPEN   name or uuid,     -> <- uuid, name, generation                      + the segments asked for, in the order
 *                  wanted segments                                                        live, frames, undo
 *   GD_DOOR_CREATE number of atoms,  -> <- uuid, name, generation: what state.create    + live, for readers
 *                  name, the rest         does, with the same limits and errors
 *   GD_DOOR_RESULT number            -> <- where it may come again (gd_result_place)    + the segment with a large result
 *   GD_DOOR_ARGUMENTS bytes          -> <- number                                      + memory (read-write) for the arrays of one
 *                                                                                         request at a time; the last one ends
 *   GD_DOOR_CALLS                    -> <-                                             + a connection of the session's own for
 *                                                                                         commands (proto/gd_call.h)
 *   GD_DOOR_LEASE  uuid, generation  -> <- code 0: granted; GD_DOOR_QUEUED: sleep on the lease word until it holds
 *                                          the session's number (the daemon wakes it)
 *   GD_DOOR_CANCEL uuid              -> <- takes the session out of the queue; GD_DOOR_GRANTED if it came first
 *   GD_DOOR_COMMIT uuid, flags       -> <- version, sequence: makes the edit one step, publishes if asked, releases if asked
 *   GD_DOOR_ROLLBACK uuid            -> <- puts back what was there at the grant, releases
 *   GD_DOOR_RELEASE uuid                (no reply) a contended lease is given back, nothing was changed since the commit
 *   GD_DOOR_CLOSE  uuid                 (no reply) the last mapping of this State in this process is gone
 * Every request with a reply is answered in order. A hang-up ends the session: pins, leases and handles go.
 */
#ifndef GD_PROTO_DOOR_H
#define GD_PROTO_DOOR_H

#include "proto/gd_types.h"

#include <stdint.h>

#define GD_DOOR_MAGIC 0x44474f52u
#define GD_DOOR_NAME 128 /* State names: 1 to 127 bytes */
#define GD_DOOR_TEXT 512
#define GD_TOKEN_BYTES 32

enum gd_door_op {
    GD_DOOR_HELLO = 1,
    GD_DOOR_OPEN = 2,
    GD_DOOR_RESULT = 3,
    GD_DOOR_LEASE = 4,
    GD_DOOR_CANCEL = 5,
    GD_DOOR_COMMIT = 6,
    GD_DOOR_ROLLBACK = 7,
    GD_DOOR_RELEASE = 8,
    GD_DOOR_CLOSE = 9,
    GD_DOOR_ARGUMENTS = 10,
    GD_DOOR_CREATE = 11,
    GD_DOOR_CALLS = 12,
};

#define GD_DOOR_QUEUED 1 /* positive: not an error */
#define GD_DOOR_GRANTED 2

/* GD_DOOR_OPEN flags: which segments */
#define GD_OPEN_LIVE 1u
#define GD_OPEN_LIVE_WRITE 2u /* live read-write and undo, for edits */
#define GD_OPEN_FRAMES 4u     /* publishes the present commit if there is no frame yet */
#define GD_OPEN_MASSES 8u     /* no segment: a new State's masses become 1 u, which costs nothing until somebody looks at them */

/* GD_DOOR_CREATE flags */
#define GD_CREATE_FLOAT64 1u
#define GD_CREATE_FRAME_FORCES 2u

/* GD_DOOR_COMMIT flags */
#define GD_COMMIT_PUBLISH 1u
#define GD_COMMIT_RELEASE 2u

struct gd_door_request {
    uint32_t magic;
    uint32_t op;
    uint32_t protocol; /* GD_PROTOCOL_VERSION */
    uint32_t flags;
    uint8_t uuid[16];        /* zero: use the name */
    char name[GD_DOOR_NAME]; /* NUL-terminated; in HELLO the client's package version */
    uint64_t number;         /* OPEN, LEASE: generation or 0; RESULT: the result's number; ARGUMENTS: bytes; CREATE: atoms */
    uint32_t more[3];        /* CREATE: temperature groups, energy groups, slots (0: chosen by size) */
    uint32_t reserved[3];
};
_Static_assert(sizeof(struct gd_door_request) == 192, "gd_door_request is on the wire");

struct gd_door_reply {
    uint32_t magic;
    uint32_t op;
    int32_t code; /* 0, positive GD_DOOR_*, or a negative GD_E_* with text */
    uint32_t num_fds;
    uint32_t protocol;
    uint32_t session; /* HELLO: session number */
    uint8_t uuid[16];
    char name[GD_DOOR_NAME]; /* HELLO: the daemon's version; OPEN, CREATE: the State's name, empty if it has none */
    uint64_t generation;
    uint64_t number[4];            /* COMMIT: version, sequence; RESULT: bytes, place + 1 or 0; HELLO: largest pins, lease limit in ms,
                           * most bytes of arguments in memory; ARGUMENTS: bytes, number */
    uint8_t token[GD_TOKEN_BYTES]; /* HELLO: to present in `hello` over ZeroMQ */
    char text[GD_DOOR_TEXT];
};
_Static_assert(sizeof(struct gd_door_reply) == 24 + 16 + 128 + 8 + 32 + 32 + 512, "gd_door_reply is on the wire");

#endif
