/* Given to the compiler in front of every file of the torture test: with TORTURE_PAUSES, the steps of the publisher and of
 * the readers are now and then drawn out, so that what can happen between two of them happens often. Mostly by spinning, for
 * processes on other cores to get in; seldom by sleeping, for those on the same core. */
#ifndef GD_TESTS_TORTURE_PAUSE_H
#define GD_TESTS_TORTURE_PAUSE_H

#ifdef TORTURE_PAUSES
#include <time.h>

static inline unsigned long torture_draw(void)
{
    static _Thread_local unsigned long random = 88172645463325252ul;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random;
}

static inline void torture_sleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000 + (long)(torture_draw() % 1000000)}, NULL);
}

static inline void torture_pause(void)
{
    unsigned long random = torture_draw();
    if (random % 4 == 0)
        for (unsigned long turns = (random >> 20) % 512; turns > 0; turns--)
            __asm__ volatile("" ::: "memory");
    else if (random % 2048 == 1)
        torture_sleep();
}
#define GD_RING_PAUSE() torture_pause()
#endif

#endif
