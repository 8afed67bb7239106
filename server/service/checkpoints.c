#include "service/checkpoints.h"

#include "core/check.h"
#include "core/log.h"
#include "core/state.h"
#include "core/uuid.h"
#include "io/checkpoint.h"
#include "service/edit.h"
#include "service/jobs.h"
#include "service/service.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_NS 10000000000ull /* for a job's next step */
#define AGAIN_NS 1000000000ull
#define LONGEST_NAME 200

/* What is remembered of a State. */
struct entry {
    uint8_t uuid[16];
    uint64_t version; /* in its file; UINT64_MAX: none */
    uint64_t round;   /* looked at in this one */
    uint64_t again_ns;
    int said; /* that it is being edited, in this round */
};

struct gd_checkpoints {
    struct gd_service *service;
    struct gd_table entries; /* uuid -> entry */
    uint64_t round, next_ns;

    /* the one at hand */
    struct gd_state *state; /* holds a reference; NULL: none */
    struct gd_edit_owner owner;
    struct gd_lease_waiter waiter;
    int writing;
    uint64_t version;
    uv_work_t work;
    char path[PATH_MAX];
    struct gd_err err;
};

/* ---- names of files ---- */

static int is_plain(unsigned char c, size_t at)
{
    if (c == '.')
        return at > 0;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == ',' ||
           c == '=' || c == '@' || c >= 0x80;
}

void gd_checkpoints_path(char *out, size_t bytes, const char *directory, const char *name, const uint8_t uuid[16])
{
    char file[LONGEST_NAME + 8];
    size_t n = 0;
    for (size_t k = 0; name[k] != '\0' && n <= LONGEST_NAME; k++) {
        unsigned char c = (unsigned char)name[k];
        n += (size_t)snprintf(file + n, sizeof file - n, is_plain(c, k) ? "%c" : "%%%02X", c);
    }
    if (n == 0 || n > LONGEST_NAME)
        gd_uuid_format(uuid, file);
    snprintf(out, bytes, "%s/%s.h5", directory, file);
}

/* ---- one State ---- */

static struct entry *entry_of(struct gd_checkpoints *c, const struct gd_state *state)
{
    struct entry *entry = gd_table_get(&c->entries, state->uuid, sizeof state->uuid);
    if (entry != NULL)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL || gd_table_put(&c->entries, state->uuid, sizeof state->uuid, entry) != 0) {
        free(entry);
        return NULL;
    }
    memcpy(entry->uuid, state->uuid, sizeof entry->uuid);
    entry->version = UINT64_MAX;
    return entry;
}

static void finish(struct gd_checkpoints *c)
{
    c->writing = 0;
    gd_state_unref(&c->state);
}

static void write_on_worker(uv_work_t *work)
{
    struct gd_checkpoints *c = work->data;
    int slot = gd_running_begin(&c->service->running, "a checkpoint by the clock", "of version", c->version);
    gd_checkpoint_write(c->path, c->state, &c->err);
    gd_running_end(&c->service->running, slot);
}

static void written(uv_work_t *work, int status)
{
    struct gd_checkpoints *c = work->data;
    GD_CHECK(status == 0);
    struct entry *entry = entry_of(c, c->state);
    if (c->err.code != 0)
        gd_log_warn("checkpoint", "%s was not written: %s", c->state->name, c->err.text);
    else
        gd_log_debug("checkpoint", "wrote %s, version %llu", c->path, (unsigned long long)c->version);
    if (entry != NULL && c->err.code == 0)
        entry->version = c->version;
    gd_edit_release(c->service, c->state, GD_LEASE_DAEMON);
    finish(c);
}

static void begin(struct gd_checkpoints *c)
{
    gd_err_clear(&c->err);
    c->version = gd_state_version(c->state);
    c->writing = 1;
    gd_checkpoints_path(c->path, sizeof c->path, c->service->settings.checkpoint_dir, c->state->name, c->state->uuid);
    c->work.data = c;
    if (uv_queue_work(c->service->loop, &c->work, write_on_worker, written) == 0)
        return;
    gd_edit_release(c->service, c->state, GD_LEASE_DAEMON);
    finish(c);
}

static struct gd_checkpoints *of(struct gd_edit_owner *owner)
{
    return (struct gd_checkpoints *)((char *)owner - offsetof(struct gd_checkpoints, owner));
}

static void on_granted(struct gd_edit_owner *owner)
{
    begin(of(owner));
}

static void on_dropped(struct gd_edit_owner *owner, int code)
{
    struct gd_checkpoints *c = of(owner);
    if (code != GD_E_STATE_DELETED)
        gd_log_info("checkpoint", "%s did not come to a step's end in time; the next interval tries again", c->state->name);
    finish(c);
}

static void take(struct gd_checkpoints *c, struct gd_state *state, struct entry *entry, uint64_t now_ns)
{
    struct gd_err err = {0};
    entry->round = c->round;
    c->state = state;
    gd_state_ref(state);
    c->owner = (struct gd_edit_owner){on_granted, on_dropped};
    c->waiter = (struct gd_lease_waiter){.session = GD_LEASE_DAEMON, .managed = 1, .deadline = now_ns + PATIENCE_NS, .owner = &c->owner};
    int code = gd_lease_request(&state->lease, gd_state_header(state), &c->waiter, now_ns, &err);
    if (code == GD_LEASE_GRANTED) {
        begin(c);
    } else if (code < 0) {
        gd_log_warn("checkpoint", "%s was not written: %s", state->name, err.text);
        finish(c);
    } else {
        gd_jobs_nudge(c->service->jobs, state, GD_NUDGE_USE);
    }
}

/* 1 when it is this one's turn. An edit is not waited for: whoever is waited for may be evicted. */
static int is_due(struct gd_checkpoints *c, struct gd_state *state, struct entry *entry, uint64_t now_ns)
{
    if (entry->round == c->round || entry->again_ns > now_ns)
        return 0;
    if (entry->version == gd_state_version(state)) {
        entry->round = c->round;
        entry->said = 0;
        return 0;
    }
    uint32_t holder = gd_lease_holder(&state->lease, gd_state_header(state));
    if (holder == 0 || holder == GD_LEASE_DAEMON) {
        entry->said = 0;
        return 1;
    }
    if (!entry->said)
        gd_log_info("checkpoint", "session %u is editing %s: its checkpoint waits", holder, state->name);
    entry->said = 1;
    entry->again_ns = now_ns + AGAIN_NS;
    return 0;
}

/* ---- the clock ---- */

static void forget_gone(struct gd_checkpoints *c)
{
    size_t cursor = 0;
    struct entry *entry;
    while ((entry = gd_table_next(&c->entries, &cursor)) != NULL) {
        if (gd_registry_find_uuid(&c->service->registry, entry->uuid, NULL) == NULL)
            free(gd_table_remove(&c->entries, entry->uuid, sizeof entry->uuid));
    }
}

void gd_checkpoints_tick(struct gd_checkpoints *c, uint64_t now_ns)
{
    if (c == NULL || c->service->stopping)
        return;
    if (now_ns >= c->next_ns) {
        c->round++;
        c->next_ns = now_ns + (uint64_t)(c->service->settings.checkpoint_interval * 1e9);
        forget_gone(c);
    }
    size_t cursor = 0;
    struct gd_state *state;
    while (c->state == NULL && (state = gd_table_next(&c->service->registry.by_name, &cursor)) != NULL) {
        struct entry *entry = entry_of(c, state);
        if (entry != NULL && is_due(c, state, entry, now_ns))
            take(c, state, entry, now_ns);
    }
}

int gd_checkpoints_busy(const struct gd_checkpoints *c)
{
    return c != NULL && c->writing;
}

/* ---- life ---- */

/* A folder to write to, made if it is missing: a file is made in it and taken away again. */
static int need_directory(const char *path, struct gd_err *err)
{
    char file[PATH_MAX];
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "checkpoint_dir %s cannot be made", path);
    snprintf(file, sizeof file, "%s/.gromosd-XXXXXX", path);
    int fd = mkstemp(file);
    if (fd < 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "checkpoint_dir %s cannot be written to", path);
    close(fd);
    unlink(file);
    return 0;
}

int gd_checkpoints_create(struct gd_checkpoints **out, struct gd_service *service, struct gd_err *err)
{
    const struct gd_settings *settings = &service->settings;
    if (settings->checkpoint_dir[0] == '\0')
        return 0;
    int code = need_directory(settings->checkpoint_dir, err);
    if (code != 0 && service->registry.by_uuid.used == 0)
        return gd_settings_blame(settings, GD_SETTING_checkpoint_dir, err);
    if (code != 0)
        gd_log_warn("checkpoint", "%s; the States that were taken over are served without", err->text);
    struct gd_checkpoints *c = calloc(1, sizeof *c);
    if (c == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for checkpoints");
    c->service = service;
    c->next_ns = gd_now_ns() + (uint64_t)(settings->checkpoint_interval * 1e9);
    gd_table_init(&c->entries);
    *out = c;
    return 0;
}

void gd_checkpoints_free(struct gd_checkpoints **pointer)
{
    struct gd_checkpoints *c = *pointer;
    *pointer = NULL;
    if (c == NULL)
        return;
    size_t cursor = 0;
    struct entry *entry;
    while ((entry = gd_table_next(&c->entries, &cursor)) != NULL)
        free(entry);
    gd_table_free(&c->entries);
    free(c);
}
