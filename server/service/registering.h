/* A new State becomes known: quotas, registry, the maker's handle, its description. Loop thread. */
#ifndef GD_SERVICE_REGISTERING_H
#define GD_SERVICE_REGISTERING_H

#include "core/err.h"

#include <msgpack.h>

struct gd_handle;
struct gd_request;
struct gd_service;
struct gd_session;
struct gd_state;
struct gd_state_spec;

/* Before anything is made: whether the spec is possible, and name, quotas and memory allow it. Any of these three may be missing later
 * all the same; this is to fail early. name may be NULL. */
int gd_register_check(const struct gd_service *service, struct gd_session *session, const struct gd_state_spec *spec, const char *name,
                      struct gd_err *err);

/* A State that this session has made; it gets a handle on it. On failure nothing knows the State. */
int gd_register_state(struct gd_service *service, struct gd_session *session, struct gd_state *state, struct gd_handle **handle,
                      struct gd_err *err);

/* gd_register_check for the command at hand (state.create, state.clone); other commands pass. */
int gd_register_check_request(struct gd_request *request, struct gd_err *err);

/* A State as a map, and its fields alone: GD_STATE_FIELDS names and values. */
#define GD_STATE_FIELDS 22u
void gd_pack_state(msgpack_packer *packer, const struct gd_state *state, uint64_t now_ns);
void gd_pack_state_fields(msgpack_packer *packer, const struct gd_state *state, uint64_t now_ns);

/* Ends a State: its name is free at once, waiters are told, mapped arrays stay. */
void gd_unregister_state(struct gd_service *service, struct gd_state *state, const char *why);

#endif
