#include "core/state.h"

#include "core/box.h"
#include "core/check.h"
#include "core/configuration.h"
#include "core/uuid.h"
#include "proto/gd_energies.h"
#include "proto/gd_undo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATE_MAGIC 0x57a7e001u

static const char *const array_names[GD_ARRAY_COUNT] = {"positions", "velocities", "forces", "masses", "energies"};

const char *gd_array_name(enum gd_array array)
{
    return array_names[array];
}

/* ---- layout: computed from the spec, never read back from the segment ---- */

static size_t padded_atoms(const struct gd_state_spec *spec)
{
    return (size_t)gd_round_up(spec->num_atoms, GD_ATOM_BLOCK);
}

size_t gd_state_array_bytes(const struct gd_state_spec *spec, enum gd_array array)
{
    switch (array) {
    case GD_POSITIONS:
    case GD_VELOCITIES:
    case GD_FORCES:
        return 3 * spec->num_atoms * (size_t)spec->dtype;
    case GD_MASSES:
        return spec->num_atoms * sizeof(double);
    default:
        return gd_energies_count(spec->num_temperature_groups, spec->num_energy_groups) * sizeof(double);
    }
}

static size_t padded_bytes(const struct gd_state_spec *spec, enum gd_array array)
{
    if (array == GD_ENERGIES)
        return (size_t)gd_round_up(gd_state_array_bytes(spec, array), GD_ARRAY_ALIGN);
    size_t row = array == GD_MASSES ? sizeof(double) : 3 * (size_t)spec->dtype;
    return padded_atoms(spec) * row;
}

/* Every array begins on a page, so that a page belongs to one array. */
size_t gd_state_array_offset(const struct gd_state_spec *spec, enum gd_array array)
{
    size_t offset = GD_PAGE;
    for (int a = 0; a < (int)array; a++)
        offset += (size_t)gd_round_up(padded_bytes(spec, (enum gd_array)a), GD_PAGE);
    return offset;
}

size_t gd_state_live_bytes(const struct gd_state_spec *spec)
{
    if (spec->num_atoms == 0 || spec->num_atoms > 500000000u)
        return 0;
    return gd_state_array_offset(spec, GD_ENERGIES) + (size_t)gd_round_up(padded_bytes(spec, GD_ENERGIES), GD_PAGE);
}

static void fill_head(struct gd_segment_head *head, const struct gd_state *state, enum gd_segment_role role, size_t bytes)
{
    /* The layout word is stored last and is not touched before: the head may be a live one. */
    const struct gd_state_spec *spec = &state->spec;
    head->role = (uint32_t)role;
    memcpy(head->uuid, state->uuid, sizeof head->uuid);
    head->generation = state->generation;
    head->segment_bytes = bytes;
    head->num_atoms = spec->num_atoms;
    head->num_atoms_padded = state->padded;
    head->dtype = (uint32_t)spec->dtype;
    head->num_temperature_groups = spec->num_temperature_groups;
    head->num_energy_groups = spec->num_energy_groups;
    for (int a = 0; a < GD_ARRAY_COUNT; a++) {
        head->array_offset[a] = gd_state_array_offset(spec, (enum gd_array)a);
        head->array_bytes[a] = padded_bytes(spec, (enum gd_array)a);
    }
    atomic_store_explicit(&head->layout, GD_LAYOUT, memory_order_release);
}

/* ---- life ---- */

int gd_state_check_name(const char *name, struct gd_err *err)
{
    size_t length = strlen(name);
    uint8_t uuid[16];
    if (length == 0 || length >= GD_DOOR_NAME)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a State's name has 1 to %d bytes, not %zu", GD_DOOR_NAME - 1, length);
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a State's name has no control characters (byte 0x%02x at %zu)", *c,
                              (size_t)((const char *)c - name));
    }
    if (gd_uuid_parse(name, uuid) == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'%s' has the form of a uuid, which a name must not have", name);
    return 0;
}

int gd_state_check_spec(const struct gd_state_spec *spec, struct gd_err *err)
{
    if (gd_state_live_bytes(spec) == 0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a State has 1 to 500000000 atoms, not %zu", spec->num_atoms);
    if (spec->num_temperature_groups < 1 || spec->num_temperature_groups > 1024 || spec->num_energy_groups < 1 ||
        spec->num_energy_groups > 64)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a State has 1 to 1024 temperature groups and 1 to 64 energy groups, not %u and %u",
                          spec->num_temperature_groups, spec->num_energy_groups);
    if (spec->slots == 1 || spec->slots > GD_MAX_SLOTS)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a ring has 2 to %u slots (0: chosen by size), not %u", GD_MAX_SLOTS, spec->slots);
    return 0;
}

/* Deep rings for small systems, shallow ones for large: about 64 MiB, at least 4 and at most 16 frames. */
static uint32_t choose_slots(const struct gd_state_spec *spec)
{
    size_t frame = 2 * padded_bytes(spec, GD_POSITIONS);
    size_t slots = ((size_t)64 << 20) / (frame + 1);
    return slots < 4 ? 4 : slots > 16 ? 16 : (uint32_t)slots;
}

int gd_state_create_bare(struct gd_state **out, const struct gd_state_spec *spec, const char *name, const uint8_t uuid[16],
                         struct gd_err *err)
{
    int code = gd_state_check_spec(spec, err);
    if (code == 0 && name != NULL)
        code = gd_state_check_name(name, err);
    if (code != 0)
        return code;
    struct gd_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a State");
    state->magic = STATE_MAGIC;
    state->refs = 1;
    state->spec = *spec;
    if (state->spec.slots == 0)
        state->spec.slots = choose_slots(spec);
    state->padded = padded_atoms(spec);
    state->generation = 1;
    state->live = state->undo = state->kept = state->before = GD_SEGMENT_NONE;
    state->handed.kept = state->handed.live = state->handed.undo = state->handed.ring = -1;
    gd_pins_init(&state->pins);
    pthread_mutex_init(&state->first_masses, NULL);
    if (name != NULL)
        strcpy(state->name, name);
    memcpy(state->uuid, uuid, sizeof state->uuid);
    *out = state;
    return 0;
}

int gd_state_create(struct gd_state **out, const struct gd_state_spec *spec, const char *name, uint32_t ring_id, uint64_t now_ns,
                    struct gd_err *err)
{
    uint8_t uuid[16];
    struct gd_state *state = NULL;
    if (gd_uuid_make(uuid) != 0)
        return gd_err_set(err, GD_E_INTERNAL, "the kernel gives no random numbers");
    int code = gd_state_create_bare(&state, spec, name, uuid, err);
    if (code == 0)
        code = gd_segment_create(&state->live, "gromosd-live", gd_state_live_bytes(spec), 0, err);
    if (code != 0) {
        gd_state_unref(&state);
        return gd_err_context(err, "a State of %zu atoms", spec->num_atoms), code;
    }
    state->created_ns = now_ns;
    state->ring_id = ring_id;
    atomic_store(&gd_state_header(state)->unset, GD_ARRAY_BIT(GD_MASSES));
    fill_head(&gd_state_header(state)->head, state, GD_SEGMENT_LIVE, state->live.bytes);
    *out = state;
    return 0;
}

int gd_state_adopt_live(struct gd_state *state, struct gd_segment *live, struct gd_err *err)
{
    size_t bytes = (size_t)gd_round_up(gd_state_live_bytes(&state->spec), GD_PAGE);
    if (live->bytes != bytes || !live->writable)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "the live segment has %zu bytes, a State of %zu atoms needs %zu", live->bytes,
                          state->spec.num_atoms, bytes);
    const struct gd_segment_head *head = live->base;
    if (atomic_load_explicit(&head->layout, memory_order_acquire) != GD_LAYOUT || memcmp(head->uuid, state->uuid, 16) != 0 ||
        head->generation != state->generation)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "the live segment is not that of this State and generation");
    /* What a client may have scribbled into the head is put right. */
    fill_head(live->base, state, GD_SEGMENT_LIVE, live->bytes);
    state->live = *live;
    *live = GD_SEGMENT_NONE;
    return 0;
}

void gd_state_ref(struct gd_state *state)
{
    GD_MAGIC_CHECK(state, STATE_MAGIC);
    state->refs++;
}

void gd_state_unref(struct gd_state **state_pointer)
{
    struct gd_state *state = *state_pointer;
    *state_pointer = NULL;
    if (state == NULL)
        return;
    GD_MAGIC_CHECK(state, STATE_MAGIC);
    GD_CHECK(state->refs > 0);
    if (--state->refs > 0)
        return;
    gd_ring_destroy(&state->ring);
    gd_pins_clear(&state->pins);
    pthread_mutex_destroy(&state->first_masses);
    gd_segment_close(&state->undo);
    gd_segment_close(&state->live);
    gd_segment_close(&state->kept);
    gd_segment_close(&state->before);
    gd_configuration_destroy(&state->origin);
    free(state->molecules);
    free(state->run_state.data);
    state->magic = 0;
    free(state);
}

/* ---- what is where ---- */

struct gd_live_header *gd_state_header(const struct gd_state *state)
{
    return state->live.base;
}

static void *array_of(const struct gd_state *state, enum gd_array array)
{
    return (char *)state->live.base + gd_state_array_offset(&state->spec, array);
}

/* A fresh State's pages are allocated and were never touched, which the first write to each would change: so nobody writes masses that nobody
 * looks at. The bit is cleared last and by the daemon alone; whoever writes masses has asked for them before, and finds it cleared. */
void gd_state_set_masses(const struct gd_state *state)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&state->first_masses;
    pthread_mutex_lock(mutex);
    struct gd_live_header *live = gd_state_header(state);
    if (atomic_load(&live->unset) & GD_ARRAY_BIT(GD_MASSES)) {
        gd_segment_fill(&state->live, gd_state_array_offset(&state->spec, GD_MASSES), 1.0, state->spec.num_atoms);
        atomic_fetch_and(&live->unset, ~GD_ARRAY_BIT(GD_MASSES));
    }
    pthread_mutex_unlock(mutex);
}

static void need_masses(const struct gd_state *state)
{
    if (atomic_load(&gd_state_header(state)->unset) & GD_ARRAY_BIT(GD_MASSES))
        gd_state_set_masses(state);
}

void *gd_state_array(const struct gd_state *state, enum gd_array array)
{
    if (array == GD_MASSES)
        need_masses(state);
    return array_of(state, array);
}

size_t gd_state_bytes(const struct gd_state *state)
{
    return state->live.bytes + state->undo.bytes + (state->ring != NULL ? (size_t)state->ring->allocated_bytes : 0) + state->run_bytes;
}

void gd_state_small(const struct gd_state *state, struct gd_small *out)
{
    *out = gd_state_header(state)->small;
    if (gd_box_check(&out->box, NULL) != 0) /* a client wrote it past the API */
        memset(&out->box, 0, sizeof out->box);
    if (!isfinite(out->time))
        out->time = 0.0;
}

void gd_state_mark(struct gd_state *state, uint32_t flag)
{
    struct gd_live_header *header = gd_state_header(state);
    atomic_fetch_or(&header->flags, flag);
    gd_live_wake(header);
}

/* ---- segments made when they are needed ---- */

int gd_state_need_undo(struct gd_state *state, struct gd_err *err)
{
    if (state->undo.fd >= 0)
        return 0;
    int code = gd_segment_create(&state->undo, "gromosd-undo", state->live.bytes, 0, err);
    if (code != 0)
        return gd_err_context(err, "the undo copy of a State of %zu atoms", state->spec.num_atoms), code;
    fill_head(state->undo.base, state, GD_SEGMENT_UNDO, state->undo.bytes);
    return 0;
}

/* Those whose content stands in the newest frame. */
static uint32_t arrays_in_frame(const struct gd_state *state)
{
    struct gd_frame_view newest;
    uint32_t found = 0;
    if (state->ring == NULL || gd_frames_newest(state->ring->header, &newest) != 0 || newest.header->version != gd_state_version(state))
        return 0;
    for (int a = 0; a < GD_ARRAY_COUNT; a++)
        found |= newest.array[a] != NULL ? GD_ARRAY_BIT(a) : 0;
    return found;
}

int gd_state_wants_undo(const struct gd_state *state, uint32_t what)
{
    return (what & ~GD_DIRTY_SMALL & ~arrays_in_frame(state)) != 0;
}

void gd_state_begin_write(struct gd_state *state, uint32_t what, int kept)
{
    struct gd_live_header *live = gd_state_header(state);
    uint32_t missing = what & ~GD_DIRTY_SMALL & ~arrays_in_frame(state) & ~atomic_load(&live->dirty_mask);
    for (int a = 0; a < GD_ARRAY_COUNT && kept && state->undo.fd >= 0; a++) {
        if ((missing & GD_ARRAY_BIT(a)) == 0)
            continue;
        memcpy((char *)state->undo.base + gd_state_array_offset(&state->spec, (enum gd_array)a), gd_state_array(state, (enum gd_array)a),
               gd_state_array_bytes(&state->spec, (enum gd_array)a));
        gd_undo_reach(&live->undo_bytes[a], GD_UNDO_WHOLE);
        atomic_fetch_or(&live->undo_mask, GD_ARRAY_BIT(a));
    }
    atomic_fetch_or(&live->dirty_mask, what);
    atomic_thread_fence(memory_order_release);
}

int gd_state_need_ring(struct gd_state *state, struct gd_err *err)
{
    if (state->ring != NULL)
        return 0;
    struct gd_segment_head like = {0};
    fill_head(&like, state, GD_SEGMENT_LIVE, state->live.bytes);
    struct gd_ring_options options = {
        .ring_id = state->ring_id,
        .num_slots = state->spec.slots,
        .arrays = GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES) | GD_ARRAY_BIT(GD_ENERGIES) |
                  (state->spec.frame_forces ? GD_ARRAY_BIT(GD_FORCES) : 0),
        .first_sequence = state->next_sequence,
    };
    int code = gd_ring_create(&state->ring, &like, &options, err);
    if (code != 0)
        gd_err_context(err, "the frame ring of a State of %zu atoms", state->spec.num_atoms);
    return code;
}

struct gd_frame_source gd_state_frame_source(const struct gd_state *state)
{
    struct gd_frame_source source = {.version = gd_state_version(state)};
    for (int a = 0; a < GD_ARRAY_COUNT; a++)
        source.array[a] = array_of(state, (enum gd_array)a); /* a ring carries no masses */
    gd_state_small(state, &source.small);
    return source;
}

/* ---- versions, rollback, generations ---- */

uint64_t gd_state_version(const struct gd_state *state)
{
    uint64_t told = atomic_load(&gd_state_header(state)->version);
    return told > state->version ? told : state->version;
}

/* What a rollback of this State starts from. The heads and the frame are the caller's to keep alive. */
static struct gd_rollback rollback_of(const struct gd_state *state, const struct gd_frame_view *newest, struct gd_segment_head heads[2],
                                      struct gd_frame_view *frame)
{
    memset(heads, 0, 2 * sizeof heads[0]);
    fill_head(&heads[0], state, GD_SEGMENT_LIVE, state->live.bytes);
    fill_head(&heads[1], state, GD_SEGMENT_UNDO, state->undo.bytes);
    const void *ring = state->ring != NULL ? state->ring->header : state->before.base;
    if (newest == NULL && ring != NULL && gd_frames_newest(ring, frame) == 0)
        newest = frame;
    return (struct gd_rollback){
        .layout = &heads[0],
        .live = gd_state_header(state),
        .undo = state->undo.fd >= 0 ? state->undo.base : NULL,
        .undo_layout = &heads[1],
        .newest = newest,
        .version = gd_state_version(state),
    };
}

void gd_state_rollback(struct gd_state *state, const struct gd_frame_view *newest, struct gd_rollback_report *report)
{
    struct gd_segment_head heads[2];
    struct gd_frame_view frame;
    struct gd_rollback rollback = rollback_of(state, newest, heads, &frame);
    gd_rollback(&rollback, report);
}

int gd_state_new_generation(struct gd_state *state, const struct gd_frame_view *newest, uint32_t ring_id, uint64_t now_ns,
                            struct gd_rollback_report *report, struct gd_err *err)
{
    struct gd_segment fresh;
    need_masses(state);
    int code = gd_segment_create(&fresh, "gromosd-live", state->live.bytes, 0, err);
    if (code != 0)
        return gd_err_context(err, "a new generation of a State of %zu atoms", state->spec.num_atoms), code;
    struct gd_segment_head heads[2];
    struct gd_frame_view frame;
    struct gd_live_header *old = gd_state_header(state), *live = fresh.base;
    gd_lease_seize(old); /* before version and masks are read */
    struct gd_rollback rollback = rollback_of(state, newest, heads, &frame);
    rollback.live = live;
    gd_rollback_rescue(&rollback, old, report);
    uint64_t version = rollback.version + (report->outcome > GD_ROLLBACK_DONE); /* readers must be able to tell */

    struct gd_segment old_live = state->live;
    if (state->ring != NULL) {
        state->published += atomic_load(&state->ring->header->published);
        state->skipped += atomic_load(&state->ring->header->skipped);
        state->next_sequence = state->ring->next_sequence;
    }
    state->generation++;
    state->version = version;
    pthread_mutex_lock(&state->first_masses); /* somebody may be in gd_state_set_masses, without the lease */
    state->live = fresh;
    pthread_mutex_unlock(&state->first_masses);
    state->ring_id = ring_id;
    fill_head(&live->head, state, GD_SEGMENT_LIVE, fresh.bytes);
    atomic_store(&live->version, version);
    gd_lease_move(&state->lease, old, live, now_ns);
    gd_ring_destroy(&state->ring);
    gd_segment_close(&state->before);
    gd_segment_close(&state->undo);
    gd_segment_close(&old_live);
    return 0;
}
