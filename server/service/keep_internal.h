/* What keep.c (telling the holder, and life) and keep_adopt.c (taking up what it gives back) share. */
#ifndef GD_SERVICE_KEEP_INTERNAL_H
#define GD_SERVICE_KEEP_INTERNAL_H

#include "core/segment.h"
#include "service/keep.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define GD_KEEP_NAME 40
#define GD_KEEP_QUEUE 4096

enum gd_keep_role {
    GD_KEEP_KEPT,
    GD_KEEP_LIVE,
    GD_KEEP_UNDO,
    GD_KEEP_FRAMES,
    GD_KEEP_COUNTERS,
    GD_KEEP_LOCK,
    GD_KEEP_RUN,
    GD_KEEP_JOB,
    GD_KEEP_ENGINE,
    GD_KEEP_ROLES
};

#define GD_KEEP_NO_STATE 0u /* the place of what belongs to the daemon: counters, lock, jobs */

/* A descriptor that came back at the start. */
struct gd_survivor {
    int fd;         /* -1: taken */
    uint32_t place; /* the State's, or GD_KEEP_NO_STATE */
    enum gd_keep_role role;
    uint64_t number;
    char name[GD_KEEP_NAME];
};

/* A message that waits; fd is a duplicate of its own, or -1. */
struct gd_keep_pending {
    int fd;
    char text[GD_KEEP_NAME + 64];
};

struct gd_keep {
    struct gd_service *service;
    int socket; /* -1: no holder */
    int lost;   /* the holder is gone */
    uint64_t looked_ns;
    struct sockaddr_un holder;
    socklen_t holder_bytes;
    struct gd_keep_pending queue[GD_KEEP_QUEUE];
    size_t first, count;
    int overflowed;
    size_t num_names, name_bytes; /* of what it was given, also of what did not fit */
    size_t max_names;             /* as the holder says */
    uint32_t last_place;
    struct gd_survivor *survivors;
    size_t num_survivors;
    struct gd_segment counters;
};

/* A run's state in a segment; the engine's bytes carry a checksum of their own. */
struct gd_kept_run {
    struct gd_segment_head head;
    uint64_t version, fingerprint, bytes;
};
#define GD_KEEP_RUN_OFFSET 256u
_Static_assert(sizeof(struct gd_kept_run) <= GD_KEEP_RUN_OFFSET, "the head fits before the data");

/* Has the holder keep a descriptor under a name, or let it go. */
void gd_keep_store(struct gd_keep *keep, uint32_t place, enum gd_keep_role role, uint64_t number, int fd);
void gd_keep_drop(struct gd_keep *keep, uint32_t place, enum gd_keep_role role, uint64_t number);
void gd_keep_drop_name(struct gd_keep *keep, const char *name);

#endif
