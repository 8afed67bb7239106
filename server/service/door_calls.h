/* Calls at the door, as the rest of the service sees them: a request knows its line, and is answered there. Loop thread. */
#ifndef GD_SERVICE_DOOR_CALLS_H
#define GD_SERVICE_DOOR_CALLS_H

#include "service/codec.h"

struct gd_call_line;
struct gd_session;

/* Whose it is; NULL when that session has ended. */
struct gd_session *gd_door_call_session(const struct gd_call_line *line);

/* Sends the reply, unless the line is gone, and lets go of the line: once for each request that came from it. reply may be NULL. */
void gd_door_call_answer(struct gd_call_line *line, uint64_t id, const msgpack_sbuffer *map, const struct gd_reply *reply);

/* Ends a session's lines. */
void gd_door_calls_forget(struct gd_session *session);

#endif
