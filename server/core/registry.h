/* Which States there are, by uuid and by name. Loop thread only. */
#ifndef GD_CORE_REGISTRY_H
#define GD_CORE_REGISTRY_H

#include "core/err.h"
#include "core/state.h"
#include "core/table.h"

struct gd_registry {
    struct gd_table by_uuid, by_name;
    size_t named;
    _Atomic uint32_t next_ring_id;
};

void gd_registry_init(struct gd_registry *registry);
/* Lets go of every State. */
void gd_registry_free(struct gd_registry *registry);

/* A ring number nobody had before. Any thread. */
uint32_t gd_registry_ring_id(struct gd_registry *registry);

/* Takes a reference. GD_E_NAME_TAKEN, GD_E_OUT_OF_MEMORY. */
int gd_registry_add(struct gd_registry *registry, struct gd_state *state, struct gd_err *err);

/* Takes the State out (its name is free at once), marks it deleted, gives the registry's reference back. */
void gd_registry_remove(struct gd_registry *registry, struct gd_state *state);

/* By name first, then as a uuid in text form; NULL with GD_E_NOT_FOUND that lists a few names that exist. */
struct gd_state *gd_registry_find(struct gd_registry *registry, const char *name, struct gd_err *err);
struct gd_state *gd_registry_find_uuid(struct gd_registry *registry, const uint8_t uuid[16], struct gd_err *err);

/* The empty name takes the name away. */
int gd_registry_rename(struct gd_registry *registry, struct gd_state *state, const char *name, struct gd_err *err);

#endif
