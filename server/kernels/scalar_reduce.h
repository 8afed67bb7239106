/* The scalar reference, reductions: plain loops in double, one row after the other. Included for REAL float and double. */

static size_t row_of(const int32_t *atoms, size_t k)
{
    return atoms != NULL ? (size_t)atoms[k] : k;
}

static void sum(const REAL *x, const int32_t *atoms, size_t count, double out[3])
{
    double s[3] = {0.0, 0.0, 0.0};
    for (size_t k = 0; k < count; k++) {
        const REAL *r = x + 3 * row_of(atoms, k);
        for (int c = 0; c < 3; c++)
            s[c] += (double)r[c];
    }
    memcpy(out, s, sizeof s);
}

static double weighted_sum(const REAL *x, const double *weights, const int32_t *atoms, size_t count, double out[3])
{
    double total = 0.0;
    double s[3] = {0.0, 0.0, 0.0};
    for (size_t k = 0; k < count; k++) {
        size_t i = row_of(atoms, k);
        total += weights[i];
        for (int c = 0; c < 3; c++)
            s[c] += weights[i] * (double)x[3 * i + c];
    }
    memcpy(out, s, sizeof s);
    return total;
}

static void moments(const REAL *x, const double *weights, const int32_t *atoms, size_t count, const double origin[3],
                    struct gd_moments *out)
{
    struct gd_moments m = {0};
    for (size_t k = 0; k < count; k++) {
        size_t i = row_of(atoms, k);
        double w = weights != NULL ? weights[i] : 1.0;
        m.mass += w;
        for (int c = 0; c < 3; c++) {
            double d = (double)x[3 * i + c] - origin[c];
            m.first[c] += w * d;
            m.second += w * d * d;
        }
    }
    *out = m;
}

static double weighted_squares(const REAL *v, const double *weights, const int32_t *atoms, size_t count)
{
    double s = 0.0;
    for (size_t k = 0; k < count; k++) {
        size_t i = row_of(atoms, k);
        double a = (double)v[3 * i], b = (double)v[3 * i + 1], c = (double)v[3 * i + 2];
        s += weights[i] * (a * a + b * b + c * c);
    }
    return s;
}

static void weighted_tensor(const REAL *v, const double *weights, const int32_t *atoms, size_t count, double tensor[3][3])
{
    double t[3][3] = {{0.0}};
    for (size_t k = 0; k < count; k++) {
        size_t i = row_of(atoms, k);
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                t[a][b] += weights[i] * ((double)v[3 * i + a] * (double)v[3 * i + b]);
    }
    memcpy(tensor, t, sizeof t);
}

static void bounds(const REAL *x, const int32_t *atoms, size_t count, double min[3], double max[3])
{
    for (int c = 0; c < 3; c++) {
        double low = HUGE_VAL, high = -HUGE_VAL;
        for (size_t k = 0; k < count; k++) {
            double value = (double)x[3 * row_of(atoms, k) + c];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
        min[c] = low;
        max[c] = high;
    }
}

static void correlate(const REAL *x, const REAL *y, const double *weights, const int32_t *atoms_x, const int32_t *atoms_y, size_t count,
                      const double origin_x[3], const double origin_y[3], struct gd_correlation *out)
{
    struct gd_correlation s = {0};
    for (size_t k = 0; k < count; k++) {
        size_t i = row_of(atoms_x, k);
        size_t j = row_of(atoms_y, k);
        double w = weights != NULL ? weights[i] : 1.0;
        double a[3], b[3];
        for (int c = 0; c < 3; c++) {
            a[c] = (double)x[3 * i + c] - origin_x[c];
            b[c] = (double)y[3 * j + c] - origin_y[c];
        }
        s.mass += w;
        for (int c = 0; c < 3; c++) {
            s.first_x[c] += w * a[c];
            s.first_y[c] += w * b[c];
            s.second_x += w * a[c] * a[c];
            s.second_y += w * b[c] * b[c];
            for (int d = 0; d < 3; d++)
                s.cross[c][d] += w * a[c] * b[d];
        }
    }
    *out = s;
}

static double residual(const REAL *x, const REAL *y, const double *weights, const int32_t *atoms_x, const int32_t *atoms_y, size_t count,
                       const double rotation[3][3], const double origin_x[3], const double origin_y[3])
{
    double s = 0.0;
    for (size_t k = 0; k < count; k++) {
        size_t i = row_of(atoms_x, k);
        size_t j = row_of(atoms_y, k);
        double w = weights != NULL ? weights[i] : 1.0;
        double a[3];
        for (int c = 0; c < 3; c++)
            a[c] = (double)x[3 * i + c] - origin_x[c];
        for (int c = 0; c < 3; c++) {
            double turned = rotation[c][0] * a[0] + rotation[c][1] * a[1] + rotation[c][2] * a[2];
            double d = turned - ((double)y[3 * j + c] - origin_y[c]);
            s += w * d * d;
        }
    }
    return s;
}
