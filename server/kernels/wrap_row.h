/* Wrapping of one row, in double: the scalar reference, and what the vector variants fall back to for coordinates so
 * far out that the number of boxes to shift by is not exact in their precision. Included for REAL float and double. */

/* x - n edge in [0, edge), also after rounding to REAL: what would round to edge is put on the opposite face, 0. */
static inline REAL wrap_component(double x, double edge)
{
    double n = x / edge;
    double r;
    if (fabs(n) < 1e6) { /* exact enough, and no library call */
        double whole = (double)(int32_t)n;
        r = x - edge * (whole > n ? whole - 1.0 : whole);
        r = r < 0.0 ? 0.0 : r; /* by rounding only */
    } else {
        r = fmod(x, edge);
        r = r < 0.0 ? r + edge : r;
    }
    REAL rounded = (REAL)r;
    return (double)rounded < edge ? rounded : (REAL)0.0;
}

static inline void wrap_row_triclinic(REAL *x, const double h[3][3], const double inverse[3][3])
{
    double r[3] = {(double)x[0], (double)x[1], (double)x[2]};
    /* One pass is enough near the box; each further one removes 52 more bits of a coordinate that is far out. */
    for (int pass = 0; pass < 24; pass++) {
        double n[3];
        int inside = 1;
        for (int i = 0; i < 3; i++) {
            double fraction = r[0] * inverse[0][i] + r[1] * inverse[1][i] + r[2] * inverse[2][i];
            n[i] = floor(fraction);
            if (fabs(n[i]) > 1e6)
                inside = 0;
        }
        for (int c = 0; c < 3; c++)
            r[c] -= n[0] * h[0][c] + n[1] * h[1][c] + n[2] * h[2][c];
        if (inside)
            break;
    }
    for (int c = 0; c < 3; c++)
        x[c] = (REAL)r[c];
}

static inline void wrap_row(REAL *x, const struct gd_box *box, const double inverse[3][3])
{
    if (box->kind == GD_BOX_TRICLINIC) {
        wrap_row_triclinic(x, box->vectors, inverse);
        return;
    }
    for (int c = 0; c < 3; c++)
        x[c] = wrap_component((double)x[c], box->vectors[c][c]);
    if (box->kind != GD_BOX_TRUNCATED_OCTAHEDRON)
        return;
    double half = 0.5 * box->vectors[0][0];
    double d[3] = {(double)x[0] - half, (double)x[1] - half, (double)x[2] - half};
    if (fabs(d[0]) + fabs(d[1]) + fabs(d[2]) > 1.5 * half)
        for (int c = 0; c < 3; c++)
            x[c] = wrap_component((double)x[c] + (d[c] < 0.0 ? half : -half), 2.0 * half);
}
