#include "service/remote_leases.h"

#include "core/check.h"
#include "core/log.h"
#include "core/state.h"
#include "service/edit.h"
#include "service/events.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/service.h"
#include "service/session.h"

#include <stdlib.h>
#include <string.h>

struct gd_remote_lease {
    uint8_t uuid[16];
    uint32_t session;
    uint64_t fence, ends_ns;
};

static struct gd_remote_lease *find(struct gd_service *service, const uint8_t uuid[16])
{
    return gd_table_get(&service->remote_leases, uuid, 16);
}

int gd_remote_lease_check(struct gd_request *request, uint64_t fence, struct gd_err *err)
{
    struct gd_remote_lease *lease = find(request->service, request->state->uuid);
    if (lease != NULL && lease->fence == fence && lease->session == request->session->number)
        return 0;
    return gd_err_set(err, GD_E_LEASE_LOST, "fencing number %llu is not that of the present lease: it expired or was given back",
                      (unsigned long long)fence);
}

void gd_remote_lease_done(struct gd_service *service, const uint8_t uuid[16])
{
    free(gd_table_remove(&service->remote_leases, uuid, 16));
}

void gd_remote_leases_free(struct gd_service *service)
{
    size_t cursor = 0;
    struct gd_remote_lease *lease;
    while ((lease = gd_table_next(&service->remote_leases, &cursor)) != NULL)
        gd_remote_lease_done(service, lease->uuid);
    gd_table_free(&service->remote_leases);
}

void gd_remote_leases_tick(struct gd_service *service, uint64_t now_ns)
{
    size_t cursor = 0;
    struct gd_remote_lease *lease;
    while ((lease = gd_table_next(&service->remote_leases, &cursor)) != NULL) {
        struct gd_state *state = gd_registry_find_uuid(&service->registry, lease->uuid, NULL);
        int held = state != NULL && gd_lease_is_held_by(&state->lease, gd_state_header(state), lease->session);
        if (held && lease->ends_ns > now_ns)
            continue;
        uint32_t session = lease->session;
        gd_remote_lease_done(service, lease->uuid);
        if (held) {
            gd_log_warn("lease", "the lease of remote session %u expired", session);
            gd_events_tell(service, state, &(struct gd_state_event){"lease_lost", session, "it expired"});
            gd_edit_release(service, state, session);
        }
    }
}

/* ---- state.lease and state.release ---- */

static int grant(struct gd_request *request, struct gd_err *err)
{
    struct gd_service *service = request->service;
    struct gd_remote_lease *lease = calloc(1, sizeof *lease);
    gd_remote_lease_done(service, request->state->uuid);
    if (lease == NULL || gd_table_put(&service->remote_leases, request->state->uuid, 16, lease) != 0) {
        free(lease);
        gd_edit_release(service, request->state, request->session->number);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a lease");
    }
    memcpy(lease->uuid, request->state->uuid, 16);
    lease->session = request->session->number;
    lease->fence = ++service->next_fence;
    gd_keep_counters(service->keep);
    lease->ends_ns = gd_now_ns() + (uint64_t)(gd_arg(request, GD_STATE_LEASE_TTL)->real * 1e9);
    gd_reply_int(&request->reply, "fence", (int64_t)lease->fence);
    gd_reply_int(&request->reply, "version", (int64_t)gd_state_version(request->state));
    return 0;
}

static struct gd_request *request_of(struct gd_edit_owner *owner)
{
    struct gd_request *request = (struct gd_request *)((char *)owner - offsetof(struct gd_request, owner));
    GD_MAGIC_CHECK(request, GD_REQUEST_MAGIC);
    return request;
}

static void on_granted(struct gd_edit_owner *owner)
{
    struct gd_request *request = request_of(owner);
    request->code = grant(request, &request->err);
    gd_request_answer(request);
}

static void on_dropped(struct gd_edit_owner *owner, int code)
{
    struct gd_request *request = request_of(owner);
    request->code = gd_err_set(&request->err, code,
                               code == GD_E_STATE_DELETED ? "the State was deleted while the request waited for its lease"
                                                          : "somebody else held the State's write lease for the whole "
                                                            "waiting time");
    gd_request_answer(request);
}

int gd_cmd_state_lease(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *state = request->state;
    struct gd_live_header *live = gd_state_header(state);
    if (request->session->local)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a local session takes the lease through shared memory and the door");
    if (gd_lease_is_held_by(&state->lease, live, request->session->number))
        return gd_err_set(err, GD_E_CONFLICT, "this session holds the State's write lease already");
    int code = gd_session_open_state(request->service, request->session, state, NULL, err);
    if (code != 0)
        return code;
    request->owner = (struct gd_edit_owner){on_granted, on_dropped};
    request->waiter = (struct gd_lease_waiter){
        .session = request->session->number,
        .managed = 1,
        .deadline = request->started_ns + (uint64_t)(gd_arg(request, GD_STATE_LEASE_TIMEOUT)->real * 1e9),
        .owner = &request->owner,
    };
    code = gd_lease_request(&state->lease, live, &request->waiter, request->started_ns, err);
    if (code == GD_LEASE_GRANTED)
        return grant(request, err);
    if (code == GD_LEASE_QUEUED) {
        request->deferred = 1;
        gd_jobs_nudge(request->service->jobs, state, GD_NUDGE_USE);
    }
    return code < 0 ? code : 0;
}

int gd_cmd_state_release(struct gd_request *request, struct gd_err *err)
{
    int code = gd_remote_lease_check(request, (uint64_t)gd_arg(request, GD_STATE_RELEASE_FENCE)->integer, err);
    if (code != 0)
        return code;
    gd_remote_lease_done(request->service, request->state->uuid);
    gd_edit_release(request->service, request->state, request->session->number);
    return 0;
}
