#include "kernels/random.h"

#include <math.h>
#include <string.h>

/* The multipliers and Weyl increments of Salmon et al., table 2. */
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define INCREMENT_0 0x9E3779B9u
#define INCREMENT_1 0xBB67AE85u
#define ROUNDS 10

void gd_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x[4], k[2];
    memcpy(x, counter, sizeof x);
    memcpy(k, key, sizeof k);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t)MULTIPLIER_0 * x[0];
        uint64_t b = (uint64_t)MULTIPLIER_1 * x[2];
        uint32_t y[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ k[1], (uint32_t)a};
        memcpy(x, y, sizeof x);
        k[0] += INCREMENT_0;
        k[1] += INCREMENT_1;
    }
    memcpy(out, x, sizeof x);
}

double gd_random_log(double x)
{
    /* x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172. Thirteen terms of
     * the series leave 0.172^27 / 27 relative to s: below half a unit in the last place. */
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1.0) / (m + 1.0);
    double square = s * s;
    double series = 0.0;
    for (int term = 25; term >= 1; term -= 2)
        series = series * square + 1.0 / term;
    return exponent * 0.6931471805599453 + 2.0 * s * series;
}

/* 53 bits as a number in (-1, 1), never 0. */
static double uniform(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return ((double)bits + 0.5) * 0x1p-52 - 1.0;
}

/* Two normal numbers from draw number `draw` of an index; each draw may reject several points. */
static void normal2(uint64_t seed, uint64_t index, uint32_t draw, double out[2])
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), draw, 0};
    for (;; counter[3]++) {
        uint32_t r[4];
        gd_random_philox(counter, key, r);
        double u = uniform(r[0], r[1]);
        double v = uniform(r[2], r[3]);
        double s = u * u + v * v;
        if (!(s < 1.0)) /* with chance 1 - pi/4; the next block of the counter is independent */
            continue;
        double factor = sqrt(-2.0 * gd_random_log(s) / s);
        out[0] = u * factor;
        out[1] = v * factor;
        return;
    }
}

void gd_random_normal3(uint64_t seed, uint64_t index, double out[3])
{
    double last[2];
    normal2(seed, index, 0, out);
    normal2(seed, index, 1, last);
    out[2] = last[0];
}
