/* Shared memory with nothing around it: the least attaching and creating can cost.
 *
 *     bare_memory serve PATH BYTES    hands out one descriptor of a sealed memfd to whoever connects; prints "ready"
 *     bare_memory measure PATH BYTES  reads lines and answers each with nanoseconds:
 *         attach N         connect, take the descriptor, mmap; N times
 *         create BYTES N   memfd_create, fallocate, mmap, seal; N times
 *
 * What undoes a measured step (munmap, close) is not timed. Both end with their parent. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bare_memory: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *create(size_t bytes, int *fd)
{
    *fd = memfd_create("bare", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || fallocate(*fd, 0, 0, (off_t)bytes) != 0)
        fail("memfd");
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (base == MAP_FAILED || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        fail("mmap");
    return base;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        exit(2);
    strcpy(address.sun_path, path);
    return address;
}

static void serve(const char *path, size_t bytes)
{
    struct sockaddr_un address = address_of(path);
    int memory, listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    memset(create(bytes, &memory), 1, bytes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0)
        fail(path);
    puts("ready");
    fflush(stdout);
    for (;;) {
        char byte = 0;
        struct iovec part = {&byte, 1};
        union control control = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &memory, sizeof memory);
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (peer < 0 || sendmsg(peer, &message, MSG_NOSIGNAL) != 1)
            fail("accept");
        close(peer);
    }
}

static int64_t attach(const struct sockaddr_un *address, size_t bytes)
{
    char byte;
    struct iovec part = {&byte, 1};
    union control control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int fd;
    int64_t start = now_ns();
    int peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(peer, (const struct sockaddr *)address, sizeof *address) != 0 || recvmsg(peer, &message, MSG_CMSG_CLOEXEC) != 1)
        fail("connect");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    void *base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    int64_t time = now_ns() - start;
    if (base == MAP_FAILED)
        fail("mmap");
    munmap(base, bytes);
    close(fd);
    close(peer);
    return time;
}

static int64_t time_create(size_t bytes)
{
    int fd;
    int64_t start = now_ns();
    void *base = create(bytes, &fd);
    int64_t time = now_ns() - start;
    munmap(base, bytes);
    close(fd);
    return time;
}

int main(int argc, char **argv)
{
    char line[128];
    size_t wanted;
    int times;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 4)
        return fprintf(stderr, "usage: bare_memory serve|measure PATH BYTES\n"), 2;
    size_t bytes = strtoull(argv[3], NULL, 10);
    if (strcmp(argv[1], "serve") == 0)
        serve(argv[2], bytes);
    struct sockaddr_un address = address_of(argv[2]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "attach %d", &times) == 1)
            for (int i = 0; i < times; i++)
                printf("%lld ", (long long)attach(&address, bytes));
        else if (sscanf(line, "create %zu %d", &wanted, &times) == 2)
            for (int i = 0; i < times; i++)
                printf("%lld ", (long long)time_create(wanted));
        puts("");
        fflush(stdout);
    }
    return 0;
}
