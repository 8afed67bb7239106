#include "service/keeper.h"

#include "core/log.h"
#include "service/instance.h"
#include "service/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FD 3
#define NAME_BYTES 40
#define HEALTHY_NS 1000000000ull
#define FIRST_DELAY_MS 100
#define LONGEST_DELAY_MS 10000

struct stored {
    int fd;
    char name[NAME_BYTES];
};

struct keeper {
    const struct gd_settings *settings;
    char **argv;
    struct gd_instance instance;
    char socket_name[64]; /* abstract: @..., so that it ends with this process */
    int socket, signals, ready_fd;
    struct stored *stored;
    size_t count, capacity;
    pid_t worker;
    uint64_t started_ns;
    int stopping;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* ---- the store ---- */

static void add(struct keeper *keeper, const char *name, int fd)
{
    if (keeper->count == keeper->capacity) {
        size_t capacity = keeper->capacity == 0 ? 64 : 2 * keeper->capacity;
        struct stored *grown = realloc(keeper->stored, capacity * sizeof *grown);
        if (grown == NULL) {
            gd_log_error("keeper", "no memory to store %s", name);
            close(fd);
            return;
        }
        keeper->stored = grown;
        keeper->capacity = capacity;
    }
    keeper->stored[keeper->count].fd = fd;
    snprintf(keeper->stored[keeper->count++].name, NAME_BYTES, "%s", name);
}

static void drop(struct keeper *keeper, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < keeper->count; i++) {
        if (strcmp(keeper->stored[i].name, name) == 0)
            close(keeper->stored[i].fd);
        else
            keeper->stored[kept++] = keeper->stored[i];
    }
    keeper->count = kept;
}

/* One datagram of KEY=VALUE lines with at most one descriptor. */
static void take_message(struct keeper *keeper)
{
    char text[1024];
    struct iovec part = {text, sizeof text - 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(keeper->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return;
    text[n] = '\0';
    int fd = -1;
    pid_t sender = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET)
            continue;
        if (head->cmsg_type == SCM_CREDENTIALS)
            sender = ((const struct ucred *)(const void *)CMSG_DATA(head))->pid;
        for (size_t i = 0; head->cmsg_type == SCM_RIGHTS && i < (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int received;
            memcpy(&received, CMSG_DATA(head) + i * sizeof(int), sizeof received);
            if (fd >= 0)
                close(received);
            else
                fd = received;
        }
    }
    char name[NAME_BYTES] = "";
    int is_store = 0, is_remove = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (strcmp(line, "FDSTORE=1") == 0)
            is_store = 1;
        else if (strcmp(line, "FDSTOREREMOVE=1") == 0)
            is_remove = 1;
        else if (strncmp(line, "FDNAME=", 7) == 0 && strlen(line + 7) < NAME_BYTES)
            strcpy(name, line + 7);
    }
    if (sender == keeper->worker && name[0] != '\0' && is_store && fd >= 0) {
        add(keeper, name, fd);
        return;
    }
    if (sender == keeper->worker && is_remove && name[0] != '\0')
        drop(keeper, name);
    if (fd >= 0)
        close(fd);
}

static int open_socket(struct keeper *keeper, struct gd_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n =
        snprintf(keeper->socket_name, sizeof keeper->socket_name, "@gromosd-keep-%ld-%llx", (long)getpid(), (unsigned long long)now_ns());
    memcpy(address.sun_path, keeper->socket_name, (size_t)n);
    address.sun_path[0] = '\0';
    int yes = 1;
    keeper->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (keeper->socket < 0 || setsockopt(keeper->socket, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0 ||
        bind(keeper->socket, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)) != 0)
        return gd_err_errno(err, GD_E_INTERNAL, "cannot make the keeper's socket");
    return 0;
}

/* ---- the worker ---- */

/* Moves the descriptors to 3 and up, in the order of their names, for the worker to inherit. One more than they are is enough for it: one
 * in whose place another belongs makes room first. 0, or -1. */
static int arrange(struct stored *stored, int count)
{
    int *at_place = malloc((size_t)count * sizeof *at_place); /* which of them is at FIRST_FD + k now; -1: none */
    if (at_place == NULL)
        return -1;
    for (int i = 0; i < count; i++)
        at_place[i] = -1;
    for (int i = 0; i < count; i++)
        if (stored[i].fd >= FIRST_FD && stored[i].fd < FIRST_FD + count)
            at_place[stored[i].fd - FIRST_FD] = i;
    int bad = 0;
    for (int i = 0; i < count && !bad; i++) {
        int place = FIRST_FD + i, other = at_place[i];
        if (other == i) {
            bad = fcntl(place, F_SETFD, 0) != 0;
            continue;
        }
        if (other >= 0)
            bad = (stored[other].fd = fcntl(place, F_DUPFD_CLOEXEC, FIRST_FD + count)) < 0;
        bad = bad || dup2(stored[i].fd, place) < 0;
        if (stored[i].fd >= FIRST_FD && stored[i].fd < FIRST_FD + count)
            at_place[stored[i].fd - FIRST_FD] = -1;
        close(stored[i].fd);
    }
    free(at_place);
    return bad ? -1 : 0;
}

/* In the child: the descriptors, the environment, exec. */
static void become_worker(const struct keeper *keeper)
{
    int count = (int)keeper->count, ready = -1;
    size_t room = 1;
    for (int i = 0; i < count; i++)
        room += strlen(keeper->stored[i].name) + 1;
    char *names = calloc(1, room), text[32];
    if (names == NULL)
        _exit(71);
    if (keeper->ready_fd >= 0) { /* out of the way */
        ready = fcntl(keeper->ready_fd, F_DUPFD, FIRST_FD + count);
        close(keeper->ready_fd);
    }
    char *end = names;
    for (int i = 0; i < count; i++)
        end = stpcpy(stpcpy(end, i == 0 ? "" : ":"), keeper->stored[i].name);
    if (arrange(keeper->stored, count) != 0)
        _exit(71);
    snprintf(text, sizeof text, "%ld", (long)getpid());
    setenv("LISTEN_PID", text, 1);
    snprintf(text, sizeof text, "%d", count);
    setenv("LISTEN_FDS", text, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    unsetenv("FDSTORE"); /* another holder's, around this one */
    setenv("NOTIFY_SOCKET", keeper->socket_name, 1);
    snprintf(text, sizeof text, "%d", ready);
    setenv(GD_KEEPER_ENVIRONMENT, text, 1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", keeper->argv);
    _exit(71);
}

static int start_worker(struct keeper *keeper, struct gd_err *err)
{
    keeper->started_ns = now_ns();
    keeper->worker = fork();
    if (keeper->worker < 0) {
        keeper->worker = 0;
        return gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot start the worker");
    }
    if (keeper->worker == 0)
        become_worker(keeper);
    if (keeper->ready_fd >= 0)
        close(keeper->ready_fd); /* the first worker answers */
    keeper->ready_fd = -1;
    return 0;
}

/* Waits at most this long for a signal or a message; handles what came. Returns 1 when the worker has ended. */
static int attend(struct keeper *keeper, int timeout_ms)
{
    struct pollfd fds[2] = {{keeper->socket, POLLIN, 0}, {keeper->signals, POLLIN, 0}};
    if (poll(fds, 2, timeout_ms) <= 0)
        return 0;
    /* Messages first: what a worker said before it died counts. */
    if (fds[0].revents & POLLIN)
        take_message(keeper);
    if (!(fds[1].revents & POLLIN))
        return 0;
    struct signalfd_siginfo info;
    if (read(keeper->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    if (info.ssi_signo == SIGCHLD)
        return 1;
    keeper->stopping = 1;
    if (keeper->worker > 0)
        kill(keeper->worker, (int)info.ssi_signo);
    return 0;
}

static void drain_messages(struct keeper *keeper)
{
    struct pollfd fd = {keeper->socket, POLLIN, 0};
    while (poll(&fd, 1, 0) > 0)
        take_message(keeper);
}

/* Runs one worker to its end; its wait status. */
static int run_worker(struct keeper *keeper)
{
    int status = 0;
    for (;;) {
        if (attend(keeper, -1) && waitpid(keeper->worker, &status, WNOHANG) == keeper->worker)
            break;
    }
    drain_messages(keeper);
    keeper->worker = 0;
    return status;
}

static void pause_ms(struct keeper *keeper, int delay_ms)
{
    uint64_t end = now_ns() + (uint64_t)delay_ms * 1000000u;
    while (!keeper->stopping && now_ns() < end)
        attend(keeper, (int)((end - now_ns()) / 1000000u) + 1);
}

/* Why a worker ended that was not to; 1 if it had been healthy. */
static int tell_end(const struct keeper *keeper, int status)
{
    if (WIFSIGNALED(status)) {
        int healthy = now_ns() - keeper->started_ns >= HEALTHY_NS;
        gd_log_error("keeper", "the worker died of signal %d (%s); a new one starts %s with %zu descriptors", WTERMSIG(status),
                     strsignal(WTERMSIG(status)), healthy ? "at once" : "after a pause", keeper->count);
        return healthy;
    }
    gd_log_error("keeper", "the worker could not start (exit status %d, its log says why): it is tried again, and %zu descriptors are kept",
                 WEXITSTATUS(status), keeper->count);
    return 0;
}

/* A worker that ends in order ends the keeper, and so does the first one if it cannot start. A later one that cannot may be able to when
 * whoever reads the log has put its cause right; with the keeper all that it holds would be lost. */
static int keep_running(struct keeper *keeper, struct gd_err *err)
{
    int delay_ms = 0;
    for (int first = 1;; first = 0) {
        int healthy = 0, code = start_worker(keeper, err);
        if (code != 0 && first)
            return code;
        if (code != 0) {
            gd_log_error("keeper", "%s; it is tried again, and %zu descriptors are kept", err->text, keeper->count);
        } else {
            int status = run_worker(keeper);
            if (WIFEXITED(status) && (first || keeper->stopping || WEXITSTATUS(status) == EXIT_SUCCESS))
                return WEXITSTATUS(status);
            if (keeper->stopping)
                return EXIT_FAILURE;
            healthy = tell_end(keeper, status);
        }
        delay_ms = healthy ? 0 : delay_ms == 0 ? FIRST_DELAY_MS : 2 * delay_ms;
        if (delay_ms > LONGEST_DELAY_MS)
            delay_ms = LONGEST_DELAY_MS;
        pause_ms(keeper, delay_ms);
        if (keeper->stopping)
            return EXIT_SUCCESS;
    }
}

int gd_keeper_run(const struct gd_settings *settings, char **argv, struct gd_err *err)
{
    struct keeper keeper = {.settings = settings, .argv = argv, .socket = -1, .signals = -1, .ready_fd = settings->ready_fd};
    int code = gd_instance_open(&keeper.instance, settings, -1, err);
    if (code != 0)
        return code;
    int lock = fcntl(keeper.instance.lock_fd, F_DUPFD_CLOEXEC, FIRST_FD);
    if (lock < 0) {
        code = gd_err_errno(err, GD_E_OUT_OF_MEMORY, "cannot double the lock's descriptor");
        gd_instance_close(&keeper.instance);
        return code;
    }
    add(&keeper, GD_KEEP_LOCK_NAME, lock);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    keeper.signals = signalfd(-1, &set, SFD_CLOEXEC);
    code = open_socket(&keeper, err);
    if (code == 0)
        code = keep_running(&keeper, err);
    for (size_t i = 0; i < keeper.count; i++)
        close(keeper.stored[i].fd);
    free(keeper.stored);
    gd_instance_close(&keeper.instance);
    return code;
}
