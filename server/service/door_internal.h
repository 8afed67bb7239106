/* What the door's files share: a peer, and how it is answered. door.c has the connections, door_segments.c what gives a peer memory,
 * door_calls.c connections for commands, door_leases.c what it may do with a State's lease. Loop thread. */
#ifndef GD_SERVICE_DOOR_INTERNAL_H
#define GD_SERVICE_DOOR_INTERNAL_H

#include "proto/gd_door.h"
#include "service/creating.h"
#include "service/door.h"
#include "service/edit.h"
#include "service/service.h"
#include "service/session.h"

#include <uv.h>

#define GD_DOOR_PEER_MAGIC 0xd00d0002u
#define GD_DOOR_MOST_FDS 3

struct gd_lease_wait;

struct gd_door_peer {
    uint32_t magic;
    struct gd_door *door;
    struct gd_door_peer *next, *previous;
    int fd;
    uv_poll_t poll;
    struct gd_session *session; /* NULL before HELLO */
    struct gd_lease_wait *waits;
    struct gd_door_reply reply; /* being made, or waiting for a publish */
    int busy;                   /* what was asked for takes longer: the reply comes later, and nothing is read before */
    int paused;                 /* for that */
    int ended;
    struct gd_publish publish;
    uint32_t commit_flags;
    uint32_t commit_session;
    struct gd_creation creation;
    uv_work_t masses;
    struct gd_state *masses_of; /* holds a reference */
};

struct gd_door {
    uint32_t magic;
    struct gd_service *service;
    int fd;
    uv_poll_t poll;
    int open_handles; /* its own poll, those of its peers and of their connections for calls */
    int stopped;
    struct gd_door_peer *peers;
};

/* The reply that on_packet has begun: with descriptors, or as an error. A peer that does not take it is hung up on. */
void gd_door_send(struct gd_door_peer *peer, const struct gd_door_reply *reply, const int *fds, unsigned num_fds);
void gd_door_refuse(struct gd_door_peer *peer, const struct gd_err *err);

/* While work for a peer goes on elsewhere (busy), nothing is read from it, but a hang-up is noticed; reading goes on once the reply is sent. */
void gd_door_wait_for_work(struct gd_door_peer *peer);
void gd_door_work_is_done(struct gd_door_peer *peer);

void gd_door_hang_up(struct gd_door_peer *peer, const char *why);
/* The end of a peer that hung up while it was busy. */
void gd_door_close_handle(struct gd_door_peer *peer);

/* By uuid, or by name when that is zero. */
struct gd_state *gd_door_find_state(struct gd_door_peer *peer, const struct gd_door_request *request, struct gd_err *err);

/* door_segments.c */
void gd_door_on_open(struct gd_door_peer *peer, const struct gd_door_request *request);
void gd_door_on_create(struct gd_door_peer *peer, const struct gd_door_request *request);
void gd_door_on_result(struct gd_door_peer *peer, const struct gd_door_request *request);
void gd_door_on_arguments(struct gd_door_peer *peer, const struct gd_door_request *request);
/* Bytes of argument memory a session may have. */
size_t gd_door_most_arguments(const struct gd_service *service);

/* door_calls.c */
void gd_door_on_calls(struct gd_door_peer *peer);

/* door_leases.c */
void gd_door_on_lease(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request);
void gd_door_on_cancel(struct gd_door_peer *peer, struct gd_state *state);
void gd_door_on_commit(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request);
void gd_door_on_rollback(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request);
void gd_door_on_release(struct gd_door_peer *peer, struct gd_state *state, const struct gd_door_request *request);
/* Its places in queues, when it goes. */
void gd_door_cancel_waits(struct gd_door_peer *peer);

#endif
