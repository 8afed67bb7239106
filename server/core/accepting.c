/* accept and accept4 of this whole process, libraries too: they never end for want of descriptors.
 *
 * libzmq ends the process when accept tells it EMFILE, ENOBUFS or ENOMEM on its ipc socket (ipc_listener.cpp; its tcp socket takes them),
 * and anybody who may connect can bring that about with enough connections. There is no option of libzmq against it. The
 * dynamic linker takes the program's definition of a function before the C library's, so libzmq calls these. They
 *   - close at once a connection that would take one of the last descriptors, and tell ECONNABORTED, as for a client that went away while
 *     it was being taken, which everybody who accepts expects;
 *   - when none is left at all, use one that was put aside to take the connection and close it: left in the queue, it would keep
 *     whoever polls the socket busy. */
#include "core/accepting.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t spare_mutex = PTHREAD_MUTEX_INITIALIZER;
static int spare = -1;
static _Atomic uint64_t turned_away;

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void gd_accepting_prepare(void)
{
    pthread_mutex_lock(&spare_mutex);
    if (spare < 0)
        spare = open_spare();
    pthread_mutex_unlock(&spare_mutex);
}

uint64_t gd_accepting_turned_away(void)
{
    return atomic_load(&turned_away);
}

static int take(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return (int)syscall(SYS_accept4, fd, address, length, flags);
}

static int turn_away(int taken)
{
    if (taken >= 0)
        close(taken);
    atomic_fetch_add(&turned_away, 1);
    errno = ECONNABORTED;
    return -1;
}

static int turn_away_with_spare(int fd)
{
    int taken = -1;
    pthread_mutex_lock(&spare_mutex);
    if (spare >= 0) {
        close(spare);
        taken = take(fd, NULL, NULL, SOCK_CLOEXEC);
        if (taken >= 0)
            close(taken);
    }
    spare = open_spare();
    pthread_mutex_unlock(&spare_mutex);
    return turn_away(-1);
}

static int is_last(int fd)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd + GD_ACCEPTING_RESERVE >= limit.rlim_cur;
}

__attribute__((visibility("default"))) int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int taken = take(fd, address, length, flags);
    if (taken >= 0)
        return is_last(taken) ? turn_away(taken) : taken;
    if (errno == EMFILE || errno == ENFILE)
        return turn_away_with_spare(fd);
    return errno == ENOBUFS || errno == ENOMEM ? turn_away(-1) : -1;
}

__attribute__((visibility("default"))) int accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return accept4(fd, address, length, 0);
}
