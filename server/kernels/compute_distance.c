#include <stdio.h>
#include <stdlib.h>

#include "kernels/compute.h"
#include "kernels/split.h"
#include "kernels/dispatch.h"

int gd_compute_pair_distances(const struct gd_kernels *k, struct gd_view x, const int32_t (*pairs)[2], size_t count,
                              const struct gd_box *box, void *out, struct gd_err *err)
{
    struct gd_min_image image;
    int failed = gd_min_image_init(&image, box, err);
    if (failed)
        return failed;
    size_t bad = GD_CALL(k, x.dtype, pair_distances, x.data, x.num_atoms, pairs, count, &image, out);
    if (bad == 2 * count)
        return 0;
    char what[48];
    snprintf(what, sizeof what, "pairs[%zu]", bad / 2);
    return gd_compute_bad_index(bad % 2, pairs[bad / 2][bad % 2], x.num_atoms, what, err);
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

#define ARRAY_PIECE 65536 /* distances a thread takes at a time */
#define ARRAY_ROWS 4      /* and whole rows, which kernels take several of at once */

struct array_work {
    const struct gd_kernels *k;
    enum gd_dtype dtype;
    const void *a, *b;
    size_t num_b;
    const struct gd_min_image *image;
    void *out;
};

static void array_piece(void *context, size_t begin, size_t end, int thread)
{
    const struct array_work *w = context;
    const char *a = (const char *)w->a + 3 * begin * (size_t)w->dtype;
    char *out = (char *)w->out + begin * w->num_b * (size_t)w->dtype;
    (void)thread;
    GD_CALL(w->k, w->dtype, distance_array, (const void *)a, end - begin, w->b, w->num_b, w->image, (void *)out);
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
    else
        gd_split(k, a.count, ARRAY_PIECE / (b.count + 1) / ARRAY_ROWS * ARRAY_ROWS + ARRAY_ROWS, array_piece,
                 &(struct array_work){k, a.dtype, rows_a, rows_b, b.count, &image, out});
    free(owned_a);
    free(owned_b);
    return failed;
}
