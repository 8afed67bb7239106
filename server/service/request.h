/* One request from its arrival to its reply.
 *
 *   router    takes the parts, makes the request                                           loop thread
 *   begin     decodes, finds session and command, checks role and arguments                 loop thread
 *   lease     where the command reads or changes a State's arrays: waits its turn           loop thread
 *   handler   inline, or on a worker when the State is large                                either
 *   commit    version + 1, a frame published (its copy on a worker when it is large)        either
 *   answer    packs the reply, gives it to the router, frees everything                     loop thread
 *
 * A handler that cannot answer yet (a wait, a queued lease) sets `deferred`, keeps the request, and calls
 * gd_request_answer() later. */
#ifndef GD_SERVICE_REQUEST_H
#define GD_SERVICE_REQUEST_H

#include "core/frames.h"
#include "core/lease.h"
#include "io/messages.h"
#include "service/codec.h"
#include "service/dispatch.h"
#include "service/edit.h"
#include "service/results.h"
#include "service/router.h"

#include <msgpack.h>
#include <stdint.h>
#include <uv.h>
#include <zmq.h>

struct gd_service;
struct gd_session;
struct gd_state;

#define GD_REQUEST_MAGIC 0x7265713au
#define GD_INLINE_ATOMS 200000u /* up to here a pass over a State is shorter than two changes of thread */

struct gd_request {
    uint32_t magic;
    struct gd_service *service;
    struct gd_request *next; /* in a list: free requests, a State's waiters, a session's waits */

    /* where it came from */
    struct gd_address from;
    struct gd_session *session; /* holds a reference; NULL before hello */

    /* what it says */
    msgpack_zone zone;
    zmq_msg_t map;
    zmq_msg_t parts[GD_PROTOCOL_MAX_PARTS];
    struct gd_parts raw;
    void *arguments; /* a copy of what lay in argument memory; raw refers to it */
    int in_place;    /* raw refers to the session's argument memory itself */
    uint64_t id;
    int has_id;
    const struct gd_command *command;
    struct gd_value args[GD_MAX_ARGS];

    /* what becomes of it */
    struct gd_state *state; /* the one named by `state`; holds a reference */
    struct gd_state *other; /* a second State named by an argument; holds a reference */
    struct gd_state *made;  /* a new State, to be registered on the loop thread */
    struct gd_lease_waiter waiter;
    int has_lease;
    int changed; /* a write command that changed something: commit, and publish if `publish` */
    int publish;
    uint64_t version;           /* after the commit */
    struct gd_edit_owner owner; /* hears of the lease */
    struct gd_publish publish_job;
    uv_work_t work;
    int threads; /* that the handler may use: those no job has; 1 on the loop thread */
    uint64_t deadline_ns, started_ns;
    int64_t wait_after;         /* state.wait */
    struct gd_frame_view frame; /* state.get: answered from this, without the lease, if has_frame */
    int has_frame;
    int deferred;
    int code;
    struct gd_err err;
    struct gd_messages faults; /* all that was wrong with a file, for the error's detail */
    struct gd_reply reply;
    struct gd_result_buffer result; /* a large result on its way to where it can be fetched */
    uint64_t result_number;         /* 0: none */
};

/* From the router: the request owns the messages in it from now on. */
struct gd_request *gd_request_new(struct gd_service *service);
void gd_request_begin(struct gd_request *request);

/* Packs and sends the reply (request->code and err, or request->reply), frees the request. Loop thread. */
void gd_request_answer(struct gd_request *request);

/* One more request in the statistics. */
void gd_request_count(struct gd_service *service, const struct gd_command *command, int code, uint64_t started_ns);

/* Shorthands for handlers. */
static inline const struct gd_value *gd_arg(const struct gd_request *request, unsigned index)
{
    return &request->args[index];
}

void gd_request_free_all(struct gd_service *service); /* the kept free ones, at the end */

/* Whether state.get can be answered from the newest frame; then request->frame is set. Loop thread. */
int gd_state_get_finds_frame(struct gd_request *request);

#endif
