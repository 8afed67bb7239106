/* Leases of remote sessions. The daemon holds the word for them; a fencing number says which grant a commit belongs to, and
 * each ends by itself. Loop thread only. */
#ifndef GD_SERVICE_REMOTE_LEASES_H
#define GD_SERVICE_REMOTE_LEASES_H

#include "core/err.h"

#include <stdint.h>

struct gd_request;
struct gd_service;
struct gd_session;

/* For state.set with a fence: whether the request's session holds the State's lease under this number. */
int gd_remote_lease_check(struct gd_request *request, uint64_t fence, struct gd_err *err);
/* The lease was given back (with a commit or without). */
void gd_remote_lease_done(struct gd_service *service, const uint8_t uuid[16]);
void gd_remote_leases_tick(struct gd_service *service, uint64_t now_ns);
void gd_remote_leases_free(struct gd_service *service);

#endif
