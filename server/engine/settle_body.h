/* SETTLE for WIDTH molecules at once. The file that includes this defines V (vector of WIDTH doubles), WIDTH, SET1(x), ROOT(v),
 * TRANSPOSE(v) of v[WIDTH] in place, NAME(of a function), and SETTLE, the name of the kernel. Arithmetic on V is written with
 * operators and nothing is contracted, so a molecule goes to the same place, to the last bit, however many are placed beside it. What
 * is rounded here outweighs all else that is rounded in a step: divisions and the order of sums are the plain ones of the equations,
 * and long runs stay beside the original's as far as they can. */

/* The nine numbers of each molecule's sites, a vector each; TRANSPOSE turns as many molecules as a vector is wide at once. */
static inline __attribute__((always_inline)) void NAME(load)(const gd_vec3 *from, const size_t at[WIDTH], V to[3][3])
{
    V v[8], last = SET1(0.0);
#pragma GCC unroll 8
    for (int k = 0; k < 8; k += WIDTH) {
#pragma GCC unroll 8
        for (int l = 0; l < WIDTH; l++)
            memcpy(&v[k + l], (const double *)(from + at[l]) + k, sizeof(V));
        TRANSPOSE(v + k);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
        to[k / 3][k % 3] = v[k];
#pragma GCC unroll 8
    for (int l = 0; l < WIDTH; l++)
        last[l] = from[at[l] + 2][2];
    to[2][2] = last;
}

static inline __attribute__((always_inline)) void NAME(store)(gd_vec3 *to, const size_t at[WIDTH], size_t count, V from[3][3])
{
    V v[8];
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
        v[k] = from[k / 3][k % 3];
#pragma GCC unroll 8
    for (int k = 0; k < 8; k += WIDTH) {
        TRANSPOSE(v + k);
#pragma GCC unroll 8
        for (int l = 0; l < WIDTH; l++)
            if ((size_t)l < count)
                memcpy((double *)(to + at[l]) + k, &v[k + l], sizeof(V));
    }
#pragma GCC unroll 8
    for (int l = 0; l < WIDTH; l++)
        if ((size_t)l < count)
            to[at[l] + 2][2] = from[2][2][l];
}

static inline V NAME(dot)(const V a[3], const V b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static inline void NAME(cross)(const V a[3], const V b[3], V out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static inline void NAME(normalise)(V v[3])
{
    const V length = ROOT(NAME(dot)(v, v));
    for (int d = 0; d < 3; d++)
        v[d] /= length;
}

/* New places of the sites relative to the centre of mass. b0, c0: old vectors from a; a1, b1, c1: unconstrained new places. Not finite
 * where the old sites are collinear or the molecule has turned too far: then a root is of a negative number, or a divisor 0. */
static inline __attribute__((always_inline)) void NAME(place)(const struct gd_settle *t, const V b0[3], const V c0[3], const V a1[3],
                                                              const V b1[3], const V c1[3], V out[3][3])
{
    const V one = SET1(1.0), ra = SET1(t->ra), rb = SET1(t->rb), rc = SET1(t->rc);
    V axis[3][3]; /* unit vectors of the frame at the new centre of mass: z normal to the old plane */
    NAME(cross)(b0, c0, axis[2]);
    NAME(cross)(a1, axis[2], axis[0]);
    NAME(cross)(axis[2], axis[0], axis[1]);
    for (int e = 0; e < 3; e++)
        NAME(normalise)(axis[e]);
    V b[2], c[2], b_new[3], c_new[3];
    for (int e = 0; e < 3; e++) {
        b_new[e] = NAME(dot)(axis[e], b1);
        c_new[e] = NAME(dot)(axis[e], c1);
    }
    for (int e = 0; e < 2; e++) {
        b[e] = NAME(dot)(axis[e], b0);
        c[e] = NAME(dot)(axis[e], c0);
    }
    const V a_new = NAME(dot)(axis[2], a1);
    const V sin_phi = a_new / ra, cos_phi = ROOT(one - sin_phi * sin_phi);
    const V sin_psi = (b_new[2] - c_new[2]) / (SET1(2.0) * rc * cos_phi), cos_psi = ROOT(one - sin_psi * sin_psi);
    /* the canonical triangle turned by phi and psi (A3) */
    const V ya = ra * cos_phi, xb = -rc * cos_psi;
    const V yb = -rb * cos_phi - rc * sin_psi * sin_phi, yc = -rb * cos_phi + rc * sin_psi * sin_phi;
    /* and by theta about z, so that the old plane's moment is kept (A15, A17) */
    const V alpha = xb * (b[0] - c[0]) + b[1] * yb + c[1] * yc;
    const V beta = xb * (c[1] - b[1]) + b[0] * yb + c[0] * yc;
    const V gamma = b[0] * b_new[1] - b_new[0] * b[1] + c[0] * c_new[1] - c_new[0] * c[1];
    const V square = alpha * alpha + beta * beta;
    const V sin_theta = (alpha * gamma - beta * ROOT(square - gamma * gamma)) / square, cos_theta = ROOT(one - sin_theta * sin_theta);
    const V site[3][3] = {
        {-ya * sin_theta, ya * cos_theta, a_new},
        {xb * cos_theta - yb * sin_theta, xb * sin_theta + yb * cos_theta, b_new[2]},
        {-xb * cos_theta - yc * sin_theta, -xb * sin_theta + yc * cos_theta, c_new[2]},
    };
    for (int s = 0; s < 3; s++)
        for (int d = 0; d < 3; d++)
            out[s][d] = site[s][0] * axis[0][d] + site[s][1] * axis[1][d] + site[s][2] * axis[2][d];
}

/* `count` molecules from m on, those at `at`; how many were placed before one that cannot be. */
static inline __attribute__((always_inline)) size_t NAME(some)(const struct gd_settle *t, size_t m, const size_t count, V virial[3][3])
{
    const double total = t->heavy + 2.0 * t->light, masses[3] = {t->heavy, t->light, t->light};
    size_t at[WIDTH]; /* the last one again where there are no more */
    V old[3][3], now[3][3], b0[3], c0[3], centre[3], moved[3][3], placed[3][3], faster[3][3], force[3][3], sum = SET1(0.0);
    for (size_t l = 0; l < WIDTH; l++)
        at[l] = 3 * (m + (l < count ? l : count - 1));
    NAME(load)(t->old_pos, at, old);
    NAME(load)((const gd_vec3 *)t->pos, at, now);
    for (int d = 0; d < 3; d++) {
        b0[d] = old[1][d] - old[0][d];
        c0[d] = old[2][d] - old[0][d];
        centre[d] = (now[0][d] * SET1(t->heavy) + now[1][d] * SET1(t->light) + now[2][d] * SET1(t->light)) / SET1(total);
        for (int s = 0; s < 3; s++)
            moved[s][d] = now[s][d] - centre[d];
    }
    NAME(place)(t, b0, c0, moved[0], moved[1], moved[2], placed);
    for (int s = 0; s < 3; s++)
        sum += placed[s][0] + placed[s][1] + placed[s][2];
    for (size_t l = 0; l < count; l++)
        if (!isfinite(sum[l]))
            return l;
    for (int s = 0; s < 3; s++)
        for (int d = 0; d < 3; d++) {
            const V target = placed[s][d] + centre[d], step = target - now[s][d];
            faster[s][d] = step * SET1(t->rate);
            force[s][d] = faster[s][d] * SET1(masses[s] * t->rate);
            now[s][d] = target;
        }
    if (t->virial != NULL) {
        for (size_t l = count; l < WIDTH; l++)
            for (int s = 0; s < 3; s++)
                force[s][0][l] = force[s][1][l] = force[s][2][l] = 0.0;
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                virial[a][b] += old[0][a] * force[0][b] + old[1][a] * force[1][b] + old[2][a] * force[2][b];
    }
    NAME(store)(t->pos, at, count, now);
    NAME(store)(t->force, at, count, force);
    if (t->vel != NULL) {
        NAME(load)((const gd_vec3 *)t->vel, at, old);
        for (int k = 0; k < 9; k++)
            old[k / 3][k % 3] += faster[k / 3][k % 3];
        NAME(store)(t->vel, at, count, old);
    }
    return count;
}

int64_t SETTLE(const struct gd_settle *t)
{
    V virial[3][3] = {{SET1(0.0)}};
    size_t m = t->begin, done = WIDTH;
    for (; m + WIDTH <= t->end && done == WIDTH; m += done)
        done = NAME(some)(t, m, WIDTH, virial);
    if (done < WIDTH)
        return (int64_t)m;
    if (m < t->end && (done = NAME(some)(t, m, t->end - m, virial)) < t->end - m)
        return (int64_t)(m + done);
    for (int a = 0; a < 3 && t->virial != NULL; a++)
        for (int b = 0; b < 3; b++)
            for (int l = 0; l < WIDTH; l++)
                t->virial[a][b] += virial[a][b][l];
    return -1;
}

#undef V
#undef WIDTH
#undef SET1
#undef ROOT
#undef TRANSPOSE
#undef NAME
#undef SETTLE
