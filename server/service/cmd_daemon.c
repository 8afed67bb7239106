/* Commands about the daemon itself: hello, ping, info, stats, sessions, heartbeat, evict, shutdown. */
#include "core/cpu.h"
#include "core/log.h"
#include "core/state.h"
#include "core/uuid.h"
#include "core/version.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/router.h"
#include "service/service.h"
#include "service/session.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- hello ---- */

static int check_protocol(struct gd_request *request, struct gd_err *err)
{
    int64_t protocol = gd_arg(request, GD_HELLO_PROTOCOL)->integer;
    if (protocol == GD_PROTOCOL_VERSION)
        return 0;
    return gd_err_set(err, GD_E_PROTOCOL_MISMATCH,
                      "the client (version %.64s) speaks protocol %lld, this daemon (version %s) %d; use the same "
                      "release of both",
                      gd_arg(request, GD_HELLO_VERSION)->text.data, (long long)protocol, GD_VERSION, GD_PROTOCOL_VERSION);
}

/* Who a new remote session belongs to: what the key file says, or anybody on an address without keys. */
static int remote_identity(struct gd_request *request, char user[64], enum gd_role *role, struct gd_err *err)
{
    if (request->from.router->local)
        return gd_err_set(err, GD_E_NOT_AUTHORIZED, "a local session brings the token the door gave it");
    const char *known = zmq_msg_gets(&request->map, "User-Id");
    if (request->service->settings.plain_loopback) {
        snprintf(user, 64, "tcp");
        *role = GD_ROLE_WRITER;
        return 0;
    }
    if (known == NULL || known[0] == '\0')
        return gd_err_set(err, GD_E_NOT_AUTHORIZED, "the connection carries no authorized key");
    const char *colon = strchr(known, ':'); /* role:name, as service/zap.c sets it */
    snprintf(user, 64, "%s", colon != NULL ? colon + 1 : known);
    *role = strncmp(known, "admin:", 6) == 0 ? GD_ROLE_ADMIN : strncmp(known, "writer:", 7) == 0 ? GD_ROLE_WRITER : GD_ROLE_READER;
    return 0;
}

static int find_or_make(struct gd_request *request, struct gd_session **out, struct gd_err *err)
{
    struct gd_service *service = request->service;
    const struct gd_value *token = gd_arg(request, GD_HELLO_TOKEN);
    if (token->present) {
        struct gd_session *session = gd_session_by_token(service, token->text.data, token->text.bytes);
        if (session == NULL || session->local != request->from.router->local)
            return gd_err_set(err, GD_E_NOT_AUTHORIZED, "no session has this token; it ended, or the daemon was restarted");
        *out = session;
        return 0;
    }
    char user[64];
    enum gd_role role = GD_ROLE_ANYONE;
    int code = remote_identity(request, user, &role, err);
    return code != 0 ? code : gd_session_create(service, 0, (uid_t)-1, role, user, out, err);
}

/* As much of it as there is room for, in whole characters; those that would disturb the log or a terminal are left out. */
static void name_client(struct gd_session *session, const char *name, size_t bytes)
{
    size_t n = 0, most = sizeof session->client - 1;
    for (size_t i = 0; i < bytes && n < most; i++)
        if ((unsigned char)name[i] >= 0x20 && name[i] != 0x7f)
            session->client[n++] = name[i];
    while (n > 0 && !gd_utf8_valid(session->client, n))
        n--;
    session->client[n] = '\0';
}

int gd_cmd_hello(struct gd_request *request, struct gd_err *err)
{
    static const char *const roles[] = {"anyone", "reader", "writer", "admin"};
    struct gd_service *service = request->service;
    struct gd_session *session = NULL;
    int code = check_protocol(request, err);
    if (code == 0)
        code = find_or_make(request, &session, err);
    if (code != 0)
        return code;
    unsigned char key[GD_ROUTING_BYTES + 1];
    key[0] = (unsigned char)request->from.router->index;
    memcpy(key + 1, request->from.routing, request->from.bytes);
    code = gd_session_join(service, session, key, request->from.bytes + 1, err);
    if (code != 0)
        return code;
    const struct gd_value *client = gd_arg(request, GD_HELLO_CLIENT);
    if (client->present && session->client[0] == '\0')
        name_client(session, client->text.data, client->text.bytes);
    session->seen_ns = request->started_ns;
    char instance[GD_UUID_TEXT];
    gd_uuid_format(service->instance_id, instance);
    gd_reply_int(&request->reply, "session", session->number);
    gd_reply_bin(&request->reply, "token", session->token, sizeof session->token);
    gd_reply_str(&request->reply, "version", GD_VERSION);
    gd_reply_str(&request->reply, "instance", instance);
    gd_reply_str(&request->reply, "user", session->user);
    gd_reply_str(&request->reply, "role", roles[session->role]);
    gd_reply_int(&request->reply, "ttl_ms", session->local ? 0 : (int64_t)(service->settings.session_ttl * 1e3));
    return 0;
}

int gd_cmd_ping(struct gd_request *request, struct gd_err *err)
{
    (void)request, (void)err;
    return 0;
}

int gd_cmd_heartbeat(struct gd_request *request, struct gd_err *err)
{
    (void)request, (void)err; /* gd_request_begin has noted the time */
    return 0;
}

int gd_cmd_goodbye(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    if (!request->session->local)
        gd_session_end(request->service, request->session, "said goodbye"); /* the request keeps it until it is answered */
    return 0;
}

/* ---- what it is ---- */

static void reply_parameters(struct gd_request *request)
{
    const struct gd_settings *settings = &request->service->settings;
    msgpack_packer *packer = &request->reply.packer;
    gd_reply_map(&request->reply, "parameters", GD_SETTING_COUNT);
    for (size_t i = 0; i < GD_SETTING_COUNT; i++) {
        char text[sizeof(gd_setting_str)];
        gd_settings_text(settings, &gd_setting_rows[i], text, sizeof text);
        gd_pack_str(packer, gd_setting_rows[i].name);
        gd_pack_str(packer, text);
    }
}

int gd_cmd_info(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    const struct gd_service *service = request->service;
    struct gd_reply *reply = &request->reply;
    gd_reply_str(reply, "version", GD_VERSION);
    gd_reply_int(reply, "protocol", GD_PROTOCOL_VERSION);
    gd_reply_int(reply, "pid", getpid());
    gd_reply_real(reply, "uptime", (double)(request->started_ns - service->started_ns) * 1e-9);
    gd_reply_str(reply, "kernels", service->kernels.name);
    gd_reply_int(reply, "threads", service->threads);
    gd_reply_str(reply, "directory", service->instance.directory);
    size_t count = 0;
    for (int i = 0; i < GD_MAX_ROUTERS; i++)
        count += service->routers[i] != NULL;
    gd_reply_list(reply, "endpoints", count);
    for (int i = 0; i < GD_MAX_ROUTERS; i++) {
        if (service->routers[i] != NULL)
            gd_pack_str(&reply->packer, service->routers[i]->endpoint);
    }
    gd_reply_bool(reply, "private", service->settings.private);
    gd_reply_bool(reply, "protected", gd_keep_protected(service->keep));
    reply_parameters(request);
    return 0;
}

/* ---- counters ---- */

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    size_t count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long size = 0, resident = 0;
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

int gd_cmd_stats(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    const struct gd_service *service = request->service;
    struct gd_reply *reply = &request->reply;
    uint64_t published = service->ended_published, skipped = service->ended_skipped;
    size_t bytes = 0, cursor = 0;
    const struct gd_state *state;
    while ((state = gd_table_next(&service->registry.by_uuid, &cursor)) != NULL) {
        bytes += gd_state_bytes(state);
        published += state->published + (state->ring != NULL ? atomic_load(&state->ring->header->published) : 0);
        skipped += state->skipped + (state->ring != NULL ? atomic_load(&state->ring->header->skipped) : 0);
    }
    gd_reply_int(reply, "requests", (int64_t)service->requests);
    gd_reply_int(reply, "errors", (int64_t)service->request_errors);
    gd_reply_int(reply, "sessions", (int64_t)service->sessions.used);
    gd_reply_int(reply, "states", (int64_t)service->registry.by_uuid.used);
    gd_reply_int(reply, "bytes", (int64_t)bytes);
    gd_reply_int(reply, "published", (int64_t)published);
    gd_reply_int(reply, "skipped", (int64_t)skipped);
    gd_reply_int(reply, "dropped_replies", (int64_t)service->dropped_replies);
    gd_reply_int(reply, "resident", (int64_t)resident_bytes());
    gd_reply_int(reply, "descriptors", (int64_t)count_descriptors());
    size_t used = 0;
    for (size_t i = 0; i < GD_NUM_COMMANDS; i++)
        used += service->command_stats[i].count > 0;
    gd_reply_map(reply, "commands", used);
    for (size_t i = 0; i < GD_NUM_COMMANDS; i++) {
        const struct gd_command_stats *stats = &service->command_stats[i];
        if (stats->count == 0)
            continue;
        gd_pack_str(&reply->packer, gd_commands[i].name);
        msgpack_pack_array(&reply->packer, 3);
        msgpack_pack_uint64(&reply->packer, stats->count);
        msgpack_pack_uint64(&reply->packer, stats->errors);
        msgpack_pack_uint64(&reply->packer, stats->microseconds);
    }
    return 0;
}

/* ---- sessions ---- */

static void pack_session(msgpack_packer *packer, struct gd_session *session, uint64_t now_ns)
{
    msgpack_pack_map(packer, 9);
    gd_pack_str(packer, "session");
    msgpack_pack_uint32(packer, session->number);
    gd_pack_str(packer, "client");
    gd_pack_str(packer, session->client);
    gd_pack_str(packer, "user");
    gd_pack_str(packer, session->user);
    gd_pack_str(packer, "local");
    if (session->local)
        msgpack_pack_true(packer);
    else
        msgpack_pack_false(packer);
    gd_pack_str(packer, "pid");
    msgpack_pack_int64(packer, session->pid);
    gd_pack_str(packer, "states");
    msgpack_pack_uint64(packer, session->handles.used);
    gd_pack_str(packer, "pins");
    msgpack_pack_uint64(packer, gd_session_pins(session));
    gd_pack_str(packer, "bytes");
    msgpack_pack_uint64(packer, gd_session_bytes(session));
    gd_pack_str(packer, "age");
    msgpack_pack_double(packer, (double)(now_ns - session->created_ns) * 1e-9);
}

int gd_cmd_sessions(struct gd_request *request, struct gd_err *err)
{
    (void)err;
    const struct gd_service *service = request->service;
    gd_reply_list(&request->reply, "sessions", service->sessions.used);
    size_t cursor = 0;
    struct gd_session *session;
    while ((session = gd_table_next(&service->sessions, &cursor)) != NULL)
        pack_session(&request->reply.packer, session, request->started_ns);
    return 0;
}

int gd_cmd_evict(struct gd_request *request, struct gd_err *err)
{
    struct gd_service *service = request->service;
    uint32_t number = (uint32_t)gd_arg(request, GD_EVICT_SESSION)->integer;
    struct gd_session *session = gd_session_by_number(service, number);
    if (session == NULL || (int64_t)number != gd_arg(request, GD_EVICT_SESSION)->integer)
        return gd_err_set(err, GD_E_NOT_FOUND, "no session %lld is open", (long long)gd_arg(request, GD_EVICT_SESSION)->integer);
    /* It is alive and may be writing: what it holds moves to a new generation before its session ends. */
    size_t cursor = 0;
    struct gd_handle *handle;
    while ((handle = gd_table_next(&session->handles, &cursor)) != NULL) {
        struct gd_state *state = handle->state;
        if (session->local && gd_lease_is_held_by(&state->lease, gd_state_header(state), number)) {
            int code = gd_edit_evict(service, state, number, "evicted", err);
            if (code != 0)
                return code;
        }
    }
    gd_session_end(service, session, "evicted");
    return 0;
}

int gd_cmd_shutdown(struct gd_request *request, struct gd_err *err)
{
    struct gd_service *service = request->service;
    if (service->registry.named > 0 && !gd_arg(request, GD_SHUTDOWN_FORCE)->truth)
        return gd_err_set(err, GD_E_CONFLICT, "%zu named States exist and would be lost; delete them, or shut down with force",
                          service->registry.named);
    gd_service_stop(service, "asked to by a client");
    return 0;
}
