/* The scalar reference, maps and checks: plain loops, computed in double and rounded once. Included for REAL float and
 * double. */

static void norms(const REAL *x, const int32_t *atoms, size_t count, REAL *out)
{
    for (size_t k = 0; k < count; k++) {
        const REAL *r = x + 3 * row_of(atoms, k);
        /* in REAL, so that overflow is where the vector variants have it */
        out[k] = REAL_SQRT(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    }
}

static void gather(const REAL *x, const int32_t *atoms, size_t count, REAL *out)
{
    for (size_t k = 0; k < count; k++)
        memcpy(out + 3 * k, x + 3 * row_of(atoms, k), 3 * sizeof(REAL));
}

static void translate(REAL *x, const int32_t *atoms, size_t count, const double shift[3])
{
    for (size_t k = 0; k < count; k++) {
        REAL *r = x + 3 * row_of(atoms, k);
        for (int c = 0; c < 3; c++)
            r[c] = (REAL)((double)r[c] + shift[c]);
    }
}

static void rotate(REAL *x, const int32_t *atoms, size_t count, const double m[3][3], const double about[3])
{
    for (size_t k = 0; k < count; k++) {
        REAL *r = x + 3 * row_of(atoms, k);
        double d[3] = {(double)r[0] - about[0], (double)r[1] - about[1], (double)r[2] - about[2]};
        for (int c = 0; c < 3; c++)
            r[c] = (REAL)(about[c] + (m[c][0] * d[0] + m[c][1] * d[1] + m[c][2] * d[2]));
    }
}

static void scale(REAL *x, const int32_t *atoms, size_t count, const double factor[3], const double about[3])
{
    for (size_t k = 0; k < count; k++) {
        REAL *r = x + 3 * row_of(atoms, k);
        for (int c = 0; c < 3; c++)
            r[c] = (REAL)(about[c] + factor[c] * ((double)r[c] - about[c]));
    }
}

static void wrap(REAL *x, const int32_t *atoms, size_t count, const struct gd_box *box, const struct gd_min_image *image)
{
    (void)image;
    if (box->kind == GD_BOX_VACUUM)
        return;
    double inverse[3][3];
    gd_box_inverse(box, inverse);
    for (size_t k = 0; k < count; k++)
        wrap_row(x + 3 * row_of(atoms, k), box, inverse);
}

static size_t first_not_finite(const REAL *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!isfinite(values[k]))
            return k;
    return count;
}

static size_t pair_distances(const REAL *x, size_t limit, const int32_t (*pairs)[2], size_t count, const struct gd_min_image *image,
                             REAL *out)
{
    for (size_t k = 0; k < count; k++) {
        const volatile int32_t *pair = pairs[k]; /* read once: somebody may be writing there */
        int32_t i = pair[0], j = pair[1];
        if (i < 0 || (size_t)i >= limit)
            return 2 * k;
        if (j < 0 || (size_t)j >= limit)
            return 2 * k + 1;
        const REAL *a = x + 3 * (size_t)i;
        const REAL *b = x + 3 * (size_t)j;
        double r[3] = {(double)b[0] - (double)a[0], (double)b[1] - (double)a[1], (double)b[2] - (double)a[2]};
        gd_min_image_apply(image, r);
        out[k] = (REAL)sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    }
    return 2 * count;
}

static void distance_array(const REAL *a, size_t num_a, const REAL *b, size_t num_b, const struct gd_min_image *image, REAL *out)
{
    for (size_t i = 0; i < num_a; i++)
        for (size_t j = 0; j < num_b; j++) {
            double r[3];
            for (int c = 0; c < 3; c++)
                r[c] = (double)b[3 * j + c] - (double)a[3 * i + c];
            gd_min_image_apply(image, r);
            out[i * num_b + j] = (REAL)sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        }
}
