/* See energy_frame.h. */
#include "io/energy_frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"

int gd_energy_frame_create(struct gd_energy_frame **out, size_t num_baths, size_t num_groups, struct gd_err *err)
{
    if (num_baths > GD_ENERGY_MAX_GROUPS || num_groups > GD_ENERGY_MAX_GROUPS)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "%zu baths and %zu energy groups; at most %d of each", num_baths, num_groups,
                          GD_ENERGY_MAX_GROUPS);
    struct gd_energy_frame *frame = calloc(1, sizeof *frame);
    if (frame == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for an energy frame");
    frame->num_baths = num_baths;
    frame->num_groups = num_groups;
    size_t pairs = gd_energy_num_pairs(num_groups);
    /* one more than asked for: a count of zero must not look like a failure */
    frame->bath = calloc(num_baths + 1, sizeof *frame->bath);
    frame->bonded = calloc(num_groups + 1, sizeof *frame->bonded);
    frame->nonbonded = calloc(pairs + 1, sizeof *frame->nonbonded);
    frame->special = calloc(num_groups + 1, sizeof *frame->special);
    frame->bath_temperature = calloc(num_baths + 1, sizeof *frame->bath_temperature);
    if (frame->bath == NULL || frame->bonded == NULL || frame->nonbonded == NULL || frame->special == NULL ||
        frame->bath_temperature == NULL) {
        gd_energy_frame_destroy(&frame);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for an energy frame of %zu groups", num_groups);
    }
    *out = frame;
    return 0;
}

void gd_energy_frame_destroy(struct gd_energy_frame **frame)
{
    if (frame == NULL || *frame == NULL)
        return;
    free((*frame)->bath);
    free((*frame)->bonded);
    free((*frame)->nonbonded);
    free((*frame)->special);
    free((*frame)->bath_temperature);
    free(*frame);
    *frame = NULL;
}

size_t gd_energy_num_pairs(size_t num_groups)
{
    return num_groups * (num_groups + 1) / 2;
}

size_t gd_energy_pair(size_t num_groups, size_t i, size_t j)
{
    if (i > j) {
        size_t k = i;
        i = j;
        j = k;
    }
    return i * num_groups - i * (i + 1) / 2 + j;
}

void gd_energy_frame_set_box(struct gd_energy_frame *frame, const struct gd_box *box)
{
    memcpy(frame->box, box->vectors, sizeof frame->box);
    frame->volume = gd_box_volume(box);
    if (box->kind != GD_BOX_TRUNCATED_OCTAHEDRON)
        return;
    /* Equivalent cell: edge sqrt(3)/2 of the cube's, at acos(1/3) to each other (Bekker 1997). */
    double d = box->vectors[0][0] * sqrt(3.0) / 2.0;
    double rows[3][3] = {
        {d, 0.0, 0.0},
        {d / 3.0, d * 2.0 * sqrt(2.0) / 3.0, 0.0},
        {-d / 3.0, d * sqrt(2.0) / 3.0, d * sqrt(6.0) / 3.0},
    };
    memcpy(frame->box, rows, sizeof rows);
}
