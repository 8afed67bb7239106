#include "service/events.h"
#include "service/registering.h"

#include "core/log.h"
#include "core/state.h"
#include "core/uuid.h"
#include "service/charges.h"
#include "service/codec.h"
#include "service/jobs.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/service.h"
#include "service/session.h"
#include "service/waits.h"

#include <string.h>

int gd_register_check(const struct gd_service *service, struct gd_session *session, const struct gd_state_spec *spec, const char *name,
                      struct gd_err *err)
{
    const struct gd_settings *settings = &service->settings;
    int code = gd_state_check_spec(spec, err);
    if (code == 0 && name != NULL)
        code = gd_state_check_name(name, err);
    if (code != 0)
        return code;
    size_t bytes = gd_state_live_bytes(spec);
    if (name != NULL) {
        if (!gd_utf8_valid(name, strlen(name)))
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "a State's name is UTF-8");
        if (gd_table_get(&service->registry.by_name, name, strlen(name)) != NULL)
            return gd_err_set(err, GD_E_NAME_TAKEN, "a State named '%s' exists already; attach to it, delete it, or choose another name",
                              name);
    }
    if (session->made_states >= (size_t)settings->session_states)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED, "this session has made %zu States, its limit (session_states)", session->made_states);
    code = gd_charge_check_state(service, 0, bytes, "a State", err);
    return code != 0 ? code : gd_charge_check(service, session, bytes, "a State", err);
}

int gd_register_state(struct gd_service *service, struct gd_session *session, struct gd_state *state, struct gd_handle **handle,
                      struct gd_err *err)
{
    if (session->ended)
        return gd_err_set(err, GD_E_CANCELLED, "the session ended meanwhile");
    gd_lease_init(&state->lease, &service->lease_hooks);
    int code = gd_register_check(service, session, &state->spec, NULL, err);
    if (code != 0)
        return code;
    code = gd_registry_add(&service->registry, state, err);
    if (code != 0)
        return code;
    code = gd_charge_begin(service, state, session, err);
    if (code == 0)
        code = gd_session_open_state(service, session, state, handle, err);
    if (code != 0) {
        gd_charge_end(service, state);
        gd_registry_remove(&service->registry, state);
        return code;
    }
    session->made_states++;
    gd_charge_run_state(service, state, gd_keep_used(service->keep) ? 2 : 1);
    gd_keep_sync(service->keep, state);
    gd_keep_run(service->keep, state); /* restored from a checkpoint */
    char uuid[GD_UUID_TEXT];
    gd_uuid_format(state->uuid, uuid);
    gd_log_info("state", "created %s%s%s: %zu atoms, float%d, by session %u", uuid, state->name[0] ? " " : "", state->name,
                state->spec.num_atoms, 8 * (int)state->spec.dtype, session->number);
    gd_events_tell(service, state, &(struct gd_state_event){"created", session->number, "a new State"});
    return 0;
}

void gd_unregister_state(struct gd_service *service, struct gd_state *state, const char *why)
{
    if (state->deleted)
        return;
    char uuid[GD_UUID_TEXT];
    gd_uuid_format(state->uuid, uuid);
    gd_log_info("state", "ended %s%s%s: %s", uuid, state->name[0] ? " " : "", state->name, why);
    struct gd_session *maker = gd_charge_payer(state);
    if (maker != NULL)
        maker->made_states--;
    gd_charge_end(service, state);
    gd_state_ref(state);
    state->deleted = 1;
    gd_jobs_state_gone(service->jobs, state);
    gd_lease_close(&state->lease, gd_state_header(state));
    gd_waits_deleted(service, state);
    gd_events_tell(service, state, &(struct gd_state_event){"deleted", 0, why});
    gd_subscriptions_deleted(service, state);
    gd_keep_forget(service->keep, state);
    gd_registry_remove(&service->registry, state);
    gd_state_unref(&state);
}

static void pack_pair_int(msgpack_packer *packer, const char *name, int64_t value)
{
    gd_pack_str(packer, name);
    msgpack_pack_int64(packer, value);
}

static void pack_pair_truth(msgpack_packer *packer, const char *name, int truth)
{
    gd_pack_str(packer, name);
    if (truth)
        msgpack_pack_true(packer);
    else
        msgpack_pack_false(packer);
}

void gd_pack_state(msgpack_packer *packer, const struct gd_state *state, uint64_t now_ns)
{
    msgpack_pack_map(packer, GD_STATE_FIELDS);
    gd_pack_state_fields(packer, state, now_ns);
}

void gd_pack_state_fields(msgpack_packer *packer, const struct gd_state *state, uint64_t now_ns)
{
    struct gd_small small;
    gd_state_small(state, &small);
    const struct gd_live_header *header = gd_state_header(state);
    uint64_t published = state->published, skipped = state->skipped;
    if (state->ring != NULL) {
        published += atomic_load(&state->ring->header->published);
        skipped += atomic_load(&state->ring->header->skipped);
    }
    gd_pack_str(packer, "uuid");
    msgpack_pack_bin(packer, 16);
    msgpack_pack_bin_body(packer, state->uuid, 16);
    gd_pack_str(packer, "name");
    gd_pack_str(packer, state->name);
    pack_pair_int(packer, "generation", (int64_t)state->generation);
    pack_pair_int(packer, "num_atoms", (int64_t)state->spec.num_atoms);
    gd_pack_str(packer, "dtype");
    gd_pack_str(packer, state->spec.dtype == GD_FLOAT32 ? "float32" : "float64");
    pack_pair_int(packer, "num_temperature_groups", state->spec.num_temperature_groups);
    pack_pair_int(packer, "num_energy_groups", state->spec.num_energy_groups);
    pack_pair_int(packer, "version", (int64_t)gd_state_version(state));
    pack_pair_int(packer, "step", small.step);
    gd_pack_str(packer, "time");
    msgpack_pack_double(packer, small.time);
    gd_pack_str(packer, "box");
    gd_pack_box(packer, &small.box);
    pack_pair_int(packer, "bytes", (int64_t)gd_state_bytes(state));
    pack_pair_int(packer, "slots", state->spec.slots);
    pack_pair_truth(packer, "frame_forces", state->spec.frame_forces);
    pack_pair_int(packer, "published", (int64_t)published);
    pack_pair_int(packer, "skipped", (int64_t)skipped);
    pack_pair_int(packer, "sessions", (int64_t)state->num_handles);
    pack_pair_int(packer, "lease", gd_lease_holder(&state->lease, header));
    pack_pair_int(packer, "waiters", (int64_t)state->lease.num_waiting);
    pack_pair_truth(packer, "masses", state->masses_set);
    pack_pair_int(packer, "molecules", (int64_t)state->num_molecules);
    gd_pack_str(packer, "age");
    msgpack_pack_double(packer, (double)(now_ns - state->created_ns) * 1e-9);
}
