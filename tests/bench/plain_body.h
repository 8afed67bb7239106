/* The plain loops of one precision; included by plain_loops.c twice. */

void NAME(plain_sum)(const REAL *x, size_t n, double out[3])
{
    double a = 0, b = 0, c = 0;
    for (size_t i = 0; i < n; i++) {
        a += (double)x[3 * i];
        b += (double)x[3 * i + 1];
        c += (double)x[3 * i + 2];
    }
    out[0] = a, out[1] = b, out[2] = c;
}

double NAME(plain_weighted_sum)(const REAL *x, const double *m, size_t n, double out[3])
{
    double a = 0, b = 0, c = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        total += m[i];
        a += m[i] * (double)x[3 * i];
        b += m[i] * (double)x[3 * i + 1];
        c += m[i] * (double)x[3 * i + 2];
    }
    out[0] = a, out[1] = b, out[2] = c;
    return total;
}

double NAME(plain_weighted_sum_selected)(const REAL *x, const double *m, const int32_t *atoms, size_t n, double out[3])
{
    double a = 0, b = 0, c = 0, total = 0;
    for (size_t k = 0; k < n; k++) {
        size_t i = (size_t)atoms[k];
        total += m[i];
        a += m[i] * (double)x[3 * i];
        b += m[i] * (double)x[3 * i + 1];
        c += m[i] * (double)x[3 * i + 2];
    }
    out[0] = a, out[1] = b, out[2] = c;
    return total;
}

double NAME(plain_gyration)(const REAL *x, const double *m, size_t n)
{
    double c[3];
    double total = NAME(plain_weighted_sum)(x, m, n, c);
    double s = 0;
    for (int d = 0; d < 3; d++)
        c[d] /= total;
    for (size_t i = 0; i < n; i++) {
        double dx = (double)x[3 * i] - c[0], dy = (double)x[3 * i + 1] - c[1], dz = (double)x[3 * i + 2] - c[2];
        s += m[i] * (dx * dx + dy * dy + dz * dz);
    }
    return sqrt(s / total);
}

void NAME(plain_bounds)(const REAL *x, size_t n, REAL low[3], REAL high[3])
{
    for (int d = 0; d < 3; d++)
        low[d] = high[d] = x[d];
    for (size_t i = 1; i < n; i++)
        for (int d = 0; d < 3; d++) {
            REAL v = x[3 * i + d];
            low[d] = v < low[d] ? v : low[d];
            high[d] = v > high[d] ? v : high[d];
        }
}

double NAME(plain_kinetic)(const REAL *v, const double *m, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) {
        double a = (double)v[3 * i], b = (double)v[3 * i + 1], c = (double)v[3 * i + 2];
        s += m[i] * (a * a + b * b + c * c);
    }
    return 0.5 * s;
}

void NAME(plain_tensor)(const REAL *v, const double *m, size_t n, double t[3][3])
{
    double xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;
    for (size_t i = 0; i < n; i++) {
        double a = (double)v[3 * i], b = (double)v[3 * i + 1], c = (double)v[3 * i + 2];
        xx += m[i] * a * a, xy += m[i] * a * b, xz += m[i] * a * c;
        yy += m[i] * b * b, yz += m[i] * b * c, zz += m[i] * c * c;
    }
    t[0][0] = xx, t[1][1] = yy, t[2][2] = zz;
    t[0][1] = t[1][0] = xy, t[0][2] = t[2][0] = xz, t[1][2] = t[2][1] = yz;
}

/* What an RMSD with superposition costs: the two centres, then the covariance about them. */
void NAME(plain_correlate)(const REAL *x, const REAL *y, size_t n, double s[3][3], double g[2])
{
    double a[3], b[3];
    NAME(plain_sum)(x, n, a);
    NAME(plain_sum)(y, n, b);
    double r[3][3] = {{0}}, gx = 0, gy = 0;
    for (int d = 0; d < 3; d++)
        a[d] /= (double)n, b[d] /= (double)n;
    for (size_t i = 0; i < n; i++) {
        double p[3], q[3];
        for (int d = 0; d < 3; d++) {
            p[d] = (double)x[3 * i + d] - a[d];
            q[d] = (double)y[3 * i + d] - b[d];
        }
        for (int d = 0; d < 3; d++) {
            gx += p[d] * p[d];
            gy += q[d] * q[d];
            for (int e = 0; e < 3; e++)
                r[d][e] += p[d] * q[e];
        }
    }
    memcpy(s, r, sizeof r);
    g[0] = gx, g[1] = gy;
}

void NAME(plain_norms)(const REAL *x, size_t n, REAL *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = SQRT(x[3 * i] * x[3 * i] + x[3 * i + 1] * x[3 * i + 1] + x[3 * i + 2] * x[3 * i + 2]);
}

void NAME(plain_translate)(REAL *x, size_t n, const double shift[3])
{
    REAL a = (REAL)shift[0], b = (REAL)shift[1], c = (REAL)shift[2];
    for (size_t i = 0; i < n; i++) {
        x[3 * i] += a;
        x[3 * i + 1] += b;
        x[3 * i + 2] += c;
    }
}

void NAME(plain_rotate)(REAL *x, size_t n, const double m[3][3], const double about[3])
{
    REAL r[3][3], o[3];
    for (int d = 0; d < 9; d++)
        r[d / 3][d % 3] = (REAL)m[d / 3][d % 3];
    for (int d = 0; d < 3; d++)
        o[d] = (REAL)about[d];
    for (size_t i = 0; i < n; i++) {
        REAL a = x[3 * i] - o[0], b = x[3 * i + 1] - o[1], c = x[3 * i + 2] - o[2];
        x[3 * i] = o[0] + r[0][0] * a + r[0][1] * b + r[0][2] * c;
        x[3 * i + 1] = o[1] + r[1][0] * a + r[1][1] * b + r[1][2] * c;
        x[3 * i + 2] = o[2] + r[2][0] * a + r[2][1] * b + r[2][2] * c;
    }
}

void NAME(plain_scale)(REAL *x, size_t n, const double f[3], const double about[3])
{
    REAL fa = (REAL)f[0], fb = (REAL)f[1], fc = (REAL)f[2];
    REAL oa = (REAL)about[0], ob = (REAL)about[1], oc = (REAL)about[2];
    for (size_t i = 0; i < n; i++) {
        x[3 * i] = oa + fa * (x[3 * i] - oa);
        x[3 * i + 1] = ob + fb * (x[3 * i + 1] - ob);
        x[3 * i + 2] = oc + fc * (x[3 * i + 2] - oc);
    }
}

void NAME(plain_wrap)(REAL *x, size_t n, const double edge[3])
{
    REAL l[3], inverse[3];
    for (int d = 0; d < 3; d++) {
        l[d] = (REAL)edge[d];
        inverse[d] = (REAL)(1.0 / edge[d]);
    }
    for (size_t i = 0; i < n; i++) {
        x[3 * i] -= l[0] * FLOOR(x[3 * i] * inverse[0]);
        x[3 * i + 1] -= l[1] * FLOOR(x[3 * i + 1] * inverse[1]);
        x[3 * i + 2] -= l[2] * FLOOR(x[3 * i + 2] * inverse[2]);
    }
}

size_t NAME(plain_finite)(const REAL *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return i;
    return n;
}

static inline REAL NAME(nearest)(const REAL *a, const REAL *b, const REAL l[3], const REAL inverse[3])
{
    REAL dx = b[0] - a[0], dy = b[1] - a[1], dz = b[2] - a[2];
    dx -= l[0] * RINT(dx * inverse[0]);
    dy -= l[1] * RINT(dy * inverse[1]);
    dz -= l[2] * RINT(dz * inverse[2]);
    return dx * dx + dy * dy + dz * dz;
}

void NAME(plain_pairs)(const REAL *x, const int32_t (*pairs)[2], size_t m, const double edge[3], REAL *d)
{
    REAL l[3] = {(REAL)edge[0], (REAL)edge[1], (REAL)edge[2]};
    REAL inverse[3] = {1 / l[0], 1 / l[1], 1 / l[2]};
    for (size_t k = 0; k < m; k++)
        d[k] = SQRT(NAME(nearest)(x + 3 * (size_t)pairs[k][0], x + 3 * (size_t)pairs[k][1], l, inverse));
}

void NAME(plain_array)(const REAL *a, size_t na, const REAL *b, size_t nb, const double edge[3], REAL *d)
{
    REAL l[3] = {(REAL)edge[0], (REAL)edge[1], (REAL)edge[2]};
    REAL inverse[3] = {1 / l[0], 1 / l[1], 1 / l[2]};
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++)
            d[i * nb + j] = SQRT(NAME(nearest)(a + 3 * i, b + 3 * j, l, inverse));
}

/* Cells of half the cutoff or more, sorted; each pair of cells once; periodic shift per pair of cells. */
struct NAME(cells) {
    int n[3];
    int reach[3];
    uint32_t *start;
    REAL *x, *y, *z;
    int32_t *id;
};

static void NAME(make_cells)(struct NAME(cells) *c, const REAL *x, size_t n, const double edge[3], double cutoff)
{
    for (int d = 0; d < 3; d++) {
        c->n[d] = (int)(edge[d] / (0.5 * cutoff));
        c->n[d] = c->n[d] < 1 ? 1 : c->n[d];
        c->reach[d] = (int)ceil(cutoff / (edge[d] / c->n[d]));
    }
    size_t cells = (size_t)c->n[0] * c->n[1] * c->n[2];
    c->start = calloc(cells + 2, sizeof *c->start);
    c->x = malloc((n + 16) * sizeof(REAL));
    c->y = malloc((n + 16) * sizeof(REAL));
    c->z = malloc((n + 16) * sizeof(REAL));
    c->id = malloc((n + 16) * sizeof(int32_t));
    uint32_t *cell = malloc(n * sizeof *cell);
    for (size_t i = 0; i < n; i++) {
        int k[3];
        for (int d = 0; d < 3; d++) {
            k[d] = (int)((double)x[3 * i + d] / edge[d] * c->n[d]);
            k[d] = k[d] >= c->n[d] ? c->n[d] - 1 : k[d];
        }
        cell[i] = (uint32_t)((k[2] * c->n[1] + k[1]) * c->n[0] + k[0]);
        c->start[cell[i] + 2]++;
    }
    for (size_t k = 0; k < cells; k++)
        c->start[k + 2] += c->start[k + 1];
    for (size_t i = 0; i < n; i++) {
        uint32_t to = c->start[cell[i] + 1]++;
        c->x[to] = x[3 * i], c->y[to] = x[3 * i + 1], c->z[to] = x[3 * i + 2];
        c->id[to] = (int32_t)i;
    }
    free(cell);
}

static void NAME(free_cells)(struct NAME(cells) *c)
{
    free(c->start), free(c->x), free(c->y), free(c->z), free(c->id);
}

size_t NAME(plain_neighbors)(const REAL *x, size_t n, const double edge[3], double cutoff, int32_t (*pairs)[2],
                             REAL *d, size_t room)
{
    struct NAME(cells) c;
    REAL limit = (REAL)(cutoff * cutoff);
    size_t found = 0;
    NAME(make_cells)(&c, x, n, edge, cutoff);
    for (int cz = 0; cz < c.n[2]; cz++)
    for (int cy = 0; cy < c.n[1]; cy++)
    for (int cx = 0; cx < c.n[0]; cx++)
    for (int dz = -c.reach[2]; dz <= c.reach[2]; dz++)
    for (int dy = -c.reach[1]; dy <= c.reach[1]; dy++)
    for (int dx = -c.reach[0]; dx <= c.reach[0]; dx++) {
        int px = cx + dx, py = cy + dy, pz = cz + dz;
        REAL sx = 0, sy = 0, sz = 0;
        if (dz < 0 || (dz == 0 && (dy < 0 || (dy == 0 && dx < 0))))
            continue;
        if (px < 0) px += c.n[0], sx = -(REAL)edge[0]; else if (px >= c.n[0]) px -= c.n[0], sx = (REAL)edge[0];
        if (py < 0) py += c.n[1], sy = -(REAL)edge[1]; else if (py >= c.n[1]) py -= c.n[1], sy = (REAL)edge[1];
        if (pz < 0) pz += c.n[2], sz = -(REAL)edge[2]; else if (pz >= c.n[2]) pz -= c.n[2], sz = (REAL)edge[2];
        int here = (cz * c.n[1] + cy) * c.n[0] + cx, there = (pz * c.n[1] + py) * c.n[0] + px;
        for (uint32_t i = c.start[here]; i < c.start[here + 1]; i++) {
            REAL hx = c.x[i] - sx, hy = c.y[i] - sy, hz = c.z[i] - sz;
            for (uint32_t j = here == there && !dx && !dy && !dz ? i + 1 : c.start[there]; j < c.start[there + 1]; j++) {
                REAL ex = c.x[j] - hx, ey = c.y[j] - hy, ez = c.z[j] - hz;
                REAL r2 = ex * ex + ey * ey + ez * ez;
                if (r2 > limit || found >= room)
                    continue;
                pairs[found][0] = c.id[i] < c.id[j] ? c.id[i] : c.id[j];
                pairs[found][1] = c.id[i] < c.id[j] ? c.id[j] : c.id[i];
                d[found++] = SQRT(r2);
            }
        }
    }
    NAME(free_cells)(&c);
    return found;
}

void NAME(plain_rdf)(const REAL *x, size_t n, const double edge[3], double cutoff, size_t bins, uint64_t *counts)
{
    struct NAME(cells) c;
    REAL limit = (REAL)(cutoff * cutoff), scale = (REAL)((double)bins / cutoff);
    memset(counts, 0, bins * sizeof *counts);
    NAME(make_cells)(&c, x, n, edge, cutoff);
    for (int cz = 0; cz < c.n[2]; cz++)
    for (int cy = 0; cy < c.n[1]; cy++)
    for (int cx = 0; cx < c.n[0]; cx++)
    for (int dz = -c.reach[2]; dz <= c.reach[2]; dz++)
    for (int dy = -c.reach[1]; dy <= c.reach[1]; dy++)
    for (int dx = -c.reach[0]; dx <= c.reach[0]; dx++) {
        int px = cx + dx, py = cy + dy, pz = cz + dz;
        REAL sx = 0, sy = 0, sz = 0;
        if (dz < 0 || (dz == 0 && (dy < 0 || (dy == 0 && dx < 0))))
            continue;
        if (px < 0) px += c.n[0], sx = -(REAL)edge[0]; else if (px >= c.n[0]) px -= c.n[0], sx = (REAL)edge[0];
        if (py < 0) py += c.n[1], sy = -(REAL)edge[1]; else if (py >= c.n[1]) py -= c.n[1], sy = (REAL)edge[1];
        if (pz < 0) pz += c.n[2], sz = -(REAL)edge[2]; else if (pz >= c.n[2]) pz -= c.n[2], sz = (REAL)edge[2];
        int here = (cz * c.n[1] + cy) * c.n[0] + cx, there = (pz * c.n[1] + py) * c.n[0] + px;
        for (uint32_t i = c.start[here]; i < c.start[here + 1]; i++) {
            REAL hx = c.x[i] - sx, hy = c.y[i] - sy, hz = c.z[i] - sz;
            for (uint32_t j = here == there && !dx && !dy && !dz ? i + 1 : c.start[there]; j < c.start[there + 1]; j++) {
                REAL ex = c.x[j] - hx, ey = c.y[j] - hy, ez = c.z[j] - hz;
                REAL r2 = ex * ex + ey * ey + ez * ez;
                if (r2 > limit)
                    continue;
                size_t bin = (size_t)(SQRT(r2) * scale);
                if (bin < bins)
                    counts[bin] += 2;
            }
        }
    }
    NAME(free_cells)(&c);
}
