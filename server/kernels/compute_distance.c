#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/compute.h"
#include "kernels/dispatch.h"

#define PAIRS_AT_ONCE 2048 /* they stay in the first cache from the check to the kernel */

int gd_compute_pair_distances(const struct gd_kernels *k, struct gd_view x, const int32_t (*pairs)[2], size_t count,
                              const struct gd_box *box, void *out, struct gd_err *err)
{
    struct gd_min_image image;
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    GD_CALL(k, x.dtype, pair_distances, x.data, pairs, count, &image, out);
    return 0;
}

static int bad_pair(size_t row, size_t column, int32_t index, size_t limit, struct gd_err *err)
{
    char what[48];
    snprintf(what, sizeof what, "pairs[%zu]", row);
    return gd_compute_bad_index(column, index, limit, what, err);
}

int gd_compute_pair_distances_of(const struct gd_kernels *k, struct gd_view x, const int32_t (*pairs)[2], size_t count,
                                 const struct gd_box *box, void *out, struct gd_err *err)
{
    struct gd_min_image image;
    int32_t block[PAIRS_AT_ONCE][2];
    int failed = gd_min_image_init(&image, box, err);
    for (size_t begin = 0; !failed && begin < count; begin += PAIRS_AT_ONCE) {
        size_t here = count - begin < PAIRS_AT_ONCE ? count - begin : PAIRS_AT_ONCE;
        void *to = (char *)out + begin * (size_t)x.dtype;
        memcpy(block, pairs + begin, here * sizeof block[0]);
        size_t bad = k->check_indices(block[0], 2 * here, x.num_atoms);
        if (bad < 2 * here)
            failed = bad_pair(begin + bad / 2, bad % 2, block[bad / 2][bad % 2], x.num_atoms, err);
        else
            GD_CALL(k, x.dtype, pair_distances, x.data, block, here, &image, to);
    }
    return failed;
}

/* The rows of a view as one packed array: where they lie, or a copy in `owned` that is to be freed. */
static const void *packed(const struct gd_kernels *k, struct gd_view x, void **owned)
{
    if (x.atoms == NULL)
        return x.data;
    if (x.count > SIZE_MAX / (3 * sizeof(double)) - 1)
        return NULL;
    *owned = malloc((x.count + 1) * 3 * (size_t)x.dtype);
    if (*owned != NULL)
        GD_CALL(k, x.dtype, gather, x.data, x.atoms, x.count, *owned);
    return *owned;
}

int gd_compute_distance_array(const struct gd_kernels *k, struct gd_view a, struct gd_view b, const struct gd_box *box, void *out,
                              struct gd_err *err)
{
    struct gd_min_image image;
    void *owned_a = NULL, *owned_b = NULL;
    if (a.dtype != b.dtype)
        return gd_err_set(err, GD_E_INVALID_DTYPE, "one array is float%d, the other float%d; they must be the same", 8 * (int)a.dtype,
                          8 * (int)b.dtype);
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    const void *rows_a = packed(k, a, &owned_a);
    const void *rows_b = packed(k, b, &owned_b);
    if ((rows_a == NULL && a.count > 0) || (rows_b == NULL && b.count > 0))
        failed = gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to gather %zu and %zu atoms", a.count, b.count);
    else if (a.dtype == GD_FLOAT32)
        k->f32.distance_array(rows_a, a.count, rows_b, b.count, &image, out);
    else
        k->f64.distance_array(rows_a, a.count, rows_b, b.count, &image, out);
    free(owned_a);
    free(owned_b);
    return failed;
}
