/* Sessions: one client process or remote notebook, with its rights, handles and limits. Loop thread only. */
#ifndef GD_SERVICE_SESSION_H
#define GD_SERVICE_SESSION_H

#include "core/segment.h"
#include "core/table.h"
#include "proto/gd_door.h"
#include "service/dispatch.h"
#include "service/result_pool.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gd_charge;
struct gd_charge_share;
struct gd_service;
struct gd_state;
struct gd_call_line;
struct gd_door_peer;

/* A State this session has open. */
struct gd_handle {
    struct gd_state *state;         /* holds a reference */
    uint64_t generation;            /* of the segments it was given last */
    struct gd_charge_share *shares; /* of the memory of every generation it was given */
    int has_live_write;
    int has_frames;
};

/* One ZeroMQ connection that said hello for this session. */
struct gd_connection {
    struct gd_connection *next;
    size_t key_bytes;
    unsigned char key[257]; /* router index, routing id */
};

struct gd_session {
    uint32_t magic;
    unsigned refs; /* the service's own, and one per request */
    int ended;
    uint32_t number; /* from 2; the lease word's holder */
    uint8_t token[GD_TOKEN_BYTES];
    int local;
    uid_t uid;
    pid_t pid; /* for lists only, never trusted */
    enum gd_role role;
    char user[64], client[64];
    uint64_t created_ns, seen_ns;

    struct gd_door_peer *peer;       /* local: its door connection */
    struct gd_call_line *call_lines; /* local: its connections for calls */
    size_t num_call_lines;
    struct gd_segment control;     /* local: its control block, which it writes and the daemon reads */
    struct gd_result_pool results; /* local: segments of large results */
    struct gd_segment arguments;   /* local: it writes arrays of requests there; fd -1: none */
    uint64_t arguments_number;     /* of that memory */
    size_t arguments_read;         /* requests that read it where it is: it must stay */
    struct gd_table handles;       /* uuid -> gd_handle */
    struct gd_connection *connections;
    size_t in_flight;
    size_t num_subscriptions;
    size_t made_states;
    _Atomic size_t made_bytes;   /* charged to this session: of States it made (charges.h) */
    _Atomic size_t result_bytes; /* and of segments of results that are used once, until they are fetched */
    struct gd_charge *charges;   /* charges.h */
};

/* Local sessions come from the door, remote ones from a first hello. The service keeps it until gd_session_end. */
int gd_session_create(struct gd_service *service, int local, uid_t uid, enum gd_role role, const char *user, struct gd_session **out,
                      struct gd_err *err);

/* Ends it: handles closed, leases rolled back, pins dropped, subscriptions ended. Memory goes with the last reference. */
void gd_session_end(struct gd_service *service, struct gd_session *session, const char *why);

void gd_session_ref(struct gd_session *session);
void gd_session_unref(struct gd_session **session);

/* By token (constant-time compare), by number, by connection. NULL when there is none. */
struct gd_session *gd_session_by_token(struct gd_service *service, const void *token, size_t bytes);
struct gd_session *gd_session_by_number(struct gd_service *service, uint32_t number);
struct gd_session *gd_session_by_connection(struct gd_service *service, const void *key, size_t bytes);

/* Binds a ZeroMQ connection to the session, away from another if it belonged to one. */
int gd_session_join(struct gd_service *service, struct gd_session *session, const void *key, size_t bytes, struct gd_err *err);

/* Takes or finds a handle; gives one back. */
int gd_session_open_state(struct gd_service *service, struct gd_session *session, struct gd_state *state, struct gd_handle **out,
                          struct gd_err *err);
void gd_session_close_state(struct gd_service *service, struct gd_session *session, struct gd_state *state);
struct gd_handle *gd_session_handle(struct gd_session *session, const struct gd_state *state);

/* Bytes the session is charged for: States, and results it has not returned. Any thread. */
size_t gd_session_bytes(struct gd_session *session);

/* Pins the control block names now (bounded by GD_MAX_PINS). */
size_t gd_session_pins(const struct gd_session *session);

#endif
