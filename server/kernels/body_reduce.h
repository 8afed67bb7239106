/* Reductions in vectors. Included once per instruction set and precision, after simd_*.h.
 *
 * Rows are taken in chunks. A chunk of an unselected array is used where it lies; selected rows and the last, incomplete
 * chunk are first copied together and filled up with rows of zeros and weight zero, which no sum notices. All sums run in
 * double, in DW lanes, and the lanes are added in a fixed order. */

#define CHUNK 512 /* rows; a multiple of every vector length */

static size_t padded(size_t rows)
{
    return (rows + (W - 1)) / W * W;
}

/* Copies rows begin .. begin + rows - 1 of the selection and fills up with zeros to whole vectors. */
static void copy_rows(const REAL *x, const int32_t *atoms, size_t begin, size_t rows, REAL *copy)
{
    if (atoms == NULL)
        memcpy(copy, x + 3 * begin, 3 * rows * sizeof(REAL));
    const int32_t *a = atoms != NULL ? atoms + begin : NULL;
    size_t k = 0;
    for (; a != NULL && k + 4 <= rows; k += 4)
        pack_rows(copy + 3 * k, x + 3 * (size_t)a[k], x + 3 * (size_t)a[k + 1], x + 3 * (size_t)a[k + 2], x + 3 * (size_t)a[k + 3]);
    for (; a != NULL && k < rows; k++)
        memcpy(copy + 3 * k, x + 3 * (size_t)a[k], 3 * sizeof(REAL));
    memset(copy + 3 * rows, 0, 3 * (padded(rows) - rows) * sizeof(REAL));
}

/* The same rows, where they lie if that serves. */
static const REAL *take_rows(const REAL *x, const int32_t *atoms, size_t begin, size_t rows, REAL *copy)
{
    if (atoms == NULL && rows % W == 0)
        return x + 3 * begin;
    copy_rows(x, atoms, begin, rows, copy);
    return copy;
}

/* Loads by twos: left to itself the compiler uses gather instructions, which take longer on many processors. */
static void pick(const double *weights, const int32_t *atoms, size_t rows, double *copy)
{
    size_t k = 0;
    for (; k + 2 <= rows; k += 2)
        _mm_storeu_pd(copy + k, _mm_loadh_pd(_mm_load_sd(weights + atoms[k]), weights + atoms[k + 1]));
    if (k < rows)
        copy[k] = weights[atoms[k]];
}

static const double *take_weights(const double *weights, const int32_t *atoms, size_t begin, size_t rows, double *copy)
{
    if (atoms == NULL && weights != NULL && rows % W == 0)
        return weights + begin;
    if (weights == NULL)
        for (size_t k = 0; k < rows; k++)
            copy[k] = 1.0;
    else if (atoms == NULL)
        memcpy(copy, weights + begin, rows * sizeof(double));
    else
        pick(weights, atoms + begin, rows, copy);
    for (size_t k = rows; k < padded(rows); k++)
        copy[k] = 0.0;
    return copy;
}

static size_t chunk_at(size_t begin, size_t count)
{
    return count - begin < CHUNK ? count - begin : CHUNK;
}

static double add_lanes(dvec a)
{
    double lane[DW];
    dstore(lane, a);
    for (int step = DW / 2; step > 0; step /= 2)
        for (int l = 0; l < step; l++)
            lane[l] += lane[l + step];
    return lane[0];
}

/* Sums of the three components from lanes that still hold x, y, z, x, ... as they lie in memory. */
static void add_phases(const dvec phase[3], double out[3])
{
    double flat[3 * DW];
    double s[3] = {0.0, 0.0, 0.0};
    for (int q = 0; q < 3; q++)
        dstore(flat + q * DW, phase[q]);
    for (int l = 0; l < 3 * DW; l++)
        s[l % 3] += flat[l];
    memcpy(out, s, sizeof s);
}

static void sum(const REAL *x, const int32_t *atoms, size_t count, double out[3])
{
    REAL copy[3 * CHUNK];
    dvec s[3] = {dset1(0.0), dset1(0.0), dset1(0.0)};
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *r = take_rows(x, atoms, begin, rows, copy);
        for (size_t k = 0; k < rows; k += DW)
            for (int q = 0; q < 3; q++)
                s[q] = s[q] + dload_real(r + 3 * k + (size_t)q * DW);
    }
    add_phases(s, out);
}

/* Selected rows are summed as they come, in registers of x, y, z and 1: the fourth lane adds up the weights. Four sums take turns, so that
 * none waits for its last addition. */
static double weighted_sum_selected(const REAL *x, const double *weights, const int32_t *atoms, size_t count, double out[3])
{
    __m256d s[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
    size_t k = 0;
    for (; k + 4 <= count; k += 4)
        for (size_t u = 0; u < 4; u++) {
            size_t i = (size_t)atoms[k + u];
            s[u] = _mm256_fmadd_pd(_mm256_set1_pd(weights[i]), row_and_one(x + 3 * i), s[u]);
        }
    for (; k < count; k++) {
        size_t i = (size_t)atoms[k];
        s[0] = _mm256_fmadd_pd(_mm256_set1_pd(weights[i]), row_and_one(x + 3 * i), s[0]);
    }
    double lane[4];
    _mm256_storeu_pd(lane, (s[0] + s[1]) + (s[2] + s[3]));
    memcpy(out, lane, 3 * sizeof *out);
    return lane[3];
}

static double weighted_sum(const REAL *x, const double *weights, const int32_t *atoms, size_t count, double out[3])
{
    if (atoms != NULL)
        return weighted_sum_selected(x, weights, atoms, count, out);
    REAL copy[3 * CHUNK];
    double weights_copy[CHUNK];
    dvec total = dset1(0.0);
    dvec s[3] = {total, total, total};
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *r = take_rows(x, atoms, begin, rows, copy);
        const double *w = take_weights(weights, atoms, begin, rows, weights_copy);
        for (size_t k = 0; k < rows; k += DW) {
            dvec a[3], m = dload(w + k);
            dload3(r + 3 * k, a);
            total = total + m;
            for (int c = 0; c < 3; c++)
                s[c] = dfma(m, a[c], s[c]);
        }
    }
    for (int c = 0; c < 3; c++)
        out[c] = add_lanes(s[c]);
    return add_lanes(total);
}

static void moments(const REAL *x, const double *weights, const int32_t *atoms, size_t count, const double origin[3],
                    struct gd_moments *out)
{
    REAL copy[3 * CHUNK];
    double weights_copy[CHUNK];
    const dvec o[3] = {dset1(origin[0]), dset1(origin[1]), dset1(origin[2])};
    dvec total = dset1(0.0), second = dset1(0.0);
    dvec first[3] = {total, total, total};
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *r = take_rows(x, atoms, begin, rows, copy);
        const double *w = take_weights(weights, atoms, begin, rows, weights_copy);
        for (size_t k = 0; k < rows; k += DW) {
            dvec a[3], m = dload(w + k), square = dset1(0.0);
            dload3(r + 3 * k, a);
            for (int c = 0; c < 3; c++) {
                a[c] = a[c] - o[c];
                first[c] = dfma(m, a[c], first[c]);
                square = dfma(a[c], a[c], square);
            }
            total = total + m;
            second = dfma(m, square, second);
        }
    }
    out->mass = add_lanes(total);
    out->second = add_lanes(second);
    for (int c = 0; c < 3; c++)
        out->first[c] = add_lanes(first[c]);
}

static double weighted_squares(const REAL *v, const double *weights, const int32_t *atoms, size_t count)
{
    REAL copy[3 * CHUNK];
    double weights_copy[CHUNK];
    dvec s = dset1(0.0);
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *r = take_rows(v, atoms, begin, rows, copy);
        const double *w = take_weights(weights, atoms, begin, rows, weights_copy);
        for (size_t k = 0; k < rows; k += DW) {
            dvec a[3];
            dload3(r + 3 * k, a);
            dvec square = dfma(a[2], a[2], dfma(a[1], a[1], a[0] * a[0]));
            s = dfma(dload(w + k), square, s);
        }
    }
    return add_lanes(s);
}

static void weighted_tensor(const REAL *v, const double *weights, const int32_t *atoms, size_t count, double tensor[3][3])
{
    REAL copy[3 * CHUNK];
    double weights_copy[CHUNK];
    const dvec zero = dset1(0.0);
    dvec xx = zero, xy = zero, xz = zero, yy = zero, yz = zero, zz = zero;
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *r = take_rows(v, atoms, begin, rows, copy);
        const double *w = take_weights(weights, atoms, begin, rows, weights_copy);
        for (size_t k = 0; k < rows; k += DW) {
            dvec a[3], m = dload(w + k);
            dload3(r + 3 * k, a);
            dvec mx = m * a[0], my = m * a[1], mz = m * a[2];
            xx = dfma(mx, a[0], xx);
            xy = dfma(mx, a[1], xy);
            xz = dfma(mx, a[2], xz);
            yy = dfma(my, a[1], yy);
            yz = dfma(my, a[2], yz);
            zz = dfma(mz, a[2], zz);
        }
    }
    tensor[0][0] = add_lanes(xx);
    tensor[1][1] = add_lanes(yy);
    tensor[2][2] = add_lanes(zz);
    tensor[0][1] = tensor[1][0] = add_lanes(xy);
    tensor[0][2] = tensor[2][0] = add_lanes(xz);
    tensor[1][2] = tensor[2][1] = add_lanes(yz);
}

/* Extremes of whole vectors, in lanes as they lie in memory; the rows that are left over go one by one. */
static void bounds(const REAL *x, const int32_t *atoms, size_t count, double min[3], double max[3])
{
    REAL copy[3 * CHUNK], low[3 * W], high[3 * W];
    for (int l = 0; l < 3 * W; l++) {
        low[l] = (REAL)HUGE_VAL;
        high[l] = (REAL)-HUGE_VAL;
    }
    vec vlow[3] = {vload(low), vload(low), vload(low)};
    vec vhigh[3] = {vload(high), vload(high), vload(high)};
    size_t left = 0;
    const REAL *r = x;
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        r = atoms == NULL ? x + 3 * begin : take_rows(x, atoms, begin, rows, copy);
        left = rows % W;
        size_t whole = rows - left;
        for (size_t k = 0; k < whole; k += W)
            for (int q = 0; q < 3; q++) {
                vec a = vload(r + 3 * k + (size_t)q * W);
                vlow[q] = vmin(vlow[q], a);
                vhigh[q] = vmax(vhigh[q], a);
            }
        r += 3 * whole;
    }
    for (int q = 0; q < 3; q++) {
        vstore(low + q * W, vlow[q]);
        vstore(high + q * W, vhigh[q]);
    }
    for (size_t l = 0; l < 3 * left; l++) {
        low[l] = r[l] < low[l] ? r[l] : low[l];
        high[l] = r[l] > high[l] ? r[l] : high[l];
    }
    for (int c = 0; c < 3; c++) {
        min[c] = HUGE_VAL;
        max[c] = -HUGE_VAL;
        for (int l = c; l < 3 * W; l += 3) {
            min[c] = (double)low[l] < min[c] ? (double)low[l] : min[c];
            max[c] = (double)high[l] > max[c] ? (double)high[l] : max[c];
        }
    }
}

struct correlation_lanes {
    dvec mass, second_x, second_y;
    dvec first_x[3], first_y[3], cross[3][3];
};

/* weights NULL: all one, which costs no multiplications; the rows are whole vectors then. */
static inline __attribute__((always_inline)) void correlate_chunk(struct correlation_lanes *s, const REAL *x, const REAL *y,
                                                                  const double *weights, size_t rows, const dvec ox[3], const dvec oy[3])
{
    struct correlation_lanes t = *s;
    for (size_t k = 0; k < rows; k += DW) {
        dvec a[3], b[3], m = weights != NULL ? dload(weights + k) : dset1(1.0);
        dload3(x + 3 * k, a);
        dload3(y + 3 * k, b);
        t.mass = t.mass + m;
        for (int c = 0; c < 3; c++) {
            b[c] = b[c] - oy[c];
            dvec mb = m * b[c];
            t.first_y[c] = t.first_y[c] + mb;
            t.second_y = dfma(mb, b[c], t.second_y);
            b[c] = mb;
        }
        for (int c = 0; c < 3; c++) {
            a[c] = a[c] - ox[c];
            dvec ma = m * a[c];
            t.first_x[c] = t.first_x[c] + ma;
            t.second_x = dfma(ma, a[c], t.second_x);
            for (int d = 0; d < 3; d++)
                t.cross[c][d] = dfma(a[c], b[d], t.cross[c][d]);
        }
    }
    *s = t;
}

static void correlate(const REAL *x, const REAL *y, const double *weights, const int32_t *atoms_x, const int32_t *atoms_y, size_t count,
                      const double origin_x[3], const double origin_y[3], struct gd_correlation *out)
{
    REAL copy_x[3 * CHUNK], copy_y[3 * CHUNK];
    double weights_copy[CHUNK];
    const dvec ox[3] = {dset1(origin_x[0]), dset1(origin_x[1]), dset1(origin_x[2])};
    const dvec oy[3] = {dset1(origin_y[0]), dset1(origin_y[1]), dset1(origin_y[2])};
    struct correlation_lanes s;
    memset(&s, 0, sizeof s);
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *a = take_rows(x, atoms_x, begin, rows, copy_x);
        const REAL *b = take_rows(y, atoms_y, begin, rows, copy_y);
        if (weights == NULL && rows % W == 0)
            correlate_chunk(&s, a, b, NULL, rows, ox, oy);
        else
            correlate_chunk(&s, a, b, take_weights(weights, atoms_x, begin, rows, weights_copy), rows, ox, oy);
    }
    out->mass = add_lanes(s.mass);
    out->second_x = add_lanes(s.second_x);
    out->second_y = add_lanes(s.second_y);
    for (int c = 0; c < 3; c++) {
        out->first_x[c] = add_lanes(s.first_x[c]);
        out->first_y[c] = add_lanes(s.first_y[c]);
        for (int d = 0; d < 3; d++)
            out->cross[c][d] = add_lanes(s.cross[c][d]);
    }
}

static double residual(const REAL *x, const REAL *y, const double *weights, const int32_t *atoms_x, const int32_t *atoms_y, size_t count,
                       const double rotation[3][3], const double origin_x[3], const double origin_y[3])
{
    REAL copy_x[3 * CHUNK], copy_y[3 * CHUNK];
    double weights_copy[CHUNK];
    dvec s = dset1(0.0);
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *rx = take_rows(x, atoms_x, begin, rows, copy_x);
        const REAL *ry = take_rows(y, atoms_y, begin, rows, copy_y);
        const double *w = take_weights(weights, atoms_x, begin, rows, weights_copy);
        for (size_t k = 0; k < rows; k += DW) {
            dvec a[3], b[3], square = dset1(0.0);
            dload3(rx + 3 * k, a);
            dload3(ry + 3 * k, b);
            for (int c = 0; c < 3; c++)
                a[c] = a[c] - dset1(origin_x[c]);
            for (int c = 0; c < 3; c++) {
                dvec d = dset1(origin_y[c]) - b[c];
                for (int e = 0; e < 3; e++)
                    d = dfma(dset1(rotation[c][e]), a[e], d);
                square = dfma(d, d, square);
            }
            s = dfma(dload(w + k), square, s);
        }
    }
    return add_lanes(s);
}
