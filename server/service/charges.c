#include "service/charges.h"

#include "core/check.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/state.h"
#include "service/service.h"
#include "service/session.h"

#include <stdint.h>
#include <stdlib.h>

struct gd_charge {
    struct gd_charge *next, **link; /* among those of the session */
    struct gd_session *session;     /* NULL: nobody any more */
    unsigned refs;                  /* the State, while it stands in this generation, and one per share */
    size_t bytes;
};

struct gd_charge_share {
    struct gd_charge_share *next;
    struct gd_charge *charge;
};

int gd_charge_check(const struct gd_service *service, struct gd_session *session, size_t bytes, const char *what, struct gd_err *err)
{
    const struct gd_settings *settings = &service->settings;
    size_t own = session != NULL && settings->session_bytes > 0 ? gd_session_bytes(session) : 0, all = atomic_load(&service->charged_bytes);
    if (session != NULL && settings->session_bytes > 0 && own + bytes > (size_t)settings->session_bytes)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED,
                          "%s of %zu bytes on top of the %zu that session %u is charged for is above its limit of %lld "
                          "(session_bytes)",
                          what, bytes, own, session->number, (long long)settings->session_bytes);
    if (settings->max_bytes > 0 && all + bytes > (size_t)settings->max_bytes)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s of %zu bytes on top of the %zu held is above the daemon's limit of %lld (max_bytes)",
                          what, bytes, all, (long long)settings->max_bytes);
    return 0;
}

int gd_charge_check_state(const struct gd_service *service, size_t held, size_t bytes, const char *what, struct gd_err *err)
{
    int64_t limit = service->settings.state_bytes;
    if (limit > 0 && held + bytes > (size_t)limit)
        return gd_err_set(err, GD_E_QUOTA_EXCEEDED,
                          "%s of %zu bytes on top of the %zu the State has is above the limit of %lld for one State "
                          "(state_bytes)",
                          what, bytes, held, (long long)limit);
    return 0;
}

int gd_charge_check_more(const struct gd_service *service, const struct gd_state *state, size_t bytes, const char *what, struct gd_err *err)
{
    int code = gd_charge_check_state(service, gd_state_bytes(state) + state->job_bytes, bytes, what, err);
    return code != 0 ? code : gd_charge_check(service, gd_charge_payer(state), bytes, what, err);
}

static void set_bytes(struct gd_service *service, struct gd_charge *charge, size_t bytes)
{
    service->charged_bytes += bytes - charge->bytes;
    if (charge->session != NULL)
        charge->session->made_bytes += bytes - charge->bytes;
    charge->bytes = bytes;
}

static void take_from_session(struct gd_charge *charge)
{
    if (charge->session == NULL)
        return;
    charge->session->made_bytes -= charge->bytes;
    charge->session = NULL;
    *charge->link = charge->next;
    if (charge->next != NULL)
        charge->next->link = charge->link;
}

static void let_go(struct gd_service *service, struct gd_charge *charge)
{
    GD_CHECK(charge->refs > 0);
    if (--charge->refs > 0)
        return;
    take_from_session(charge);
    service->charged_bytes -= charge->bytes;
    free(charge);
}

static struct gd_charge *new_charge(struct gd_session *session, struct gd_err *err)
{
    struct gd_charge *charge = calloc(1, sizeof *charge);
    if (charge == NULL) {
        gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a charge");
        return NULL;
    }
    charge->refs = 1;
    charge->session = session;
    if (session != NULL) {
        charge->next = session->charges;
        charge->link = &session->charges;
        if (charge->next != NULL)
            charge->next->link = &charge->next;
        session->charges = charge;
    }
    return charge;
}

int gd_charge_begin(struct gd_service *service, struct gd_state *state, struct gd_session *session, struct gd_err *err)
{
    struct gd_charge *charge = new_charge(session, err);
    if (charge == NULL)
        return GD_E_OUT_OF_MEMORY;
    if (state->charge != NULL) /* what a run left goes along with the State */
        set_bytes(service, state->charge, state->charge->bytes - state->run_bytes);
    gd_charge_end(service, state);
    state->charge = charge;
    gd_charge_settle(service, state);
    return 0;
}

void gd_charge_end(struct gd_service *service, struct gd_state *state)
{
    if (state->charge != NULL)
        let_go(service, state->charge);
    state->charge = NULL;
}

struct gd_session *gd_charge_payer(const struct gd_state *state)
{
    return state->charge != NULL ? state->charge->session : NULL;
}

void gd_charge_settle(struct gd_service *service, struct gd_state *state)
{
    if (state->charge != NULL)
        set_bytes(service, state->charge, gd_state_bytes(state));
}

static size_t left(int64_t limit, size_t used)
{
    return limit <= 0 ? SIZE_MAX : used < (size_t)limit ? (size_t)limit - used : 0;
}

size_t gd_charge_room(const struct gd_service *service, const struct gd_state *state)
{
    struct gd_session *payer = gd_charge_payer(state);
    size_t daemon = left(service->settings.max_bytes, service->charged_bytes);
    size_t session =
        payer != NULL && service->settings.session_bytes > 0 ? left(service->settings.session_bytes, gd_session_bytes(payer)) : SIZE_MAX;
    size_t own = left(service->settings.state_bytes, gd_state_bytes(state) + state->job_bytes);
    size_t least = daemon < session ? daemon : session;
    return own < least ? own : least;
}

/* ---- jobs ---- */

static int take_job(struct gd_service *service, struct gd_state *state, struct gd_session *session, size_t bytes, struct gd_charge **out,
                    struct gd_err *err)
{
    struct gd_charge *charge = new_charge(session, err);
    if (charge == NULL)
        return GD_E_OUT_OF_MEMORY;
    set_bytes(service, charge, bytes);
    state->job_bytes += bytes;
    *out = charge;
    return 0;
}

int gd_charge_job(struct gd_service *service, struct gd_state *state, struct gd_session *session, size_t bytes, struct gd_charge **out,
                  struct gd_err *err)
{
    int code = gd_charge_check_state(service, gd_state_bytes(state) + state->job_bytes, bytes, "a job", err);
    if (code == 0)
        code = gd_charge_check(service, session, bytes, "a job", err);
    size_t available = code == 0 ? gd_memory_available() : 0;
    if (code == 0 && bytes > available)
        code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "a job of %zu bytes is more than the %zu bytes that memory and memory cgroup leave here",
                          bytes, available);
    return code != 0 ? code : take_job(service, state, session, bytes, out, err);
}

int gd_charge_job_adopted(struct gd_service *service, struct gd_state *state, size_t bytes, struct gd_charge **out, struct gd_err *err)
{
    return take_job(service, state, NULL, bytes, out, err);
}

void gd_charge_job_end(struct gd_service *service, struct gd_state *state, struct gd_charge **charge)
{
    if (*charge == NULL)
        return;
    state->job_bytes -= (*charge)->bytes;
    let_go(service, *charge);
    *charge = NULL;
}

void gd_charge_run_state(struct gd_service *service, struct gd_state *state, int copies)
{
    size_t bytes = state->run_state.bytes * (size_t)copies, had = state->run_bytes;
    if (bytes > had && bytes - had > gd_charge_room(service, state)) {
        gd_log_warn("job", "%s: what the run left for the next one (%zu bytes) is given up: it is above a limit", state->name, bytes);
        free(state->run_state.data);
        state->run_state = (struct gd_run_state){0};
        bytes = 0;
    }
    state->run_bytes = bytes;
    gd_charge_settle(service, state);
}

int gd_charge_share(struct gd_handle *handle, struct gd_err *err)
{
    struct gd_charge *charge = handle->state->charge;
    if (charge == NULL)
        return 0;
    struct gd_charge_share *share = malloc(sizeof *share);
    if (share == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for a handle");
    *share = (struct gd_charge_share){handle->shares, charge};
    handle->shares = share;
    charge->refs++;
    return 0;
}

void gd_charge_unshare(struct gd_service *service, struct gd_handle *handle)
{
    while (handle->shares != NULL) {
        struct gd_charge_share *share = handle->shares;
        handle->shares = share->next;
        let_go(service, share->charge);
        free(share);
    }
}

void gd_charges_forget(struct gd_session *session)
{
    while (session->charges != NULL)
        take_from_session(session->charges);
}
