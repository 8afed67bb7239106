#include "service/creating.h"

#include "core/check.h"
#include "core/log.h"
#include "service/dispatch.h"
#include "service/registering.h"
#include "service/request.h"
#include "service/results.h"
#include "service/service.h"
#include "service/session.h"

#include <string.h>

static const char command_name[] = "state.create";

static const char *name_or_null(const struct gd_creation *creation)
{
    return creation->name[0] != '\0' ? creation->name : NULL;
}

static void make(struct gd_creation *creation)
{
    creation->code =
        gd_state_create(&creation->state, &creation->spec, name_or_null(creation), creation->ring_id, creation->started_ns, &creation->err);
}

static void finish(struct gd_creation *creation)
{
    struct gd_service *service = creation->service;
    struct gd_state *made = creation->state;
    if (creation->code == 0)
        creation->code = gd_register_state(service, creation->session, made, &creation->handle, &creation->err);
    if (creation->code != 0) {
        creation->state = NULL;
        gd_log_debug("request", "%s: %s", command_name, creation->err.text);
    }
    if (creation->code == GD_E_OUT_OF_MEMORY)
        gd_results_release_idle(service); /* the next try may have it */
    gd_request_count(service, gd_dispatch_find(command_name, sizeof command_name - 1), creation->code, creation->started_ns);
    service->in_flight--;
    gd_session_unref(&creation->session);
    creation->done(creation);
    gd_state_unref(&made);
}

static void make_on_worker(uv_work_t *work)
{
    make(work->data);
}

static void made_on_worker(uv_work_t *work, int status)
{
    GD_CHECK(status == 0);
    finish(work->data);
}

void gd_create_state(struct gd_creation *creation)
{
    struct gd_service *service = creation->service;
    creation->state = NULL;
    creation->handle = NULL;
    gd_err_clear(&creation->err);
    creation->started_ns = gd_now_ns();
    creation->ring_id = gd_registry_ring_id(&service->registry);
    creation->work.data = creation;
    gd_session_ref(creation->session);
    service->in_flight++;
    if (service->stopping)
        creation->code = gd_err_set(&creation->err, GD_E_SHUTTING_DOWN, "the daemon is stopping and takes no new work");
    else
        creation->code = gd_register_check(service, creation->session, &creation->spec, name_or_null(creation), &creation->err);
    if (creation->code == 0 && creation->spec.num_atoms > GD_INLINE_ATOMS &&
        uv_queue_work(service->loop, &creation->work, make_on_worker, made_on_worker) == 0)
        return;
    if (creation->code == 0)
        make(creation);
    finish(creation);
}
