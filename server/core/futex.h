/* Futexes on shared words. Never FUTEX_PRIVATE_FLAG: other processes sleep on the same words through their own mappings,
 * read-only ones included. */
#ifndef GD_CORE_FUTEX_H
#define GD_CORE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Wakes every sleeper. Returns how many there were. */
static inline int gd_futex_wake_all(const _Atomic uint32_t *word)
{
    return (int)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* A waiter for a number may sleep with the bit of its number, and is then not woken for the others. */
static inline uint32_t gd_futex_bit(uint32_t number)
{
    return 1u << (number % 32u);
}

/* Wakes those who sleep with one of `bits`, and those who sleep without bits. */
static inline int gd_futex_wake_bits(const _Atomic uint32_t *word, uint32_t bits)
{
    return (int)syscall(SYS_futex, word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, bits);
}

/* Sleeps while *word == expected, at most until `deadline` (CLOCK_MONOTONIC; NULL: for ever). Returns 0 or -1 with errno
 * EAGAIN (the word differs), ETIMEDOUT, EINTR. bits: FUTEX_BITSET_MATCH_ANY or gd_futex_bit(). */
static inline int gd_futex_wait(const _Atomic uint32_t *word, uint32_t expected, const struct timespec *deadline, uint32_t bits)
{
    return (int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline, NULL, bits);
}

#endif
