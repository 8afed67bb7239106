/* What happens to States, told to every session that asked: made, renamed, deleted, an edit undone, a lease lost. Loop thread only.
 *
 * Nobody waits for a listener: an event that its connection does not take is counted, and the next one that goes out says how many are
 * missing. */
#ifndef GD_SERVICE_EVENTS_H
#define GD_SERVICE_EVENTS_H

#include <stdint.h>

struct gd_reply;
struct gd_service;
struct gd_session;
struct gd_state;

struct gd_state_event {
    const char *what; /* one of proto/events.toml */
    uint32_t session; /* whose doing or whose loss it was; 0: nobody's */
    const char *text; /* for people */
};

/* Tells the listeners, and those who subscribe to the State's frames. */
void gd_events_tell(struct gd_service *service, const struct gd_state *state, const struct gd_state_event *event);

/* The fields of one event message. */
void gd_events_pack(struct gd_reply *out, uint64_t subscription, const struct gd_state *state, const struct gd_state_event *event,
                    uint64_t missed);

void gd_events_forget(struct gd_service *service, const struct gd_session *session); /* NULL: everybody, at the end */

#endif
