/* Many connections, one request in flight on each.
 *
 *     load_generator ENDPOINT CONNECTIONS
 *
 * Reads lines with a number of milliseconds; answers each with the requests answered in that time and the nanoseconds it took.
 * The request is `ping`, which the daemon answers before hello, and an echo sends back. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <zmq.h>

#define MOST 256
/* {"v": 1, "id": 7, "cmd": "ping", "args": {}} */
static const char ping[] = "\x84\xa1v\x01\xa2id\xce\x00\x00\x00\x07\xa3"
                           "cmd\xa4ping\xa4"
                           "args\x80";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ask(void *socket)
{
    if (zmq_send(socket, ping, sizeof ping - 1, 0) < 0) {
        perror("load_generator: send");
        exit(1);
    }
}

static void drop_reply(void *socket)
{
    zmq_msg_t part;
    int more;
    do {
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, 0) < 0)
            exit(1);
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
    } while (more);
}

/* Replies that came until the deadline; those still on their way are waited for, so that every burst begins with none. */
static long burst(zmq_pollitem_t *items, int count, int64_t until)
{
    long answered = 0;
    int open = count;
    for (int i = 0; i < count; i++)
        ask(items[i].socket);
    while (open > 0) {
        if (zmq_poll(items, count, 5000) <= 0) {
            fprintf(stderr, "load_generator: no answer\n");
            exit(1);
        }
        int late = now_ns() >= until;
        for (int i = 0; i < count; i++) {
            if ((items[i].revents & ZMQ_POLLIN) == 0)
                continue;
            drop_reply(items[i].socket);
            answered++;
            if (late)
                open--;
            else
                ask(items[i].socket);
        }
    }
    return answered;
}

int main(int argc, char **argv)
{
    static zmq_pollitem_t items[MOST];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int count = argc == 3 ? atoi(argv[2]) : 0;
    if (count < 1 || count > MOST)
        return fprintf(stderr, "usage: load_generator ENDPOINT CONNECTIONS\n"), 2;
    void *context = zmq_ctx_new();
    for (int i = 0; i < count; i++) {
        items[i].socket = zmq_socket(context, ZMQ_DEALER);
        items[i].events = ZMQ_POLLIN;
        if (zmq_connect(items[i].socket, argv[1]) != 0)
            return perror(argv[1]), 1;
    }
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        int64_t start = now_ns();
        long answered = burst(items, count, start + atol(line) * 1000000);
        printf("%ld %lld\n", answered, (long long)(now_ns() - start));
        fflush(stdout);
    }
    return 0;
}
