/* Contract: random.h. */
#include "engine/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/parameters.h"

#define MT_SIZE 624
#define MT_SHIFT 397
#define G96_MODULUS 100000000
#define G96_BASE 10000
#define G96_MULTIPLIER 31415821

void gd_random_seed(struct gd_random *random, int generator, int64_t seed)
{
    memset(random, 0, sizeof *random);
    random->generator = generator;
    random->g96_state = (int32_t)(llabs(seed) % G96_MODULUS);
    uint32_t s = (uint32_t)seed;
    if (s == 0)
        s = 4357; /* the library's default */
    random->word[0] = s;
    for (uint32_t k = 1; k < MT_SIZE; k++)
        random->word[k] = 1812433253u * (random->word[k - 1] ^ (random->word[k - 1] >> 30)) + k;
    random->position = MT_SIZE;
}

static void mt_refill(uint32_t *w)
{
    for (int k = 0; k < MT_SIZE; k++) {
        uint32_t y = (w[k] & 0x80000000u) | (w[(k + 1) % MT_SIZE] & 0x7fffffffu);
        w[k] = w[(k + MT_SHIFT) % MT_SIZE] ^ (y >> 1) ^ ((y & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
}

uint32_t gd_random_bits(struct gd_random *random)
{
    if (random->position >= MT_SIZE) {
        mt_refill(random->word);
        random->position = 0;
    }
    uint32_t y = random->word[random->position++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    y ^= y >> 18;
    return y;
}

/* x <- 31415821 x + 1 modulo 10^8, multiplied in halves of 10^4 digits so that nothing overflows. Source: GROMOS96
 * manual, appendix on random numbers; Knuth volume 2. */
static double g96_uniform(struct gd_random *random)
{
    int32_t x = random->g96_state;
    int32_t high = x / G96_BASE, low = x % G96_BASE;
    int32_t multiplier_high = G96_MULTIPLIER / G96_BASE, multiplier_low = G96_MULTIPLIER % G96_BASE;
    x = ((high * multiplier_low + low * multiplier_high) % G96_BASE) * G96_BASE + low * multiplier_low;
    x = (x + 1) % G96_MODULUS;
    random->g96_state = x;
    double r = (double)(x / 10) * 10.0 / (double)G96_MODULUS;
    return r <= 0.0 || r > 1.0 ? 0.0 : r;
}

double gd_random_uniform(struct gd_random *random)
{
    if (random->generator == GD_RANDOM_G96)
        return g96_uniform(random);
    return gd_random_bits(random) / 4294967296.0;
}

static double positive_uniform(struct gd_random *random)
{
    double x;
    do
        x = gd_random_uniform(random);
    while (x == 0.0);
    return x;
}

double gd_random_gauss(struct gd_random *random, double stddev)
{
    double x, y, r2;
    if (random->generator == GD_RANDOM_G96) {
        if (random->g96_stored) {
            random->g96_stored = 0;
            return stddev * random->g96_gauss;
        }
        do {
            x = 2.0 * g96_uniform(random) - 1.0;
            y = 2.0 * g96_uniform(random) - 1.0;
            r2 = x * x + y * y;
        } while (r2 > 1.0 || r2 == 0.0);
        random->g96_stored = 1;
        random->g96_gauss = y * sqrt(-2.0 * log(r2) / r2);
        return stddev * x * sqrt(-2.0 * log(r2) / r2);
    }
    do {
        x = -1.0 + 2.0 * positive_uniform(random);
        y = -1.0 + 2.0 * positive_uniform(random);
        r2 = x * x + y * y;
    } while (r2 > 1.0 || r2 == 0.0);
    return stddev * y * sqrt(-2.0 * log(r2) / r2);
}
