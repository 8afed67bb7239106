#include "core/registry.h"

#include "core/check.h"
#include "core/uuid.h"

#include <stdio.h>
#include <string.h>

void gd_registry_init(struct gd_registry *registry)
{
    memset(registry, 0, sizeof *registry);
    gd_table_init(&registry->by_uuid);
    gd_table_init(&registry->by_name);
    atomic_init(&registry->next_ring_id, 1);
}

uint32_t gd_registry_ring_id(struct gd_registry *registry)
{
    return atomic_fetch_add(&registry->next_ring_id, 1);
}

void gd_registry_free(struct gd_registry *registry)
{
    size_t cursor = 0;
    struct gd_state *state;
    while ((state = gd_table_next(&registry->by_uuid, &cursor)) != NULL)
        gd_state_unref(&state);
    gd_table_free(&registry->by_uuid);
    gd_table_free(&registry->by_name);
}

static int name_taken(const char *name, struct gd_err *err)
{
    return gd_err_set(err, GD_E_NAME_TAKEN, "a State named '%s' exists already; attach to it, delete it, or choose another name", name);
}

int gd_registry_add(struct gd_registry *registry, struct gd_state *state, struct gd_err *err)
{
    size_t length = strlen(state->name);
    if (length > 0 && gd_table_get(&registry->by_name, state->name, length) != NULL)
        return name_taken(state->name, err);
    if (gd_table_put(&registry->by_uuid, state->uuid, sizeof state->uuid, state) != 0)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to register a State");
    if (length > 0 && gd_table_put(&registry->by_name, state->name, length, state) != 0) {
        gd_table_remove(&registry->by_uuid, state->uuid, sizeof state->uuid);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to register a State");
    }
    registry->named += length > 0;
    gd_state_ref(state);
    return 0;
}

static void drop_name(struct gd_registry *registry, struct gd_state *state)
{
    size_t length = strlen(state->name);
    if (length == 0)
        return;
    GD_CHECK(gd_table_remove(&registry->by_name, state->name, length) == state);
    registry->named--;
    state->name[0] = '\0';
}

void gd_registry_remove(struct gd_registry *registry, struct gd_state *state)
{
    if (gd_table_remove(&registry->by_uuid, state->uuid, sizeof state->uuid) == NULL)
        return;
    drop_name(registry, state);
    state->deleted = 1;
    gd_state_mark(state, GD_STATE_DELETED);
    gd_state_unref(&state);
}

static int not_found(struct gd_registry *registry, const char *name, struct gd_err *err)
{
    char list[256] = "";
    size_t used = 0, cursor = 0, shown = 0;
    const struct gd_state *state;
    while (shown < 4 && used < sizeof list && (state = gd_table_next(&registry->by_name, &cursor)) != NULL) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%.40s'", shown == 0 ? "; there are " : ", ", state->name);
        shown++;
    }
    if (used < sizeof list && registry->named > shown)
        snprintf(list + used, sizeof list - used, " and %zu more", registry->named - shown);
    return gd_err_set(err, GD_E_NOT_FOUND, "no State '%.127s'%s", name, shown > 0 ? list : "; there is no named State at all");
}

struct gd_state *gd_registry_find(struct gd_registry *registry, const char *name, struct gd_err *err)
{
    size_t length = strlen(name);
    struct gd_state *state = length > 0 ? gd_table_get(&registry->by_name, name, length) : NULL;
    uint8_t uuid[16];
    if (state == NULL && gd_uuid_parse(name, uuid) == 0)
        state = gd_table_get(&registry->by_uuid, uuid, sizeof uuid);
    if (state == NULL)
        not_found(registry, name, err);
    return state;
}

struct gd_state *gd_registry_find_uuid(struct gd_registry *registry, const uint8_t uuid[16], struct gd_err *err)
{
    struct gd_state *state = gd_table_get(&registry->by_uuid, uuid, 16);
    if (state == NULL) {
        char text[GD_UUID_TEXT];
        gd_uuid_format(uuid, text);
        gd_err_set(err, GD_E_NOT_FOUND, "no State %s; it was deleted, or ended with its last handle", text);
    }
    return state;
}

int gd_registry_rename(struct gd_registry *registry, struct gd_state *state, const char *name, struct gd_err *err)
{
    size_t length = strlen(name);
    if (strcmp(name, state->name) == 0)
        return 0;
    if (length > 0) {
        int code = gd_state_check_name(name, err);
        if (code != 0)
            return code;
        if (gd_table_get(&registry->by_name, name, length) != NULL)
            return name_taken(name, err);
        if (gd_table_put(&registry->by_name, name, length, state) != 0)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the name '%s'", name);
    }
    drop_name(registry, state);
    snprintf(state->name, sizeof state->name, "%s", name);
    registry->named += length > 0;
    return 0;
}
