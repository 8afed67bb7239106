/* The door: see proto/gd_door.h for its protocol. Loop thread only. */
#ifndef GD_SERVICE_DOOR_H
#define GD_SERVICE_DOOR_H

#include "core/err.h"

struct gd_door;
struct gd_service;
struct gd_session;

int gd_door_create(struct gd_door **out, struct gd_service *service, const char *path, struct gd_err *err);
/* No new peers; present ones are hung up on. gd_door_free() after the loop has run the close callbacks. */
void gd_door_stop(struct gd_door *door);
void gd_door_free(struct gd_door **door);

/* The session ended for another reason than a hang-up: its peer is hung up on. */
void gd_door_forget(struct gd_session *session);

#endif
