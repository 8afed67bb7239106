/* Maps and checks in vectors. Included once per instruction set and precision, after simd_*.h.
 *
 * Unselected rows go in whole vectors. Rows left over, and selected rows (one may come twice and then moves twice), go one
 * by one with the same operations, so that a row's result does not depend on where it stands. */

/* A vector of three numbers as it lies over packed rows: x y z x y ... in three vectors. */
static void spread(const double v[3], vec out[3])
{
    REAL flat[3 * W];
    for (int l = 0; l < 3 * W; l++)
        flat[l] = (REAL)v[l % 3];
    for (int q = 0; q < 3; q++)
        out[q] = vload(flat + q * W);
}

static void norms(const REAL *x, const int32_t *atoms, size_t count, REAL *out)
{
    REAL copy[3 * CHUNK];
    for (size_t begin = 0; begin < count; begin += CHUNK) {
        size_t rows = chunk_at(begin, count);
        const REAL *r = take_rows(x, atoms, begin, rows, copy);
        for (size_t k = 0; k < rows; k += W) {
            vec a[3];
            load3(r + 3 * k, a);
            vec length = vsqrt(vfma(a[2], a[2], vfma(a[1], a[1], a[0] * a[0])));
            if (rows - k >= W)
                vstore(out + begin + k, length);
            else
                vstore_first(out + begin + k, length, rows - k);
        }
    }
}

static inline void translate_rows(REAL *r, const vec shift[3])
{
    for (int q = 0; q < 3; q++)
        vstore(r + q * W, vload(r + q * W) + shift[q]);
}

static void translate(REAL *x, const int32_t *atoms, size_t count, const double shift[3])
{
    const REAL s[3] = {(REAL)shift[0], (REAL)shift[1], (REAL)shift[2]};
    for (size_t k = 0; atoms != NULL && k < count; k++)
        for (int c = 0; c < 3; c++)
            x[3 * (size_t)atoms[k] + c] += s[c];
    if (atoms != NULL)
        return;
    vec v[3];
    spread(shift, v);
    size_t whole = count - count % W;
    for (size_t k = 0; k < whole; k += W)
        translate_rows(x + 3 * k, v);
    for (size_t k = 3 * whole; k < 3 * count; k++)
        x[k] += s[k % 3];
}

/* One row or W of them: T is REAL or vec. */
#define ROTATED(T, fma)                                              \
    T d[3] = {in[0] - about[0], in[1] - about[1], in[2] - about[2]}; \
    for (int c = 0; c < 3; c++)                                      \
        out[c] = fma(m[c][0], d[0], fma(m[c][1], d[1], fma(m[c][2], d[2], about[c])));

static inline void rotate_rows(REAL *r, const vec m[3][3], const vec about[3])
{
    vec in[3], out[3];
    load3(r, in);
    ROTATED(vec, vfma)
    store3(r, out);
}

static inline void rotate_row(REAL *r, const REAL m[3][3], const REAL about[3])
{
    REAL in[3] = {r[0], r[1], r[2]};
    REAL *out = r;
    ROTATED(REAL, REAL_FMA)
}

static void rotate(REAL *x, const int32_t *atoms, size_t count, const double m[3][3], const double about[3])
{
    REAL rm[3][3], rabout[3];
    vec vm[3][3], vabout[3];
    for (int c = 0; c < 3; c++) {
        rabout[c] = (REAL)about[c];
        vabout[c] = vset1(rabout[c]);
        for (int d = 0; d < 3; d++) {
            rm[c][d] = (REAL)m[c][d];
            vm[c][d] = vset1(rm[c][d]);
        }
    }
    size_t whole = atoms != NULL ? 0 : count - count % W;
    for (size_t k = 0; k < whole; k += W)
        rotate_rows(x + 3 * k, (const vec(*)[3])vm, vabout);
    for (size_t k = whole; k < count; k++)
        rotate_row(x + 3 * (atoms != NULL ? (size_t)atoms[k] : k), (const REAL(*)[3])rm, rabout);
}

static void scale(REAL *x, const int32_t *atoms, size_t count, const double factor[3], const double about[3])
{
    const REAL f[3] = {(REAL)factor[0], (REAL)factor[1], (REAL)factor[2]};
    const REAL o[3] = {(REAL)about[0], (REAL)about[1], (REAL)about[2]};
    vec vf[3], vo[3];
    spread(factor, vf);
    spread(about, vo);
    size_t whole = atoms != NULL ? 0 : count - count % W;
    for (size_t k = 0; k < 3 * whole; k += 3 * W)
        for (int q = 0; q < 3; q++)
            vstore(x + k + q * W, vfma(vf[q], vload(x + k + q * W) - vo[q], vo[q]));
    for (size_t k = whole; k < count; k++) {
        REAL *r = x + 3 * (atoms != NULL ? (size_t)atoms[k] : k);
        for (int c = 0; c < 3; c++)
            r[c] = REAL_FMA(f[c], r[c] - o[c], o[c]);
    }
}

static size_t first_not_finite(const REAL *values, size_t count)
{
    size_t k = 0;
    for (; k + 8 * W <= count; k += 8 * W) {
        unsigned bad = 0;
        for (size_t q = 0; q < 8; q++)
            bad |= vnot_finite(vload(values + k + q * W));
        if (bad)
            break;
    }
    for (; k < count; k++)
        if (!isfinite(values[k]))
            return k;
    return count;
}

/* ---- wrap ---- */

/* The largest REAL that is still below edge. */
static REAL below(double edge)
{
    REAL r = (REAL)edge;
    return (double)r < edge ? r : REAL_NEXTAFTER(r, (REAL)0.0);
}

struct wrapping {
    const struct gd_box *box;
    double inverse[3][3];
    vec edge[3], inverse_edge[3], limit[3]; /* spread over packed rows */
    vec h[3][3], g[3][3];                   /* triclinic: vectors and inverse */
    vec half, corner;                       /* truncated octahedron */
};

static void prepare_wrapping(struct wrapping *w, const struct gd_box *box)
{
    double edge[3], inverse[3], limit[3];
    w->box = box;
    gd_box_inverse(box, w->inverse);
    for (int i = 0; i < 3; i++) {
        edge[i] = box->vectors[i][i];
        inverse[i] = w->inverse[i][i];
        limit[i] = (double)below(edge[i]);
        for (int j = 0; j < 3; j++) {
            w->h[i][j] = vset1((REAL)box->vectors[i][j]);
            w->g[i][j] = vset1((REAL)w->inverse[i][j]);
        }
    }
    spread(edge, w->edge);
    spread(inverse, w->inverse_edge);
    spread(limit, w->limit);
    w->half = vset1((REAL)(0.5 * edge[0]));
    w->corner = vset1((REAL)(0.75 * edge[0]));
}

/* How many boxes out a coordinate may be for the vector path. */
#define FAR ((REAL)1e4)

/* Shifts three vectors of packed rows into the rectangular box; returns lanes that are too far out to be exact. */
static inline unsigned wrap_rectangular(REAL *r, const struct wrapping *w, vec out[3])
{
    unsigned far = 0;
    for (int q = 0; q < 3; q++) {
        vec a = vload(r + q * W);
        vec n = vfloor(a * w->inverse_edge[q]);
        far |= ~vle(vabs(n), vset1(FAR));
        a = vmax(vfnma(n, w->edge[q], a), vset1((REAL)0.0));
        out[q] = vselect_gt(a, w->limit[q], vset1((REAL)0.0), a);
    }
    return far & ((1u << W) - 1u);
}

static inline unsigned wrap_triclinic(REAL *r, const struct wrapping *w)
{
    vec a[3], n[3];
    unsigned far = 0;
    load3(r, a);
    for (int i = 0; i < 3; i++) {
        n[i] = vfloor(vfma(a[2], w->g[2][i], vfma(a[1], w->g[1][i], a[0] * w->g[0][i])));
        far |= ~vle(vabs(n[i]), vset1(FAR));
    }
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++)
            a[c] = vfnma(n[i], w->h[i][c], a[c]);
    far &= (1u << W) - 1u;
    if (!far)
        store3(r, a);
    return far;
}

static inline void wrap_corners(REAL *r, const struct wrapping *w)
{
    vec a[3], d[3];
    load3(r, a);
    for (int c = 0; c < 3; c++)
        d[c] = a[c] - w->half;
    vec distance = vabs(d[0]) + vabs(d[1]) + vabs(d[2]);
    for (int c = 0; c < 3; c++) {
        vec shift = vselect_gt(vset1((REAL)0.0), d[c], w->half, vset1((REAL)0.0) - w->half);
        a[c] = vselect_gt(distance, w->corner, vmin(a[c] + shift, w->limit[0]), a[c]);
    }
    store3(r, a);
}

/* W rows. Coordinates very far out take the scalar way, in double. */
static inline void wrap_rows(REAL *r, const struct wrapping *w)
{
    unsigned far;
    if (w->box->kind == GD_BOX_TRICLINIC) {
        far = wrap_triclinic(r, w);
    } else {
        vec out[3];
        far = wrap_rectangular(r, w, out);
        if (!far) {
            for (int q = 0; q < 3; q++)
                vstore(r + q * W, out[q]);
            if (w->box->kind == GD_BOX_TRUNCATED_OCTAHEDRON)
                wrap_corners(r, w);
        }
    }
    if (far)
        for (size_t k = 0; k < W; k++)
            wrap_row(r + 3 * k, w->box, (const double(*)[3])w->inverse);
}

static void put_back(REAL *x, const int32_t *atoms, size_t begin, size_t rows, const REAL *copy)
{
    for (size_t k = 0; k < rows; k++)
        memcpy(x + 3 * (atoms != NULL ? (size_t)atoms[begin + k] : begin + k), copy + 3 * k, 3 * sizeof(REAL));
}

static void wrap(REAL *x, const int32_t *atoms, size_t count, const struct gd_box *box, const struct gd_min_image *image)
{
    (void)image;
    if (box->kind == GD_BOX_VACUUM)
        return;
    struct wrapping w;
    prepare_wrapping(&w, box);
    size_t whole = atoms != NULL ? 0 : count - count % W;
    for (size_t k = 0; k < whole; k += W)
        wrap_rows(x + 3 * k, &w);
    REAL copy[3 * CHUNK];
    for (size_t begin = whole; begin < count; begin += CHUNK) { /* wrapping twice does no more than once */
        size_t rows = chunk_at(begin, count);
        copy_rows(x, atoms, begin, rows, copy);
        for (size_t k = 0; k < rows; k += W)
            wrap_rows(copy + 3 * k, &w);
        put_back(x, atoms, begin, rows, copy);
    }
}
