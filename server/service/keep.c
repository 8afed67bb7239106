/* See keep.h: what the holder is told, and life. keep_adopt.c takes up what it gives back. */
#include "service/keep_internal.h"

#include "core/kept.h"
#include "core/log.h"
#include "service/jobs.h"
#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_NS 1000000000ull
#define FIRST_FD 3
/* All names come back in one variable of the environment, and the kernel starts no program with one of more than 128 KiB: a holder with more
 * names than that would lose everything. */
#define ALL_NAMES_BYTES (128u * 1024u - 256u)

static const char role_letters[] = "klufcorje";

/* ---- sending ---- */

static void lose(struct gd_keep *keep, int why)
{
    if (keep->lost)
        return;
    gd_log_warn("keep", "the holder of the segments is gone (%s): States would not survive this process", strerror(why));
    keep->lost = 1;
    gd_instance_claim(&keep->service->instance); /* the holder's number stands in the lock */
}

static int send_now(struct gd_keep *keep, const char *text, int fd)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_name = &keep->holder, .msg_namelen = keep->holder_bytes, .msg_iov = &part, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    if (sendmsg(keep->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ETOOMANYREFS)
        return 1;
    lose(keep, errno);
    return -1;
}

void gd_keep_look(struct gd_keep *keep, uint64_t now_ns)
{
    if (keep->socket < 0 || keep->lost || now_ns - keep->looked_ns < LOOK_NS)
        return;
    keep->looked_ns = now_ns;
    int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return; /* out of descriptors: that says nothing about the holder */
    if (connect(probe, (const struct sockaddr *)&keep->holder, keep->holder_bytes) != 0 && (errno == ECONNREFUSED || errno == ENOENT))
        lose(keep, errno);
    close(probe);
}

void gd_keep_tick(struct gd_keep *keep)
{
    while (keep->count > 0) {
        struct gd_keep_pending *next = &keep->queue[keep->first];
        if (send_now(keep, next->text, next->fd) > 0) {
            gd_service_tick_soon(keep->service); /* what waits here would be lost with this process */
            return;
        }
        if (next->fd >= 0)
            close(next->fd);
        keep->first = (keep->first + 1) % GD_KEEP_QUEUE;
        keep->count--;
    }
}

static void post(struct gd_keep *keep, const char *text, int fd)
{
    if (keep->socket < 0 || keep->lost)
        return;
    gd_keep_tick(keep);
    if (keep->count == 0 && send_now(keep, text, fd) <= 0)
        return;
    if (keep->count == GD_KEEP_QUEUE) {
        if (!keep->overflowed)
            gd_log_error("keep", "the holder takes nothing any more: some segments are not protected");
        keep->overflowed = 1;
        return;
    }
    struct gd_keep_pending *last = &keep->queue[(keep->first + keep->count++) % GD_KEEP_QUEUE];
    last->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    snprintf(last->text, sizeof last->text, "%s", text);
    gd_service_tick_soon(keep->service);
}

static void put_base36(char out[14], uint64_t number)
{
    char digits[13];
    int n = 0, k = 0;
    do
        digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[number % 36];
    while ((number /= 36) != 0);
    while (n > 0)
        out[k++] = digits[--n];
    out[k] = '\0';
}

static void make_name(char out[GD_KEEP_NAME], uint32_t place, enum gd_keep_role role, uint64_t number)
{
    char state[14], last[14];
    put_base36(state, place);
    put_base36(last, number);
    snprintf(out, GD_KEEP_NAME, "%s.%c%s", state, role_letters[role], last);
}

static void store_name(struct gd_keep *keep, const char *name, int fd)
{
    char text[GD_KEEP_NAME + 64];
    keep->num_names++;
    keep->name_bytes += strlen(name) + 1;
    if (keep->num_names > keep->max_names || keep->name_bytes > ALL_NAMES_BYTES) {
        if (!keep->overflowed)
            gd_log_error("keep", "the holder has room for no more than %zu descriptors: some segments are not protected",
                         keep->num_names - 1);
        keep->overflowed = 1;
        return;
    }
    snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    post(keep, text, fd);
}

void gd_keep_drop_name(struct gd_keep *keep, const char *name)
{
    char text[GD_KEEP_NAME + 64];
    keep->num_names--;
    keep->name_bytes -= strlen(name) + 1;
    snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    post(keep, text, -1);
}

void gd_keep_store(struct gd_keep *keep, uint32_t place, enum gd_keep_role role, uint64_t number, int fd)
{
    char name[GD_KEEP_NAME];
    make_name(name, place, role, number);
    store_name(keep, name, fd);
}

void gd_keep_drop(struct gd_keep *keep, uint32_t place, enum gd_keep_role role, uint64_t number)
{
    char name[GD_KEEP_NAME];
    make_name(name, place, role, number);
    gd_keep_drop_name(keep, name);
}

void gd_keep_tell(struct gd_keep *keep, const char *line)
{
    post(keep, line, -1);
}

int gd_keep_used(const struct gd_keep *keep)
{
    return keep->socket >= 0;
}

int gd_keep_protected(const struct gd_keep *keep)
{
    return keep->socket >= 0 && !keep->lost && !keep->overflowed && keep->count == 0;
}

/* ---- what the holder has of a State ---- */

static void sync_live(struct gd_keep *keep, struct gd_state *state)
{
    struct gd_handed *handed = &state->handed;
    if (handed->generation == state->generation && handed->live == state->live.fd)
        return;
    gd_keep_store(keep, state->handed.place, GD_KEEP_LIVE, state->generation, state->live.fd);
    gd_kept_update(state); /* from here on the new generation counts */
    if (handed->live >= 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_LIVE, handed->generation);
    if (handed->undo >= 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_UNDO, handed->generation);
    handed->undo = -1;
    handed->live = state->live.fd;
    handed->generation = state->generation;
}

void gd_keep_sync(struct gd_keep *keep, struct gd_state *state)
{
    struct gd_handed *handed = &state->handed;
    struct gd_err err = {0};
    if (!gd_keep_used(keep) || state->deleted)
        return;
    if (handed->place == 0)
        handed->place = ++keep->last_place;
    if (state->kept.fd < 0) {
        if (gd_kept_create(state, &err) != 0) {
            gd_log_warn("keep", "a State will not survive this process: %s", err.text);
            return;
        }
    }
    sync_live(keep, state);
    if (handed->kept != state->kept.fd) { /* after the live segment: a State whose record survived is whole */
        gd_keep_store(keep, state->handed.place, GD_KEEP_KEPT, handed->kept_number, state->kept.fd);
        handed->kept = state->kept.fd;
    }
    if (state->undo.fd >= 0 && handed->undo != state->undo.fd) {
        gd_keep_store(keep, state->handed.place, GD_KEEP_UNDO, state->generation, state->undo.fd);
        handed->undo = state->undo.fd;
    }
    int ring_fd = state->ring != NULL ? state->ring->segment.fd : -1;
    if (handed->ring == ring_fd && (ring_fd < 0 || handed->ring_id == state->ring_id))
        return;
    if (ring_fd >= 0)
        gd_keep_store(keep, state->handed.place, GD_KEEP_FRAMES, state->ring_id, ring_fd);
    gd_kept_update(state);
    if (handed->ring >= 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_FRAMES, handed->ring_id);
    handed->ring = ring_fd;
    handed->ring_id = state->ring_id;
}

void gd_keep_update(struct gd_keep *keep, struct gd_state *state)
{
    if (gd_keep_used(keep))
        gd_kept_update(state);
}

void gd_keep_renew(struct gd_keep *keep, struct gd_state *state)
{
    struct gd_handed *handed = &state->handed;
    struct gd_err err = {0};
    int had = handed->kept >= 0;
    uint32_t before = handed->kept_number;
    if (!gd_keep_used(keep))
        return;
    if (gd_kept_create(state, &err) != 0) {
        gd_log_warn("keep", "molecules of a State will not survive this process: %s", err.text);
        return;
    }
    handed->kept = -1;
    handed->kept_number = before + (had ? 1 : 0);
    gd_keep_sync(keep, state);
    if (had) /* after the new one: without any the State would be lost if this process died just now */
        gd_keep_drop(keep, handed->place, GD_KEEP_KEPT, before);
}

void gd_keep_forget(struct gd_keep *keep, struct gd_state *state)
{
    struct gd_handed *handed = &state->handed;
    if (!gd_keep_used(keep))
        return;
    if (handed->kept >= 0) /* first: without it the rest is nothing */
        gd_keep_drop(keep, state->handed.place, GD_KEEP_KEPT, handed->kept_number);
    if (handed->live >= 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_LIVE, handed->generation);
    if (handed->undo >= 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_UNDO, handed->generation);
    if (handed->ring >= 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_FRAMES, handed->ring_id);
    if (handed->run != 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_RUN, handed->run);
    handed->run = 0;
    handed->kept = handed->live = handed->undo = handed->ring = -1;
}

/* ---- jobs and what they leave ---- */

int gd_keep_is_on(const struct gd_keep *keep)
{
    return gd_keep_used(keep);
}

void gd_keep_store_job(struct gd_keep *keep, uint64_t number, int fd)
{
    gd_keep_store(keep, GD_KEEP_NO_STATE, GD_KEEP_JOB, number, fd);
}

void gd_keep_store_engine(struct gd_keep *keep, uint64_t number, int fd)
{
    gd_keep_store(keep, GD_KEEP_NO_STATE, GD_KEEP_ENGINE, number, fd);
}

void gd_keep_drop_job(struct gd_keep *keep, uint64_t number, int has_engine)
{
    gd_keep_drop(keep, GD_KEEP_NO_STATE, GD_KEEP_JOB, number);
    if (has_engine)
        gd_keep_drop(keep, GD_KEEP_NO_STATE, GD_KEEP_ENGINE, number);
}

void gd_keep_run(struct gd_keep *keep, struct gd_state *state)
{
    const struct gd_run_state *run = &state->run_state;
    struct gd_segment segment;
    struct gd_err err = {0};
    if (!gd_keep_used(keep) || state->deleted || run->bytes == 0 || run->version == state->handed.run)
        return;
    if (gd_segment_create(&segment, "gromosd-run", GD_KEEP_RUN_OFFSET + run->bytes, 0, &err) != 0) {
        gd_log_warn("keep", "the end of a run will not survive this process: %s", err.text);
        return;
    }
    struct gd_kept_run *kept = segment.base;
    kept->version = run->version;
    kept->fingerprint = run->fingerprint;
    kept->bytes = run->bytes;
    memcpy((char *)segment.base + GD_KEEP_RUN_OFFSET, run->data, run->bytes);
    memcpy(kept->head.uuid, state->uuid, sizeof kept->head.uuid);
    atomic_store_explicit(&kept->head.layout, GD_LAYOUT, memory_order_release);
    gd_keep_store(keep, state->handed.place, GD_KEEP_RUN, run->version, segment.fd);
    if (state->handed.run != 0)
        gd_keep_drop(keep, state->handed.place, GD_KEEP_RUN, state->handed.run);
    state->handed.run = run->version;
    gd_segment_close(&segment);
}

/* ---- counters ---- */

void gd_keep_counters(struct gd_keep *keep)
{
    if (keep->counters.fd < 0)
        return;
    struct gd_kept_counters *counters = keep->counters.base;
    const struct gd_service *service = keep->service;
    atomic_store(&counters->next_session, service->next_session);
    atomic_store(&counters->next_ring_id, atomic_load(&service->registry.next_ring_id));
    atomic_store(&counters->next_fence, service->next_fence);
    atomic_store(&counters->next_job, gd_jobs_last_number(service->jobs));
}

/* ---- life ---- */

static int parse_name(struct gd_survivor *out, const char *name)
{
    char *end;
    unsigned long long place = strtoull(name, &end, 36);
    const char *letter = *end == '.' && end[1] != '\0' ? strchr(role_letters, end[1]) : NULL;
    if (end == name || place > UINT32_MAX || letter == NULL || strlen(name) >= sizeof out->name)
        return -1;
    out->place = (uint32_t)place;
    out->role = (enum gd_keep_role)(letter - role_letters);
    name = end + 2;
    out->number = strtoull(name, &end, 36);
    return *name != '\0' && *end == '\0' ? 0 : -1;
}

static int read_environment(struct gd_keep *keep, struct gd_err *err)
{
    const char *count_text = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID"), *names = getenv("LISTEN_FDNAMES");
    long count = count_text != NULL && pid != NULL && strtol(pid, NULL, 10) == (long)getpid() ? strtol(count_text, NULL, 10) : 0;
    const char *most = getenv("FDSTORE"); /* systemd 254 and later say how many they take */
    keep->max_names = most != NULL && strtoul(most, NULL, 10) > 0 ? strtoul(most, NULL, 10) : SIZE_MAX;
    if (count <= 0 || count > 1000000 || names == NULL)
        return 0;
    keep->survivors = calloc((size_t)count, sizeof *keep->survivors);
    char *list = strdup(names), *rest = list;
    if (keep->survivors == NULL || list == NULL) {
        free(list);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %ld kept descriptors", count);
    }
    for (long i = 0; i < count; i++) {
        char *name = strsep(&rest, ":");
        int fd = FIRST_FD + (int)i;
        struct gd_survivor *survivor = &keep->survivors[keep->num_survivors];
        if (name != NULL && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && parse_name(survivor, name) == 0) {
            strcpy(survivor->name, name);
            survivor->fd = fd;
            keep->num_survivors++;
            keep->num_names++;
            keep->name_bytes += strlen(name) + 1;
            keep->last_place = survivor->place > keep->last_place ? survivor->place : keep->last_place;
        } else {
            gd_log_warn("keep", "kept descriptor %d ('%s') is not one of ours: set aside", fd, name != NULL ? name : "");
            close(fd);
        }
    }
    free(list);
    return 0;
}

static int open_socket(struct gd_keep *keep, struct gd_err *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0')
        return 0;
    size_t length = strlen(path);
    if (length >= sizeof keep->holder.sun_path)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "$NOTIFY_SOCKET is longer than a socket's path may be");
    keep->holder.sun_family = AF_UNIX;
    memcpy(keep->holder.sun_path, path, length);
    keep->holder_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@'));
    if (path[0] == '@')
        keep->holder.sun_path[0] = '\0';
    keep->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return keep->socket >= 0 ? 0 : gd_err_errno(err, GD_E_INTERNAL, "cannot make a socket to the holder");
}

int gd_keep_create(struct gd_keep **out, struct gd_service *service, struct gd_err *err)
{
    struct gd_keep *keep = calloc(1, sizeof *keep);
    if (keep == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the keeper's queue");
    keep->service = service;
    keep->socket = -1;
    keep->counters = GD_SEGMENT_NONE;
    int code = open_socket(keep, err);
    if (code == 0)
        code = read_environment(keep, err);
    if (code != 0) {
        gd_keep_free(&keep);
        return code;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    unsetenv("FDSTORE");
    *out = keep;
    return 0;
}

void gd_keep_free(struct gd_keep **pointer)
{
    struct gd_keep *keep = *pointer;
    *pointer = NULL;
    if (keep == NULL)
        return;
    for (size_t i = 0; i < keep->num_survivors; i++) {
        if (keep->survivors[i].fd >= 0)
            close(keep->survivors[i].fd);
    }
    for (; keep->count > 0; keep->count--, keep->first = (keep->first + 1) % GD_KEEP_QUEUE) {
        if (keep->queue[keep->first].fd >= 0)
            close(keep->queue[keep->first].fd);
    }
    gd_segment_close(&keep->counters);
    if (keep->socket >= 0)
        close(keep->socket);
    free(keep->survivors);
    free(keep);
}
