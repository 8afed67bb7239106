/* A State made for a session that asks at the door: what the command state.create does, by the same steps. Loop thread; only the making
 * of a large State runs on a worker. */
#ifndef GD_SERVICE_CREATING_H
#define GD_SERVICE_CREATING_H

#include "core/err.h"
#include "core/state.h"
#include "proto/gd_door.h"

#include <stdint.h>
#include <uv.h>

struct gd_handle;
struct gd_service;
struct gd_session;

struct gd_creation {
    struct gd_service *service;
    struct gd_session *session; /* holds a reference meanwhile */
    struct gd_state_spec spec;
    char name[GD_DOOR_NAME]; /* empty: none */
    void (*done)(struct gd_creation *creation);

    struct gd_state *state; /* the result: registered, the registry's; NULL on failure */
    struct gd_handle *handle;
    int code;
    struct gd_err err;

    uint32_t ring_id;
    uint64_t started_ns;
    uv_work_t work;
};

/* service, session, spec, name and done are set. `done` is called on the loop thread, perhaps before this returns. */
void gd_create_state(struct gd_creation *creation);

#endif
