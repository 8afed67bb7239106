/* Commands about checkpoints: a State into a file and back. Both run on a worker. */
#include "core/state.h"
#include "io/checkpoint.h"
#include "service/request.h"
#include "service/service.h"

static int check_path(const char *path, struct gd_err *err)
{
    if (path[0] == '/')
        return 0;
    return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'path' is '%s'; the daemon has its own working folder, so it must be absolute", path);
}

int gd_cmd_state_checkpoint(struct gd_request *request, struct gd_err *err)
{
    const struct gd_state *state = request->state;
    const char *path = gd_arg(request, GD_STATE_CHECKPOINT_PATH)->text.data;
    int code = check_path(path, err);
    if (code == 0)
        code = gd_checkpoint_write(path, state, err);
    if (code != 0)
        return code;
    struct gd_small small;
    gd_state_small(state, &small);
    uint64_t version = gd_state_version(state);
    gd_reply_int(&request->reply, "version", (int64_t)version);
    gd_reply_int(&request->reply, "step", small.step);
    gd_reply_bool(&request->reply, "continues", state->run_state.bytes > 0 && state->run_state.version == version);
    return 0;
}

int gd_cmd_state_restore(struct gd_request *request, struct gd_err *err)
{
    const char *path = gd_arg(request, GD_STATE_RESTORE_PATH)->text.data;
    const struct gd_value *name = gd_arg(request, GD_STATE_RESTORE_NAME);
    int code = check_path(path, err);
    return code != 0 ? code
                     : gd_checkpoint_read(&request->made, path, name->present ? name->text.data : NULL,
                                          gd_registry_ring_id(&request->service->registry), request->started_ns, err);
}
