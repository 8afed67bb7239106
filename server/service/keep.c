#include "service/keep.h"

#include "core/check.h"
#include "core/frames.h"
#include "core/kept.h"
#include "core/log.h"
#include "core/uuid.h"
#include "service/charges.h"
#include "service/edit.h"
#include "service/job_keep.h"
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

#define FIRST_FD 3
#define NAME_BYTES 40
#define QUEUE 4096
/* All names come back in one variable of the environment, and the kernel starts no program with one of more than 128 KiB: a holder with more
 * names than that would lose everything. */
#define ALL_NAMES_BYTES (128u * 1024u - 256u)

enum role { ROLE_KEPT, ROLE_LIVE, ROLE_UNDO, ROLE_FRAMES, ROLE_COUNTERS, ROLE_LOCK, ROLE_RUN, ROLE_JOB, ROLE_ENGINE, NUM_ROLES };
static const char *const role_names[NUM_ROLES] = {"kept", "live", "undo", "frames", "counters", "lock", "run", "job", "engine"};
static const char role_letters[] = "klufcorje";

#define NO_STATE 0u /* the place of what belongs to the daemon: counters, lock, jobs */

/* A descriptor that came back at the start. */
struct survivor {
    int fd; /* -1: taken */
    uint32_t place; /* the State's, or NO_STATE */
    enum role role;
    uint64_t number;
    char name[NAME_BYTES];
};

/* A message that waits; fd is a duplicate of its own, or -1. */
struct pending {
    int fd;
    char text[NAME_BYTES + 64];
};

struct gd_keep {
    struct gd_service *service;
    int socket; /* -1: no holder */
    int lost;   /* the holder is gone */
    struct sockaddr_un holder;
    socklen_t holder_bytes;
    struct pending queue[QUEUE];
    size_t first, count;
    int overflowed;
    size_t num_names, name_bytes; /* of what it was given, also of what did not fit */
    size_t max_names;             /* as the holder says */
    uint32_t last_place;
    struct survivor *survivors;
    size_t num_survivors;
    struct gd_segment counters;
};

/* ---- sending ---- */

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
    if (!keep->lost)
        gd_log_warn("keep", "the holder of the segments is gone (%s): States would not survive this process", strerror(errno));
    keep->lost = 1;
    return -1;
}

void gd_keep_tick(struct gd_keep *keep)
{
    while (keep->count > 0) {
        struct pending *next = &keep->queue[keep->first];
        if (send_now(keep, next->text, next->fd) > 0)
            return;
        if (next->fd >= 0)
            close(next->fd);
        keep->first = (keep->first + 1) % QUEUE;
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
    if (keep->count == QUEUE) {
        if (!keep->overflowed)
            gd_log_error("keep", "the holder takes nothing any more: some segments are not protected");
        keep->overflowed = 1;
        return;
    }
    struct pending *last = &keep->queue[(keep->first + keep->count++) % QUEUE];
    last->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    snprintf(last->text, sizeof last->text, "%s", text);
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

static void make_name(char out[NAME_BYTES], uint32_t place, enum role role, uint64_t number)
{
    char state[14], last[14];
    put_base36(state, place);
    put_base36(last, number);
    snprintf(out, NAME_BYTES, "%s.%c%s", state, role_letters[role], last);
}

static void store_name(struct gd_keep *keep, const char *name, int fd)
{
    char text[NAME_BYTES + 64];
    keep->num_names++;
    keep->name_bytes += strlen(name) + 1;
    if (keep->num_names > keep->max_names || keep->name_bytes > ALL_NAMES_BYTES) {
        if (!keep->overflowed)
            gd_log_error("keep", "the holder has room for no more than %zu descriptors: some segments are not protected", keep->num_names - 1);
        keep->overflowed = 1;
        return;
    }
    snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    post(keep, text, fd);
}

static void drop_name(struct gd_keep *keep, const char *name)
{
    char text[NAME_BYTES + 64];
    keep->num_names--;
    keep->name_bytes -= strlen(name) + 1;
    snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    post(keep, text, -1);
}

static void store(struct gd_keep *keep, uint32_t place, enum role role, uint64_t number, int fd)
{
    char name[NAME_BYTES];
    make_name(name, place, role, number);
    store_name(keep, name, fd);
}

static void drop(struct gd_keep *keep, uint32_t place, enum role role, uint64_t number)
{
    char name[NAME_BYTES];
    make_name(name, place, role, number);
    drop_name(keep, name);
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
    store(keep, state->handed.place, ROLE_LIVE, state->generation, state->live.fd);
    gd_kept_update(state); /* from here on the new generation counts */
    if (handed->live >= 0)
        drop(keep, state->handed.place, ROLE_LIVE, handed->generation);
    if (handed->undo >= 0)
        drop(keep, state->handed.place, ROLE_UNDO, handed->generation);
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
        store(keep, state->handed.place, ROLE_KEPT, 0, state->kept.fd);
        handed->kept = state->kept.fd;
    }
    if (state->undo.fd >= 0 && handed->undo != state->undo.fd) {
        store(keep, state->handed.place, ROLE_UNDO, state->generation, state->undo.fd);
        handed->undo = state->undo.fd;
    }
    int ring_fd = state->ring != NULL ? state->ring->segment.fd : -1;
    if (handed->ring == ring_fd && (ring_fd < 0 || handed->ring_id == state->ring_id))
        return;
    if (ring_fd >= 0)
        store(keep, state->handed.place, ROLE_FRAMES, state->ring_id, ring_fd);
    gd_kept_update(state);
    if (handed->ring >= 0)
        drop(keep, state->handed.place, ROLE_FRAMES, handed->ring_id);
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
    struct gd_err err = {0};
    if (!gd_keep_used(keep))
        return;
    if (state->handed.kept >= 0)
        drop(keep, state->handed.place, ROLE_KEPT, 0);
    state->handed.kept = -1;
    if (gd_kept_create(state, &err) != 0)
        gd_log_warn("keep", "a State will not survive this process: %s", err.text);
    gd_keep_sync(keep, state);
}

void gd_keep_forget(struct gd_keep *keep, struct gd_state *state)
{
    struct gd_handed *handed = &state->handed;
    if (!gd_keep_used(keep))
        return;
    if (handed->kept >= 0) /* first: without it the rest is nothing */
        drop(keep, state->handed.place, ROLE_KEPT, 0);
    if (handed->live >= 0)
        drop(keep, state->handed.place, ROLE_LIVE, handed->generation);
    if (handed->undo >= 0)
        drop(keep, state->handed.place, ROLE_UNDO, handed->generation);
    if (handed->ring >= 0)
        drop(keep, state->handed.place, ROLE_FRAMES, handed->ring_id);
    if (handed->run != 0)
        drop(keep, state->handed.place, ROLE_RUN, handed->run);
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
    store(keep, NO_STATE, ROLE_JOB, number, fd);
}

void gd_keep_store_engine(struct gd_keep *keep, uint64_t number, int fd)
{
    store(keep, NO_STATE, ROLE_ENGINE, number, fd);
}

void gd_keep_drop_job(struct gd_keep *keep, uint64_t number, int has_engine)
{
    drop(keep, NO_STATE, ROLE_JOB, number);
    if (has_engine)
        drop(keep, NO_STATE, ROLE_ENGINE, number);
}

/* A run's state in a segment; the engine's bytes carry a checksum of their own. */
struct kept_run {
    struct gd_segment_head head;
    uint64_t version, fingerprint, bytes;
};
#define RUN_OFFSET 256u
_Static_assert(sizeof(struct kept_run) <= RUN_OFFSET, "the head fits before the data");

void gd_keep_run(struct gd_keep *keep, struct gd_state *state)
{
    const struct gd_run_state *run = &state->run_state;
    struct gd_segment segment;
    struct gd_err err = {0};
    if (!gd_keep_used(keep) || state->deleted || run->bytes == 0 || run->version == state->handed.run)
        return;
    if (gd_segment_create(&segment, "gromosd-run", RUN_OFFSET + run->bytes, 0, &err) != 0) {
        gd_log_warn("keep", "the end of a run will not survive this process: %s", err.text);
        return;
    }
    struct kept_run *kept = segment.base;
    kept->version = run->version;
    kept->fingerprint = run->fingerprint;
    kept->bytes = run->bytes;
    memcpy((char *)segment.base + RUN_OFFSET, run->data, run->bytes);
    memcpy(kept->head.uuid, state->uuid, sizeof kept->head.uuid);
    atomic_store_explicit(&kept->head.layout, GD_LAYOUT, memory_order_release);
    store(keep, state->handed.place, ROLE_RUN, run->version, segment.fd);
    if (state->handed.run != 0)
        drop(keep, state->handed.place, ROLE_RUN, state->handed.run);
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

static void adopt_counters(struct gd_keep *keep)
{
    struct gd_service *service = keep->service;
    struct gd_kept_counters *counters = keep->counters.base;
    service->next_session = (uint32_t)(atomic_load(&counters->next_session) & GD_LEASE_HOLDER);
    if (service->next_session <= GD_LEASE_DAEMON)
        service->next_session = GD_LEASE_DAEMON + 1;
    /* A worker may have used a number and died before it wrote it down. */
    atomic_store(&service->registry.next_ring_id, (uint32_t)atomic_load(&counters->next_ring_id) + 16);
    service->next_session += 16;
    service->next_fence = atomic_load(&counters->next_fence) + 16;
    gd_jobs_count_from(service->jobs, atomic_load(&counters->next_job));
    atomic_fetch_add(&counters->starts, 1);
}

static void make_counters(struct gd_keep *keep)
{
    struct gd_err err = {0};
    if (gd_segment_create(&keep->counters, "gromosd-counters", sizeof(struct gd_kept_counters), 0, &err) != 0) {
        gd_log_warn("keep", "counters will not survive this process: %s", err.text);
        return;
    }
    struct gd_segment_head *head = keep->counters.base;
    head->segment_bytes = keep->counters.bytes;
    atomic_store_explicit(&head->layout, GD_LAYOUT, memory_order_release);
    store(keep, NO_STATE, ROLE_COUNTERS, 0, keep->counters.fd);
    gd_keep_counters(keep);
}

/* ---- coming back ---- */

static int parse_name(struct survivor *out, const char *name)
{
    char *end;
    unsigned long long place = strtoull(name, &end, 36);
    const char *letter = *end == '.' && end[1] != '\0' ? strchr(role_letters, end[1]) : NULL;
    if (end == name || place > UINT32_MAX || letter == NULL || strlen(name) >= sizeof out->name)
        return -1;
    out->place = (uint32_t)place;
    out->role = (enum role)(letter - role_letters);
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
        struct survivor *survivor = &keep->survivors[keep->num_survivors];
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
    for (; keep->count > 0; keep->count--, keep->first = (keep->first + 1) % QUEUE) {
        if (keep->queue[keep->first].fd >= 0)
            close(keep->queue[keep->first].fd);
    }
    gd_segment_close(&keep->counters);
    if (keep->socket >= 0)
        close(keep->socket);
    free(keep->survivors);
    free(keep);
}

static struct survivor *find(struct gd_keep *keep, uint32_t place, enum role role, uint64_t number)
{
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct survivor *s = &keep->survivors[i];
        if (s->fd >= 0 && s->place == place && s->role == role && s->number == number)
            return s;
    }
    return NULL;
}

int gd_keep_take_lock(struct gd_keep *keep)
{
    struct survivor *lock = find(keep, NO_STATE, ROLE_LOCK, 0);
    if (lock == NULL)
        return -1;
    int fd = lock->fd;
    lock->fd = -1;
    return fd;
}

static int adopt_segment(struct gd_keep *keep, uint32_t place, enum role role, uint64_t number, struct gd_segment *out, struct gd_err *err)
{
    struct survivor *survivor = find(keep, place, role, number);
    if (survivor == NULL)
        return gd_err_set(err, GD_E_NOT_FOUND, "its %s segment (number %llu) did not survive", role_names[role], (unsigned long long)number);
    int code = gd_segment_adopt(out, survivor->fd, err);
    if (code == 0)
        survivor->fd = -1;
    return code;
}

/* The edit somebody had begun when the daemon died. A client that held the lease may still be writing, also one that was just being
 * evicted (its word seized, the segment stale): new generation. The daemon itself is gone for certain: rolled back in place. */
static int settle_lease(struct gd_keep *keep, struct gd_state *state, const struct gd_frame_view *newest, struct gd_err *err)
{
    struct gd_live_header *live = gd_state_header(state);
    uint32_t holder = 0;
    struct gd_rollback_report report;
    if (gd_lease_adopt(&state->lease, live, &holder) == GD_LEASE_FINE)
        return 0;
    int code = 0;
    if (holder == GD_LEASE_DAEMON && (atomic_load(&live->flags) & GD_STATE_STALE) == 0) {
        gd_state_rollback(state, newest, &report);
        atomic_store(&live->lease, 0);
    } else {
        code = gd_state_new_generation(state, newest, gd_registry_ring_id(&keep->service->registry), gd_now_ns(), &report, err);
    }
    if (code == 0)
        gd_log_info("keep", "an edit of session %u was under way when the daemon died: rollback %s", holder,
                    gd_rollback_outcome_name(report.outcome));
    return code;
}

/* The newest run that survived. Without one, or without memory, the next run starts from positions and velocities. */
static void adopt_run(struct gd_keep *keep, struct gd_state *state)
{
    struct survivor *newest = NULL;
    struct gd_segment segment = GD_SEGMENT_NONE;
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct survivor *s = &keep->survivors[i];
        if (s->fd >= 0 && s->role == ROLE_RUN && s->place == state->handed.place && (newest == NULL || s->number > newest->number))
            newest = s;
    }
    if (newest == NULL || adopt_segment(keep, state->handed.place, ROLE_RUN, newest->number, &segment, NULL) != 0)
        return;
    const struct kept_run *kept = segment.base;
    state->handed.run = newest->number;
    void *data = NULL;
    if (atomic_load_explicit(&kept->head.layout, memory_order_acquire) == GD_LAYOUT && kept->bytes > 0 && kept->bytes <= segment.bytes - RUN_OFFSET &&
        (data = malloc(kept->bytes)) != NULL) {
        memcpy(data, (const char *)segment.base + RUN_OFFSET, kept->bytes);
        state->run_state = (struct gd_run_state){data, kept->bytes, kept->version, kept->fingerprint};
    }
    gd_segment_close(&segment);
}

static int adopt_state(struct gd_keep *keep, struct survivor *kept, struct gd_err *err)
{
    struct gd_service *service = keep->service;
    struct gd_segment segment = GD_SEGMENT_NONE, frames = GD_SEGMENT_NONE;
    struct gd_frame_view newest, *has_newest = NULL;
    struct gd_state *state = NULL;
    int code = gd_segment_adopt(&segment, kept->fd, err);
    if (code != 0)
        return code;
    kept->fd = -1;
    code = gd_kept_restore(&segment, &state, err);
    if (code == 0)
        code = adopt_segment(keep, kept->place, ROLE_LIVE, state->generation, &segment, err);
    if (code == 0)
        code = gd_state_adopt_live(state, &segment, err);
    if (code != 0)
        goto fail;
    if (adopt_segment(keep, kept->place, ROLE_UNDO, state->generation, &state->undo, NULL) == 0 && state->undo.bytes != state->live.bytes) {
        gd_segment_close(&state->undo);
        drop(keep, kept->place, ROLE_UNDO, state->generation);
    }
    if (adopt_segment(keep, kept->place, ROLE_FRAMES, state->ring_id, &frames, NULL) == 0 &&
        gd_frames_check(frames.base, frames.bytes, &gd_state_header(state)->head, NULL) == 0 && gd_frames_newest(frames.base, &newest) == 0) {
        has_newest = &newest;
        if (newest.sequence >= state->next_sequence)
            state->next_sequence = newest.sequence + 1;
    }
    state->created_ns = gd_now_ns();
    state->handed = (struct gd_handed){.place = kept->place, .kept = state->kept.fd, .live = state->live.fd, .undo = state->undo.fd, .ring = frames.fd,
                                       .generation = state->generation, .ring_id = state->ring_id};
    gd_lease_init(&state->lease, &service->lease_hooks);
    /* A commit announces its frame before its version: one that died between the two was complete and may have been seen. */
    if (has_newest != NULL && newest.header->version > gd_state_version(state))
        gd_live_commit(gd_state_header(state), newest.header->version);
    code = settle_lease(keep, state, has_newest, err);
    if (code != 0)
        goto fail;
    state->ring_id = gd_registry_ring_id(&service->registry); /* the old ring is not written any more */
    state->version = gd_state_version(state);
    adopt_run(keep, state);
    code = gd_registry_add(&service->registry, state, err);
    if (code != 0)
        goto fail;
    (void)gd_charge_begin(service, state, NULL, NULL);
    state->run_bytes = 2 * state->run_state.bytes; /* there already, whatever the limits are now */
    gd_charge_settle(service, state);
    gd_keep_sync(keep, state);
    gd_keep_update(keep, state);
    gd_segment_close(&frames);
    gd_live_wake(gd_state_header(state));
    gd_state_unref(&state);
    return 0;
fail:
    gd_segment_close(&segment);
    gd_segment_close(&frames);
    gd_state_unref(&state);
    return code;
}

static void adopt_job(struct gd_keep *keep, struct survivor *survivor)
{
    struct gd_segment job = GD_SEGMENT_NONE, engine = GD_SEGMENT_NONE;
    struct gd_job_kept *kept = NULL;
    struct gd_err err = {0};
    int code = adopt_segment(keep, NO_STATE, ROLE_JOB, survivor->number, &job, &err);
    if (code == 0)
        (void)adopt_segment(keep, NO_STATE, ROLE_ENGINE, survivor->number, &engine, NULL);
    if (code == 0)
        code = gd_job_kept_adopt(&kept, keep, &job, &engine, &err);
    if (code == 0) {
        gd_jobs_adopt(keep->service->jobs, gd_registry_find_uuid(&keep->service->registry, gd_job_kept_uuid(kept), NULL), kept);
        return;
    }
    gd_log_error("keep", "job %llu could not be taken up again and is set aside: %s", (unsigned long long)survivor->number, err.text);
    if (survivor->fd < 0) /* what was not taken ends with what belongs to nothing */
        gd_keep_drop_job(keep, survivor->number, engine.fd >= 0);
    gd_segment_close(&job);
    gd_segment_close(&engine);
}

/* What could not be taken up is not offered again at the next start. */
static void set_aside_all(struct gd_keep *keep, uint32_t place)
{
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct survivor *survivor = &keep->survivors[i];
        if (survivor->place != place)
            continue;
        drop_name(keep, survivor->name);
        if (survivor->fd >= 0)
            close(survivor->fd);
        survivor->fd = -1;
    }
}

void gd_keep_adopt(struct gd_keep *keep)
{
    size_t taken = 0, set_aside = 0;
    if (keep->socket < 0)
        return;
    if (adopt_segment(keep, NO_STATE, ROLE_COUNTERS, 0, &keep->counters, NULL) == 0 && keep->counters.bytes >= sizeof(struct gd_kept_counters))
        adopt_counters(keep);
    else
        make_counters(keep);
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct survivor *survivor = &keep->survivors[i];
        struct gd_err err = {0};
        if (survivor->fd < 0 || survivor->role != ROLE_KEPT)
            continue;
        if (adopt_state(keep, survivor, &err) == 0) {
            taken++;
        } else {
            set_aside++;
            set_aside_all(keep, survivor->place);
            gd_log_error("keep", "%s could not be taken up again and is set aside: %s", survivor->name, err.text);
        }
    }
    for (size_t i = 0; i < keep->num_survivors; i++) {
        if (keep->survivors[i].fd >= 0 && keep->survivors[i].role == ROLE_JOB)
            adopt_job(keep, &keep->survivors[i]);
    }
    /* What belongs to nothing any more. */
    for (size_t i = 0; i < keep->num_survivors; i++) {
        struct survivor *survivor = &keep->survivors[i];
        if (survivor->fd < 0)
            continue;
        drop_name(keep, survivor->name);
        close(survivor->fd);
        survivor->fd = -1;
    }
    gd_keep_counters(keep);
    if (taken + set_aside > 0)
        gd_log_info("keep", "took up %zu States again, set %zu aside", taken, set_aside);
}
