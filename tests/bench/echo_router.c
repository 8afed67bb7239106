/* A bare ROUTER that sends every message back: the least a request over ZeroMQ can cost.
 *
 *     echo_router ENDPOINT
 *
 * Prints "ready" when it listens and ends with its parent. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_ROUTER);
    if (argc != 2 || zmq_bind(socket, argv[1]) != 0)
        return fprintf(stderr, "usage: echo_router ENDPOINT\n"), 2;
    puts("ready");
    fflush(stdout);
    for (;;) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, 0) < 0)
            return 1;
        int more = zmq_msg_more(&part);
        if (zmq_msg_send(&part, socket, more ? ZMQ_SNDMORE : 0) < 0)
            zmq_msg_close(&part);
    }
}
