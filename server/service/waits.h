/* Who waits for something to happen to a State without sleeping on its futex: requests `state.wait`, and frame subscriptions
 * of remote sessions. Loop thread only. */
#ifndef GD_SERVICE_WAITS_H
#define GD_SERVICE_WAITS_H

#include <stdint.h>

struct gd_request;
struct gd_service;
struct gd_session;
struct gd_state;
struct gd_state_event;

/* Keeps a state.wait request until the State's version is above `after`, it is deleted, or the deadline has passed. */
void gd_waits_add(struct gd_request *request, int64_t after);
void gd_waits_version(struct gd_service *service, struct gd_state *state); /* a commit */
void gd_waits_deleted(struct gd_service *service, struct gd_state *state);
void gd_waits_tick(struct gd_service *service, uint64_t now_ns);
void gd_waits_forget(struct gd_service *service, const struct gd_session *session); /* NULL: everybody, at the end */

/* A new frame stands in the ring: it is sent to the subscribers that have credit. */
void gd_subscriptions_frame(struct gd_service *service, struct gd_state *state);
/* Tells the subscribers of this State what happened to it; events.h is what others call. */
void gd_subscriptions_event(struct gd_service *service, const struct gd_state *state, const struct gd_state_event *what);
void gd_subscriptions_forget(struct gd_service *service, const struct gd_session *session);
void gd_subscriptions_deleted(struct gd_service *service, const struct gd_state *state);

#endif
