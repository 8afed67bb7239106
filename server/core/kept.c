#include "core/kept.h"

#include "core/check.h"
#include "core/configuration.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 1024u
#define BLOB_OFFSET GD_PAGE

struct kept_record {
    uint64_t checksum; /* of everything behind it */
    uint64_t sequence;
    uint8_t uuid[16];
    char name[GD_DOOR_NAME];
    uint64_t generation, version, next_sequence, published, skipped;
    uint64_t num_atoms;
    uint32_t num_temperature_groups, num_energy_groups, dtype, slots, frame_forces, ring_id, masses_set, has_labels;
    uint64_t num_molecules; /* 0: not told */
    uint64_t blob_checksum;
};
_Static_assert(sizeof(struct kept_record) <= RECORD_BYTES, "two records fit the first page behind the head");

/* FNV-1a, 64 bits: against a torn write, not against an attacker. */
static uint64_t checksum(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t record_checksum(const struct kept_record *record)
{
    return checksum(&record->sequence, sizeof *record - offsetof(struct kept_record, sequence));
}

static struct kept_record *record_at(const struct gd_segment *segment, unsigned which)
{
    return (struct kept_record *)((char *)segment->base + RECORD_BYTES * (1 + which));
}

static size_t molecules_bytes(const struct gd_state *state)
{
    return state->molecules == NULL ? 0 : (state->num_molecules + 1) * sizeof(int32_t);
}

static size_t labels_bytes(const struct gd_state *state)
{
    int has = state->origin != NULL && state->origin->labels != NULL;
    return has ? state->spec.num_atoms * sizeof(struct gd_atom_label) : 0;
}

/* ---- writing ---- */

void gd_kept_update(struct gd_state *state)
{
    if (state->kept.fd < 0)
        return;
    struct kept_record record = {
        .sequence = ++state->kept_sequence,
        .generation = state->generation,
        .version = gd_state_version(state),
        .next_sequence = state->ring != NULL ? state->ring->next_sequence : state->next_sequence,
        .published = state->published,
        .skipped = state->skipped,
        .num_atoms = state->spec.num_atoms,
        .num_temperature_groups = state->spec.num_temperature_groups,
        .num_energy_groups = state->spec.num_energy_groups,
        .dtype = (uint32_t)state->spec.dtype,
        .slots = state->spec.slots,
        .frame_forces = (uint32_t)state->spec.frame_forces,
        .ring_id = state->ring_id,
        .masses_set = (uint32_t)state->masses_set,
        .has_labels = labels_bytes(state) > 0,
        .num_molecules = state->num_molecules,
        .blob_checksum = state->kept_blob_checksum,
    };
    memcpy(record.uuid, state->uuid, sizeof record.uuid);
    memcpy(record.name, state->name, sizeof record.name);
    record.checksum = record_checksum(&record);
    memcpy(record_at(&state->kept, record.sequence & 1), &record, sizeof record);
}

int gd_kept_create(struct gd_state *state, struct gd_err *err)
{
    struct gd_segment fresh;
    size_t bytes = BLOB_OFFSET + molecules_bytes(state) + labels_bytes(state);
    int code = gd_segment_create(&fresh, "gromosd-kept", bytes, 0, err);
    if (code != 0)
        return code;
    char *blob = (char *)fresh.base + BLOB_OFFSET;
    if (molecules_bytes(state) > 0)
        memcpy(blob, state->molecules, molecules_bytes(state));
    if (labels_bytes(state) > 0)
        memcpy(blob + molecules_bytes(state), state->origin->labels, labels_bytes(state));
    struct gd_segment_head *head = fresh.base;
    head->segment_bytes = fresh.bytes;
    memcpy(head->uuid, state->uuid, sizeof head->uuid);
    atomic_store_explicit(&head->layout, GD_LAYOUT, memory_order_release);
    gd_segment_close(&state->kept);
    state->kept = fresh;
    state->kept_blob_checksum = checksum(blob, molecules_bytes(state) + labels_bytes(state));
    gd_kept_update(state);
    return 0;
}

/* ---- reading back ---- */

static int is_sound(const struct gd_segment *segment, const struct kept_record *record)
{
    if (record->sequence == 0 || record->checksum != record_checksum(record))
        return 0;
    if (record->num_molecules > record->num_atoms || record->num_atoms > 500000000u)
        return 0;
    size_t blob = (record->num_molecules > 0 ? (record->num_molecules + 1) * sizeof(int32_t) : 0) +
                  (record->has_labels ? record->num_atoms * sizeof(struct gd_atom_label) : 0);
    return blob <= segment->bytes - BLOB_OFFSET && record->blob_checksum == checksum((char *)segment->base + BLOB_OFFSET, blob) &&
           memchr(record->name, '\0', sizeof record->name) != NULL && (record->dtype == GD_FLOAT32 || record->dtype == GD_FLOAT64);
}

static int restore_blob(struct gd_state *state, const struct gd_segment *segment, const struct kept_record *record, struct gd_err *err)
{
    const char *blob = (const char *)segment->base + BLOB_OFFSET;
    size_t bytes = record->num_molecules > 0 ? (record->num_molecules + 1) * sizeof(int32_t) : 0;
    if (bytes > 0) {
        state->molecules = malloc(bytes);
        if (state->molecules == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %llu molecules", (unsigned long long)record->num_molecules);
        memcpy(state->molecules, blob, bytes);
        state->num_molecules = record->num_molecules;
    }
    if (!record->has_labels)
        return 0;
    int code = gd_configuration_create(&state->origin, record->num_atoms, err);
    if (code == 0)
        code = gd_configuration_add(state->origin, GD_CONF_LABELS, err);
    if (code == 0)
        memcpy(state->origin->labels, blob + bytes, record->num_atoms * sizeof(struct gd_atom_label));
    return code;
}

int gd_kept_restore(struct gd_segment *segment, struct gd_state **out, struct gd_err *err)
{
    const struct gd_segment_head *head = segment->base;
    if (segment->bytes < BLOB_OFFSET || atomic_load_explicit(&head->layout, memory_order_acquire) != GD_LAYOUT)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "a kept segment is not of this layout version");
    const struct kept_record *best = NULL;
    for (unsigned which = 0; which < 2; which++) {
        const struct kept_record *record = record_at(segment, which);
        if (is_sound(segment, record) && (best == NULL || record->sequence > best->sequence))
            best = record;
    }
    if (best == NULL)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "neither record of a kept State is sound");
    struct gd_state_spec spec = {best->num_atoms, best->num_temperature_groups, best->num_energy_groups, (enum gd_dtype)best->dtype,
                                 best->slots,     (int)best->frame_forces};
    struct gd_state *state = NULL;
    int code = gd_state_create_bare(&state, &spec, best->name[0] != '\0' ? best->name : NULL, best->uuid, err);
    if (code == 0)
        code = restore_blob(state, segment, best, err);
    if (code != 0) {
        gd_state_unref(&state);
        return code;
    }
    state->generation = best->generation;
    state->version = best->version;
    state->next_sequence = best->next_sequence;
    state->published = best->published;
    state->skipped = best->skipped;
    state->ring_id = best->ring_id;
    state->masses_set = (int)best->masses_set;
    state->kept_sequence = best->sequence;
    state->kept_blob_checksum = best->blob_checksum;
    state->kept = *segment;
    *segment = GD_SEGMENT_NONE;
    *out = state;
    return 0;
}
