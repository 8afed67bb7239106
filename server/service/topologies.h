/* Topologies clients have handed over, by number. Loop thread only. */
#ifndef GD_SERVICE_TOPOLOGIES_H
#define GD_SERVICE_TOPOLOGIES_H

#include "core/err.h"
#include "core/topology.h"

#include <stdint.h>

struct gd_service;
struct gd_session;

/* Keeps it for the session (consumed on success), and a copy of the text it was read from. GD_E_QUOTA_EXCEEDED, GD_E_OUT_OF_MEMORY. */
int gd_topologies_add(struct gd_service *service, const struct gd_session *session, struct gd_topology *topology, const void *text,
                      size_t bytes, uint64_t *number, struct gd_err *err);

/* The text of one that was found; borrowed. */
const void *gd_topologies_text(struct gd_service *service, uint64_t number, size_t *bytes);

/* Borrowed, not expanded; NULL with GD_E_NOT_FOUND when the session has none of this number. */
const struct gd_topology *gd_topologies_find(struct gd_service *service, const struct gd_session *session, uint64_t number,
                                             struct gd_err *err);
void gd_topologies_drop(struct gd_service *service, uint64_t number);
void gd_topologies_forget(struct gd_service *service, const struct gd_session *session); /* NULL: all */

/* A copy with as many solvent molecules as make it num_atoms atoms. GD_E_INVALID_SHAPE when no number does. */
int gd_topologies_expand(struct gd_topology **out, const struct gd_topology *topology, int npm, size_t num_atoms, struct gd_err *err);

#endif
