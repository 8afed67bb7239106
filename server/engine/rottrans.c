/* Roto-translational constraints: the first LAST atoms keep centre of mass and orientation with respect to reference
 * positions. Source: Amadei, Chillemi, Ceruso, Grottesi and Di Nola 2000. */
#include <stdlib.h>

#include "engine/md_internal.h"

struct gd_rottrans {
    size_t last;
    gd_vec3 *reference; /* [last] about the centre of mass */
    double inverse_mass;
    gd_mat3 inverse_inertia;
};

static void centre_of_mass(const struct gd_md *md, size_t last, double centre[3])
{
    double previous[3], r[3], sum[3] = {0.0, 0.0, 0.0}, mass = 0.0;
    gd_vec3_copy(previous, md->pos[0]);
    for (size_t i = 0; i < last; i++) {
        gd_nearest_image(&md->pbc, md->pos[i], previous, r);
        mass += md->mass[i];
        for (int d = 0; d < 3; d++) {
            sum[d] += md->mass[i] * (r[d] + previous[d]);
            previous[d] += r[d];
        }
    }
    for (int d = 0; d < 3; d++)
        centre[d] = sum[d] / mass;
}

/* The whole system is moved so that the constrained part's centre of mass is the origin. */
static void centre_system(struct gd_md *md, size_t last)
{
    static const double origin[3] = {0.0, 0.0, 0.0};
    double centre[3];
    gd_charge_groups_put_uncounted(md);
    centre_of_mass(md, last, centre);
    for (size_t i = 0; i < md->n; i++)
        gd_vec3_add_scaled(md->pos[i], -1.0, centre);
    gd_charge_groups_put_uncounted(md);
    for (size_t i = 0; md->reference_position != NULL && i < md->n; i++) {
        gd_vec3_add_scaled(md->reference_position[i], -1.0, centre);
        gd_nearest_image(&md->pbc, md->reference_position[i], origin, md->reference_position[i]);
    }
}

static void set_reference(struct gd_md *md, struct gd_rottrans *r)
{
    double mass = 0.0;
    gd_mat3 inertia = {{0.0}};
    for (size_t i = 0; i < r->last; i++) {
        gd_vec3_copy(r->reference[i], md->pos[i]);
        mass += md->mass[i];
        gd_mat3_add_outer(inertia, -md->mass[i], md->pos[i], md->pos[i]);
        for (int d = 0; d < 3; d++)
            inertia[d][d] += md->mass[i] * gd_vec3_norm2(md->pos[i]);
    }
    r->inverse_mass = 1.0 / mass;
    gd_mat3_inverse((const gd_vec3 *)inertia, r->inverse_inertia);
}

int gd_rottrans_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err)
{
    if (md->par.rottrans.rtc == 0)
        return 0;
    int64_t last = md->par.rottrans.last;
    if (last < 1 || last > (int64_t)md->top->num_solute_atoms)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "ROTTRANS: RTCLAST %lld (1 to the %zu solute atoms)", (long long)last,
                          md->top->num_solute_atoms);
    struct gd_rottrans *r = calloc(1, sizeof *r);
    if (r == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for roto-translational constraints");
    md->rottrans = r;
    r->last = (size_t)last;
    int rc = gd_md_allocate((void **)&r->reference, r->last, sizeof *r->reference, err);
    if (rc != 0)
        return rc;
    if (md->par.initialise.ntirtc == 0) { /* continue with the reference of the configuration */
        if (!conf->has_rottrans || conf->rottrans_atoms != r->last)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                              "INITIALISE: NTIRTC 0 needs ROTTRANSREFPOS of %lld atoms in the "
                              "configuration",
                              (long long)last);
        memcpy(r->reference, conf->rottrans_reference, r->last * sizeof *r->reference);
        r->inverse_mass = conf->rottrans_axis[0][0];
        memcpy(r->inverse_inertia, conf->rottrans_theta_inv, sizeof r->inverse_inertia);
        return 0;
    }
    centre_system(md, r->last);
    memcpy(md->old_pos, md->pos, md->n * sizeof *md->pos);
    set_reference(md, r);
    return 0;
}

void gd_rottrans_destroy(struct gd_rottrans **rottrans)
{
    if (rottrans == NULL || *rottrans == NULL)
        return;
    free((*rottrans)->reference);
    free(*rottrans);
    *rottrans = NULL;
}

/* The displacements of the step lose their translation and rotation; velocities follow. */
void gd_rottrans_apply(struct gd_md *md)
{
    const struct gd_rottrans *r = md->rottrans;
    if (r == NULL)
        return;
    double translation[3] = {0.0, 0.0, 0.0}, rotation[3] = {0.0, 0.0, 0.0}, turn[3], part[3], step[3];
    for (size_t i = 0; i < r->last; i++) {
        gd_vec3_sub(md->pos[i], md->old_pos[i], step);
        gd_vec3_cross(r->reference[i], step, part);
        gd_vec3_add_scaled(translation, md->mass[i], step);
        gd_vec3_add_scaled(rotation, md->mass[i], part);
    }
    gd_mat3_mul_vec((const gd_vec3 *)r->inverse_inertia, rotation, turn);
    for (size_t i = 0; i < r->last; i++) {
        gd_vec3_cross(turn, r->reference[i], part);
        for (int d = 0; d < 3; d++)
            md->pos[i][d] -= r->inverse_mass * translation[d] + part[d];
    }
    for (size_t i = 0; i < md->n; i++)
        for (int d = 0; d < 3; d++)
            md->vel[i][d] = (md->pos[i][d] - md->old_pos[i][d]) / md->par.step.dt;
}

void gd_rottrans_visit(struct gd_md *md, gd_state_visitor *visit, void *context)
{
    struct gd_rottrans *r = md->rottrans;
    if (r == NULL)
        return;
    visit(context, r->reference, r->last * sizeof *r->reference);
    visit(context, &r->inverse_mass, sizeof r->inverse_mass);
    visit(context, r->inverse_inertia, sizeof r->inverse_inertia);
}

int gd_rottrans_export(const struct gd_md *md, struct gd_configuration *conf, struct gd_err *err)
{
    const struct gd_rottrans *r = md->rottrans;
    if (r == NULL)
        return 0;
    int rc = gd_configuration_set_rottrans(conf, r->last, err);
    if (rc != 0)
        return rc;
    memcpy(conf->rottrans_reference, r->reference, r->last * sizeof *r->reference);
    for (int d = 0; d < 3; d++)
        conf->rottrans_axis[d][d] = r->inverse_mass;
    memcpy(conf->rottrans_theta_inv, r->inverse_inertia, sizeof conf->rottrans_theta_inv);
    return 0;
}
