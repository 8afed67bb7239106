/* The kernels of one precision. Included by kernels.h twice, with GD_REAL float and double; see there for what all share. */

struct GD_KERNEL_SET {
    /* ---- reductions ---- */

    /* sum[3] = sum x. */
    void (*sum)(const GD_REAL *x, const int32_t *atoms, size_t count, double sum[3]);
    /* sum[3] = sum w x; returns sum w. */
    double (*weighted_sum)(const GD_REAL *x, const double *weights, const int32_t *atoms, size_t count, double sum[3]);
    /* Moments about origin; weights may be NULL (all one). */
    void (*moments)(const GD_REAL *x, const double *weights, const int32_t *atoms, size_t count, const double origin[3],
                    struct gd_moments *out);
    /* Returns sum w |v|^2: twice the kinetic energy, kJ/mol for u and nm/ps. */
    double (*weighted_squares)(const GD_REAL *v, const double *weights, const int32_t *atoms, size_t count);
    /* tensor[i][j] = sum w v_i v_j, symmetric: twice the kinetic tensor. */
    void (*weighted_tensor)(const GD_REAL *v, const double *weights, const int32_t *atoms, size_t count, double tensor[3][3]);
    /* Component-wise extremes; +inf and -inf when count is 0. Input must be finite. */
    void (*bounds)(const GD_REAL *x, const int32_t *atoms, size_t count, double min[3], double max[3]);
    /* Sums over rows atoms_x[k] of x and atoms_y[k] of y (either NULL: row k), x taken relative to origin_x, y to
     * origin_y. weights belong to the rows of x, or NULL (all one). */
    void (*correlate)(const GD_REAL *x, const GD_REAL *y, const double *weights, const int32_t *atoms_x, const int32_t *atoms_y,
                      size_t count, const double origin_x[3], const double origin_y[3], struct gd_correlation *out);
    /* Returns sum w |rotation (x - origin_x) - (y - origin_y)|^2, rows as in correlate. */
    double (*residual)(const GD_REAL *x, const GD_REAL *y, const double *weights, const int32_t *atoms_x, const int32_t *atoms_y,
                       size_t count, const double rotation[3][3], const double origin_x[3], const double origin_y[3]);

    /* ---- maps ---- */

    /* out[k] = |x_k|, out of length count. Components beyond 1e19 (float) or 1e154 (double) overflow to infinity. */
    void (*norms)(const GD_REAL *x, const int32_t *atoms, size_t count, GD_REAL *out);
    /* out row k = x row atoms[k]: a packed copy of a selection; no overlap. */
    void (*gather)(const GD_REAL *x, const int32_t *atoms, size_t count, GD_REAL *out);
    /* x += shift */
    void (*translate)(GD_REAL *x, const int32_t *atoms, size_t count, const double shift[3]);
    /* x = about + m (x - about); m is row-major and need not be orthogonal. */
    void (*rotate)(GD_REAL *x, const int32_t *atoms, size_t count, const double m[3][3], const double about[3]);
    /* x = about + factor * (x - about), per component */
    void (*scale)(GD_REAL *x, const int32_t *atoms, size_t count, const double factor[3], const double about[3]);

    /* ---- periodic box ---- */

    /* Shifts rows by box vectors into the cell. Rectangular and triclinic: fractional coordinates in [0, 1). Truncated
     * octahedron: the octahedron inscribed in the cube [0, a)^3, centre (a/2, a/2, a/2). Vacuum: nothing.
     * Rectangular and octahedron: inside the cube also after rounding. Triclinic: inside within rounding. */
    void (*wrap)(GD_REAL *x, const int32_t *atoms, size_t count, const struct gd_box *box, const struct gd_min_image *image);
    /* out[k] = minimum-image |x[pairs[k][1]] - x[pairs[k][0]]|. Nobody needs to have checked the pairs, and they may be in memory that
     * somebody writes: what is used was read once, and checked. Returns the place of the first index outside 0 .. limit - 1, with `out`
     * written up to somewhere before it, or 2 * count. */
    size_t (*pair_distances)(const GD_REAL *x, size_t limit, const int32_t (*pairs)[2], size_t count, const struct gd_min_image *image,
                             GD_REAL *out);
    /* out[i * num_b + j] = minimum-image |b_j - a_i|; a (num_a, 3) and b (num_b, 3) are packed (see gather). */
    void (*distance_array)(const GD_REAL *a, size_t num_a, const GD_REAL *b, size_t num_b, const struct gd_min_image *image, GD_REAL *out);

    /* ---- pairs on a grid (kernels/grid.h; used through gd_pairs and gd_rdf of compute.h) ---- */

    /* counts[row] for the home points [begin, end) of the grid. */
    void (*grid_count)(const struct GD_GRID *grid, size_t begin, size_t end, uint32_t *counts);
    /* Writes the pairs and distances of the home points [begin, end) to where offsets[row] says; offsets has num_home + 1
     * entries, the last one the total. row_j and row_d hold the longest row and 16 more. arrange, unless NULL, may permute
     * a row (ids and squared distances together) before it is written. */
    void (*grid_fill)(const struct GD_GRID *grid, size_t begin, size_t end, const uint64_t *offsets, int32_t *row_j, GD_REAL *row_d,
                      void (*arrange)(void *context, int32_t *row_j, GD_REAL *row_d, size_t count), void *context, int32_t (*pairs)[2],
                      GD_REAL *distances);
    /* An arrange for grid_fill: by ascending id. context is a struct gd_row_sort. */
    void (*sort_row)(void *context, int32_t *row_j, GD_REAL *row_d, size_t count);
    /* counts[bin] += 1 for each pair of the home points [begin, end), bin = floor(d * bins_per_nm). */
    void (*grid_histogram)(const struct GD_GRID *grid, size_t begin, size_t end, GD_REAL bins_per_nm, size_t bins, GD_REAL *row_d,
                           uint64_t *counts);

    /* ---- checks ---- */

    /* The first k for which values[k] is infinite or not a number, or count. */
    size_t (*first_not_finite)(const GD_REAL *values, size_t count);
};
