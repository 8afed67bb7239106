/* Wrapping by molecule, for REAL float and double; included by compute_molecules.c.
 *
 * Rows that need not move keep every bit: an atom nearer to the one before it than half the shortest lattice vector is
 * at its nearest image already, and a centre that lies in the cell stays. */

static void WRAP_ONE(REAL *x, size_t begin, size_t end, const struct gd_box *box, const double inverse[3][3],
                     const struct gd_min_image *image)
{
    double last[3], center[3], wrapped[3];
    for (int c = 0; c < 3; c++)
        center[c] = last[c] = (double)x[3 * begin + c];
    for (size_t i = begin + 1; i < end; i++) {
        REAL *row = x + 3 * i;
        double r[3] = {(double)row[0] - last[0], (double)row[1] - last[1], (double)row[2] - last[2]};
        if (r[0] * r[0] + r[1] * r[1] + r[2] * r[2] > image->half_width * image->half_width) {
            gd_min_image_apply(image, r);
            for (int c = 0; c < 3; c++)
                row[c] = (REAL)(last[c] + r[c]);
        }
        for (int c = 0; c < 3; c++) {
            last[c] = (double)row[c];
            center[c] += last[c];
        }
    }
    for (int c = 0; c < 3; c++)
        wrapped[c] = center[c] /= (double)(end - begin);
    wrap_row(wrapped, box, inverse);
    double shift[3] = {wrapped[0] - center[0], wrapped[1] - center[1], wrapped[2] - center[2]};
    if (shift[0] == 0.0 && shift[1] == 0.0 && shift[2] == 0.0)
        return;
    for (size_t i = begin; i < end; i++)
        for (int c = 0; c < 3; c++)
            x[3 * i + c] = (REAL)((double)x[3 * i + c] + shift[c]);
}

static void WRAP_ALL(REAL *x, const int32_t *starts, size_t num_molecules, const struct gd_box *box, const struct gd_min_image *image)
{
    double inverse[3][3];
    gd_box_inverse(box, inverse);
    for (size_t m = 0; m < num_molecules; m++)
        WRAP_ONE(x, (size_t)starts[m], (size_t)starts[m + 1], box, (const double(*)[3])inverse, image);
}
