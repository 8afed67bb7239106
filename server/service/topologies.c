#include "service/topologies.h"

#include "service/service.h"
#include "service/session.h"

#include <stdlib.h>
#include <string.h>

#define MOST_PER_SESSION 256

struct gd_topology_entry {
    uint64_t number;
    uint32_t session;
    struct gd_topology *topology;
    void *text; /* what it was read from: a job that resumes reads it again */
    size_t bytes;
};

int gd_topologies_add(struct gd_service *service, const struct gd_session *session, struct gd_topology *topology, const void *text,
                      size_t bytes, uint64_t *number, struct gd_err *err)
{
    size_t cursor = 0, count = 0;
    struct gd_topology_entry *entry;
    while ((entry = gd_table_next(&service->topologies, &cursor)) != NULL)
        count += entry->session == session->number;
    if (count >= MOST_PER_SESSION)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED, "this session keeps %zu topologies already; close some", count);
    uint64_t key = service->next_topology + 1;
    void *copy = malloc(bytes + 1);
    entry = calloc(1, sizeof *entry);
    if (entry == NULL || copy == NULL || gd_table_put(&service->topologies, &key, sizeof key, entry) != 0) {
        free(entry);
        free(copy);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a topology");
    }
    memcpy(copy, text, bytes);
    *entry = (struct gd_topology_entry){key, session->number, topology, copy, bytes};
    service->next_topology = key;
    *number = key;
    return 0;
}

const struct gd_topology *gd_topologies_find(struct gd_service *service, const struct gd_session *session, uint64_t number,
                                             struct gd_err *err)
{
    const struct gd_topology_entry *entry = gd_table_get(&service->topologies, &number, sizeof number);
    if (entry == NULL || entry->session != session->number) {
        gd_err_set(err, GD_E_NOT_FOUND, "this session has no topology %llu", (unsigned long long)number);
        return NULL;
    }
    return entry->topology;
}

const void *gd_topologies_text(struct gd_service *service, uint64_t number, size_t *bytes)
{
    const struct gd_topology_entry *entry = gd_table_get(&service->topologies, &number, sizeof number);
    *bytes = entry != NULL ? entry->bytes : 0;
    return entry != NULL ? entry->text : NULL;
}

void gd_topologies_drop(struct gd_service *service, uint64_t number)
{
    struct gd_topology_entry *entry = gd_table_remove(&service->topologies, &number, sizeof number);
    if (entry == NULL)
        return;
    gd_topology_destroy(&entry->topology);
    free(entry->text);
    free(entry);
}

void gd_topologies_forget(struct gd_service *service, const struct gd_session *session)
{
    size_t cursor = 0;
    const struct gd_topology_entry *entry;
    while ((entry = gd_table_next(&service->topologies, &cursor)) != NULL) {
        if (session == NULL || entry->session == session->number)
            gd_topologies_drop(service, entry->number);
    }
}

int gd_topologies_expand(struct gd_topology **out, const struct gd_topology *topology, int npm, size_t num_atoms, struct gd_err *err)
{
    size_t solute = npm > 0 ? topology->num_solute_atoms : 0;
    size_t each = topology->num_solvent_atoms;
    if (num_atoms < solute || (num_atoms > solute && (each == 0 || (num_atoms - solute) % each != 0)))
        return gd_err_set(err, GD_E_INVALID_SHAPE,
                          "%zu atoms are not the topology's %zu solute atoms and a whole number of solvent "
                          "molecules of %zu atoms",
                          num_atoms, solute, each);
    struct gd_topology *copy = NULL;
    int code = gd_topology_clone(&copy, topology, err);
    if (code == 0)
        code = gd_topology_expand(copy, npm, each > 0 ? (num_atoms - solute) / each : 0, err);
    if (code == 0)
        code = gd_topology_check(copy, err);
    if (code != 0) {
        gd_topology_destroy(&copy);
        return code;
    }
    *out = copy;
    return 0;
}
