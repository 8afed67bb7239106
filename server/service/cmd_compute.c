/* Commands that compute on one State. Each runs under the State's lease, on the loop thread or on a worker: it looks at its
 * arguments, calls kernels/compute.h, fills the reply. Writers set request->changed. */
#include "core/box.h"
#include "core/state.h"
#include "kernels/compute.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/results.h"
#include "service/service.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct gd_kernels *kernels(const struct gd_request *request)
{
    return &request->service->kernels;
}

#define LEAST_TO_SHARE 8192u /* atoms a pair search goes through, from which on several threads are worth their wake-up */

/* The table for one computation, with the daemon's team of threads if the work is long; to be given back. */
static struct gd_kernels take_team(struct gd_request *request, int is_long)
{
    return gd_team_take(&request->service->team, kernels(request), is_long ? request->threads : 1);
}

static void give_back_team(struct gd_request *request, struct gd_kernels *table)
{
    gd_team_give_back(&request->service->team, table);
}

static struct gd_box box_of(const struct gd_request *request)
{
    struct gd_small small;
    gd_state_small(request->state, &small);
    return small.box;
}

static const double *masses_of(const struct gd_request *request)
{
    return gd_state_array(request->state, GD_MASSES);
}

static struct gd_view all_of(const struct gd_request *request, enum gd_array array)
{
    const struct gd_state *state = request->state;
    return gd_view_all(state->spec.dtype, gd_state_array(state, array), state->spec.num_atoms);
}

/* The rows an `atoms` argument chooses, checked; all of them if it was left out. */
static int select_rows(const struct gd_request *request, enum gd_array array, const struct gd_value *atoms, const char *what,
                       struct gd_view *out, struct gd_err *err)
{
    *out = all_of(request, array);
    if (!atoms->present)
        return 0;
    int code = gd_compute_check_indices(kernels(request), atoms->array.data, atoms->array.shape[0], out->num_atoms, what, err);
    if (code == 0) {
        out->atoms = atoms->array.data;
        out->count = atoms->array.shape[0];
    }
    return code;
}

static enum gd_element element_of(const struct gd_request *request)
{
    return request->state->spec.dtype == GD_FLOAT32 ? GD_ELEMENT_F4 : GD_ELEMENT_F8;
}

/* Says what is about to change, so that a daemon that finds this State after a crash in the middle puts it back. */
static void about_to_write(struct gd_request *request, uint32_t what)
{
    gd_state_begin_write(request->state, what, gd_keep_used(request->service->keep));
}

static int write_done(struct gd_request *request, const struct gd_value *publish)
{
    request->changed = 1;
    request->publish = publish->truth;
    return 0;
}

/* ---- reductions ---- */

int gd_cmd_state_center_of_mass(struct gd_request *request, struct gd_err *err)
{
    struct gd_view x;
    double value[3];
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_CENTER_OF_MASS_ATOMS), "atoms", &x, err);
    if (code == 0)
        code = gd_compute_center_of_mass(kernels(request), x, masses_of(request), value, err);
    if (code == 0)
        gd_reply_reals(&request->reply, "value", value, 3);
    return code;
}

int gd_cmd_state_center_of_geometry(struct gd_request *request, struct gd_err *err)
{
    struct gd_view x;
    double value[3];
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_CENTER_OF_GEOMETRY_ATOMS), "atoms", &x, err);
    if (code == 0)
        code = gd_compute_center_of_geometry(kernels(request), x, value, err);
    if (code == 0)
        gd_reply_reals(&request->reply, "value", value, 3);
    return code;
}

int gd_cmd_state_radius_of_gyration(struct gd_request *request, struct gd_err *err)
{
    struct gd_view x;
    double value;
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_RADIUS_OF_GYRATION_ATOMS), "atoms", &x, err);
    if (code == 0)
        code = gd_compute_radius_of_gyration(kernels(request), x, masses_of(request), &value, err);
    if (code == 0)
        gd_reply_real(&request->reply, "value", value);
    return code;
}

int gd_cmd_state_bounds(struct gd_request *request, struct gd_err *err)
{
    struct gd_view x;
    double lower[3], upper[3], mean[3];
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_BOUNDS_ATOMS), "atoms", &x, err);
    if (code == 0)
        code = gd_compute_bounds(kernels(request), x, lower, upper, err);
    if (code == 0)
        code = gd_compute_center_of_geometry(kernels(request), x, mean, err);
    if (code != 0)
        return code;
    gd_reply_reals(&request->reply, "lower", lower, 3);
    gd_reply_reals(&request->reply, "upper", upper, 3);
    gd_reply_reals(&request->reply, "mean", mean, 3);
    return 0;
}

int gd_cmd_state_norms(struct gd_request *request, struct gd_err *err)
{
    static const char *const names[] = {"positions", "velocities", "forces"};
    enum gd_array array = GD_POSITIONS;
    while (strcmp(names[array], gd_arg(request, GD_STATE_NORMS_ARRAY)->text.data) != 0)
        array++;
    struct gd_view x;
    int code = select_rows(request, array, gd_arg(request, GD_STATE_NORMS_ATOMS), "atoms", &x, err);
    struct gd_result_buffer buffer;
    if (code == 0)
        code = gd_result_allocate(&buffer, request, x.count * (size_t)x.dtype, err);
    if (code != 0)
        return code;
    gd_compute_norms(kernels(request), x, buffer.data);
    struct gd_result_array value = {"value", element_of(request), 1, {x.count}, 0};
    gd_result_reply(request, &buffer, &value, 1);
    return 0;
}

int gd_cmd_state_kinetic_energy(struct gd_request *request, struct gd_err *err)
{
    struct gd_view v;
    int code = select_rows(request, GD_VELOCITIES, gd_arg(request, GD_STATE_KINETIC_ENERGY_ATOMS), "atoms", &v, err);
    if (code == 0)
        gd_reply_real(&request->reply, "value", gd_compute_kinetic_energy(kernels(request), v, masses_of(request)));
    return code;
}

int gd_cmd_state_temperature(struct gd_request *request, struct gd_err *err)
{
    struct gd_view v;
    int code = select_rows(request, GD_VELOCITIES, gd_arg(request, GD_STATE_TEMPERATURE_ATOMS), "atoms", &v, err);
    if (code != 0)
        return code;
    const struct gd_value *given = gd_arg(request, GD_STATE_TEMPERATURE_DOF);
    double dof = given->present ? given->real : 3.0 * (double)v.count;
    double value;
    code = gd_compute_temperature(gd_compute_kinetic_energy(kernels(request), v, masses_of(request)), dof, GD_BOLTZMANN, &value, err);
    if (code == 0)
        gd_reply_real(&request->reply, "value", value);
    return code;
}

/* ---- maps ---- */

/* That x -> factor (x - about) + about + shift stays finite in the State's precision. Looked at only when the change is larger than any
 * that a molecular system knows: looking costs as much as changing. */
static int check_result(const struct gd_request *request, struct gd_view x, double factor, const double about[3], const double shift[3],
                        struct gd_err *err)
{
    double largest = x.dtype == GD_FLOAT32 ? (double)FLT_MAX : DBL_MAX, reach = factor;
    for (int i = 0; i < 3; i++)
        reach = fmax(reach, fmax(fabs(about[i]), fabs(shift[i])));
    if (reach <= 1e6)
        return 0;
    double lower[3], upper[3];
    int code = gd_compute_bounds(kernels(request), x, lower, upper, err);
    for (int i = 0; code == 0 && i < 3; i++) {
        double a = factor * (lower[i] - about[i]) + about[i] + shift[i], b = factor * (upper[i] - about[i]) + about[i] + shift[i];
        if (!(fabs(a) <= largest && fabs(b) <= largest && factor <= largest && fabs(shift[i]) <= largest))
            code = gd_err_set(err, GD_E_NOT_FINITE, "positions from %g to %g nm would become %g to %g nm, beyond what the State's %s hold",
                              lower[i], upper[i], a, b, x.dtype == GD_FLOAT32 ? "float32" : "float64");
    }
    return code;
}

int gd_cmd_state_translate(struct gd_request *request, struct gd_err *err)
{
    struct gd_view x;
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_TRANSLATE_ATOMS), "atoms", &x, err);
    const double *vector = gd_arg(request, GD_STATE_TRANSLATE_VECTOR)->reals;
    if (code == 0)
        code = check_result(request, x, 1.0, (const double[3]){0.0}, vector, err);
    if (code != 0)
        return code;
    about_to_write(request, GD_ARRAY_BIT(GD_POSITIONS));
    gd_compute_translate(kernels(request), x, vector);
    return write_done(request, gd_arg(request, GD_STATE_TRANSLATE_PUBLISH));
}

/* A rotation: orthogonal with determinant +1, each within 1e-6. */
static int check_rotation(const double m[9], struct gd_err *err)
{
    double worst = 0.0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            double product = m[3 * i] * m[3 * j] + m[3 * i + 1] * m[3 * j + 1] + m[3 * i + 2] * m[3 * j + 2];
            worst = fmax(worst, fabs(product - (i == j ? 1.0 : 0.0)));
        }
    }
    double determinant = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6]);
    if (worst > 1e-6 || determinant < 0.0)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "'matrix' is no rotation: its rows are off orthonormal by %.3g (1e-6 is allowed), its "
                          "determinant is %.6g (it must be +1)",
                          worst, determinant);
    return 0;
}

int gd_cmd_state_rotate(struct gd_request *request, struct gd_err *err)
{
    const double *matrix = gd_arg(request, GD_STATE_ROTATE_MATRIX)->reals;
    const struct gd_value *about_arg = gd_arg(request, GD_STATE_ROTATE_ABOUT), *atoms = gd_arg(request, GD_STATE_ROTATE_ATOMS);
    struct gd_view x, v;
    double m[3][3], about[3], origin[3] = {0.0, 0.0, 0.0};
    int code = check_rotation(matrix, err);
    if (code == 0)
        code = select_rows(request, GD_POSITIONS, atoms, "atoms", &x, err);
    if (code == 0)
        code = select_rows(request, GD_VELOCITIES, atoms, "atoms", &v, err);
    if (code != 0)
        return code;
    if (about_arg->present)
        memcpy(about, about_arg->reals, sizeof about);
    else if ((code = gd_compute_center_of_geometry(kernels(request), x, about, err)) != 0)
        return code;
    memcpy(m, matrix, sizeof m);
    about_to_write(request, GD_ARRAY_BIT(GD_POSITIONS) | GD_ARRAY_BIT(GD_VELOCITIES));
    gd_compute_rotate(kernels(request), x, (const double(*)[3])m, about);
    if (gd_arg(request, GD_STATE_ROTATE_VELOCITIES)->truth)
        gd_compute_rotate(kernels(request), v, (const double(*)[3])m, origin);
    return write_done(request, gd_arg(request, GD_STATE_ROTATE_PUBLISH));
}

int gd_cmd_state_scale(struct gd_request *request, struct gd_err *err)
{
    double factor = gd_arg(request, GD_STATE_SCALE_FACTOR)->real;
    const struct gd_value *atoms = gd_arg(request, GD_STATE_SCALE_ATOMS);
    if (!(factor > 0.0) || !isfinite(factor))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'factor' is %g; it must be above 0", factor);
    struct gd_view x;
    int code = select_rows(request, GD_POSITIONS, atoms, "atoms", &x, err);
    if (code != 0)
        return code;
    double about[3] = {0.0, 0.0, 0.0};
    if (gd_arg(request, GD_STATE_SCALE_ABOUT)->present)
        memcpy(about, gd_arg(request, GD_STATE_SCALE_ABOUT)->reals, sizeof about);
    code = check_result(request, x, factor, about, (const double[3]){0.0}, err);
    if (code != 0)
        return code;
    struct gd_live_header *header = gd_state_header(request->state);
    if (gd_arg(request, GD_STATE_SCALE_BOX)->truth && !atoms->present) {
        struct gd_box box = box_of(request);
        for (int i = 0; i < 9; i++)
            box.vectors[i / 3][i % 3] *= factor;
        if (box.kind != GD_BOX_VACUUM && (code = gd_box_check(&box, err)) != 0)
            return code;
        about_to_write(request, GD_DIRTY_SMALL);
        header->small.box = box;
    }
    about_to_write(request, GD_ARRAY_BIT(GD_POSITIONS));
    double factors[3] = {factor, factor, factor};
    gd_compute_scale(kernels(request), x, factors, about);
    return write_done(request, gd_arg(request, GD_STATE_SCALE_PUBLISH));
}

int gd_cmd_state_wrap(struct gd_request *request, struct gd_err *err)
{
    struct gd_box box = box_of(request);
    struct gd_view x = all_of(request, GD_POSITIONS);
    const struct gd_state *state = request->state;
    int code;
    about_to_write(request, GD_ARRAY_BIT(GD_POSITIONS));
    if (strcmp(gd_arg(request, GD_STATE_WRAP_BY)->text.data, "atom") == 0) {
        code = gd_compute_wrap(kernels(request), x, &box, err);
    } else if (state->molecules == NULL) {
        code = gd_err_set(err, GD_E_NO_TOPOLOGY, "the State has not been told its molecules; give it a topology or set_molecules()");
    } else {
        code = gd_compute_wrap_molecules(kernels(request), x, state->molecules, state->num_molecules, &box, err);
    }
    return code != 0 ? code : write_done(request, gd_arg(request, GD_STATE_WRAP_PUBLISH));
}

int gd_cmd_state_remove_com_motion(struct gd_request *request, struct gd_err *err)
{
    double removed[3];
    about_to_write(request, GD_ARRAY_BIT(GD_VELOCITIES));
    int code = gd_compute_remove_com_motion(kernels(request), all_of(request, GD_VELOCITIES), masses_of(request), removed, err);
    if (code != 0)
        return code;
    gd_reply_reals(&request->reply, "velocity", removed, 3);
    return write_done(request, gd_arg(request, GD_STATE_REMOVE_COM_MOTION_PUBLISH));
}

int gd_cmd_state_maxwell_velocities(struct gd_request *request, struct gd_err *err)
{
    struct gd_view v = all_of(request, GD_VELOCITIES);
    double temperature = gd_arg(request, GD_STATE_MAXWELL_VELOCITIES_TEMPERATURE)->real;
    uint64_t seed = (uint64_t)gd_arg(request, GD_STATE_MAXWELL_VELOCITIES_SEED)->integer;
    about_to_write(request, GD_ARRAY_BIT(GD_VELOCITIES));
    int code = gd_compute_maxwell_velocities(kernels(request), v, masses_of(request), temperature, GD_BOLTZMANN, seed, err);
    if (code == 0 && gd_arg(request, GD_STATE_MAXWELL_VELOCITIES_REMOVE_COM)->truth)
        code = gd_compute_remove_com_motion(kernels(request), v, masses_of(request), NULL, err);
    return code != 0 ? code : write_done(request, gd_arg(request, GD_STATE_MAXWELL_VELOCITIES_PUBLISH));
}

/* ---- superposition ---- */

/* The reference of rmsd and fit as a view in the State's dtype; *copy is to be freed. */
static int reference_view(const struct gd_request *request, const struct gd_value *array, struct gd_view x, struct gd_view *out,
                          void **copy, struct gd_err *err)
{
    const struct gd_state *state = request->state, *other = request->other;
    enum gd_dtype dtype = state->spec.dtype, from;
    const void *data;
    size_t n;
    if (array->present == (other != NULL))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "give either 'reference' (positions) or 'reference_state', %s",
                          array->present ? "not both" : "one is needed");
    if (array->present) {
        data = array->array.data;
        n = array->array.shape[0];
        from = array->array.element == GD_ELEMENT_F4 ? GD_FLOAT32 : GD_FLOAT64;
    } else {
        data = gd_state_array(other, GD_POSITIONS);
        n = other->spec.num_atoms;
        from = other->spec.dtype;
    }
    if (n != state->spec.num_atoms)
        return gd_err_set(err, GD_E_INVALID_SHAPE, "the reference has %zu atoms, the State has %zu", n, state->spec.num_atoms);
    if (array->present) {
        int code = gd_compute_check_finite(kernels(request), from, data, n, 3, "reference", err);
        if (code != 0)
            return code;
    }
    if (from != dtype) {
        *copy = malloc(3 * n * (size_t)dtype);
        if (*copy == NULL)
            return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory to convert the reference");
        gd_compute_convert(kernels(request), dtype, *copy, from, data, 3 * n);
        data = *copy;
    }
    *out = gd_view_of(dtype, data, n, x.atoms, x.count);
    return 0;
}

static int superpose(struct gd_request *request, const struct gd_value *reference, const struct gd_value *atoms, int fit, int mass_weighted,
                     struct gd_fit *out, struct gd_err *err)
{
    struct gd_view x, y;
    void *copy = NULL;
    int code = select_rows(request, GD_POSITIONS, atoms, "atoms", &x, err);
    if (code == 0)
        code = reference_view(request, reference, x, &y, &copy, err);
    const double *weights = mass_weighted ? masses_of(request) : NULL;
    if (code == 0 && fit) {
        code = gd_compute_fit(kernels(request), x, y, weights, out, err);
    } else if (code == 0) {
        *out = (struct gd_fit){.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
        code = gd_compute_rmsd(kernels(request), x, y, weights, &out->rmsd, err);
    }
    free(copy);
    return code;
}

int gd_cmd_state_rmsd(struct gd_request *request, struct gd_err *err)
{
    struct gd_fit fit;
    int code = superpose(request, gd_arg(request, GD_STATE_RMSD_REFERENCE), gd_arg(request, GD_STATE_RMSD_ATOMS),
                         gd_arg(request, GD_STATE_RMSD_FIT)->truth, gd_arg(request, GD_STATE_RMSD_MASS_WEIGHTED)->truth, &fit, err);
    if (code != 0)
        return code;
    gd_reply_real(&request->reply, "value", fit.rmsd);
    gd_reply_reals(&request->reply, "rotation", &fit.rotation[0][0], 9);
    gd_reply_reals(&request->reply, "center", fit.center_x, 3);
    gd_reply_reals(&request->reply, "reference_center", fit.center_y, 3);
    return 0;
}

int gd_cmd_state_fit(struct gd_request *request, struct gd_err *err)
{
    struct gd_fit fit;
    int code = superpose(request, gd_arg(request, GD_STATE_FIT_REFERENCE), gd_arg(request, GD_STATE_FIT_ATOMS), 1,
                         gd_arg(request, GD_STATE_FIT_MASS_WEIGHTED)->truth, &fit, err);
    if (code != 0)
        return code;
    about_to_write(request, GD_ARRAY_BIT(GD_POSITIONS));
    gd_compute_apply_fit(kernels(request), all_of(request, GD_POSITIONS), &fit);
    gd_reply_real(&request->reply, "value", fit.rmsd);
    return write_done(request, gd_arg(request, GD_STATE_FIT_PUBLISH));
}

/* ---- distances and pairs ---- */

int gd_cmd_state_distances(struct gd_request *request, struct gd_err *err)
{
    const struct gd_array_value *pairs = &gd_arg(request, GD_STATE_DISTANCES_PAIRS)->array;
    struct gd_view x = all_of(request, GD_POSITIONS);
    size_t count = pairs->shape[0];
    struct gd_box box = box_of(request);
    struct gd_result_buffer buffer;
    int code = gd_result_allocate(&buffer, request, count * (size_t)x.dtype, err);
    if (code != 0)
        return code;
    code = gd_compute_pair_distances(kernels(request), x, pairs->data, count, &box, buffer.data, err);
    if (code != 0) {
        gd_result_drop(&buffer);
        return code;
    }
    struct gd_result_array value = {"value", element_of(request), 1, {count}, 0};
    gd_result_reply(request, &buffer, &value, 1);
    return 0;
}

int gd_cmd_state_distance_array(struct gd_request *request, struct gd_err *err)
{
    struct gd_view a, b;
    struct gd_box box = box_of(request);
    struct gd_result_buffer buffer;
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_DISTANCE_ARRAY_ATOMS_A), "atoms_a", &a, err);
    if (code == 0)
        code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_DISTANCE_ARRAY_ATOMS_B), "atoms_b", &b, err);
    size_t bytes = 0;
    if (code == 0 && (__builtin_mul_overflow(a.count, b.count, &bytes) || __builtin_mul_overflow(bytes, (size_t)a.dtype, &bytes)))
        code = gd_err_set(err, GD_E_OUT_OF_MEMORY, "%zu times %zu distances are more than a size can hold", a.count, b.count);
    if (code == 0)
        code = gd_result_allocate(&buffer, request, bytes, err);
    if (code != 0)
        return code;
    struct gd_kernels table = take_team(request, 1);
    code = gd_compute_distance_array(&table, a, b, &box, buffer.data, err);
    give_back_team(request, &table);
    if (code != 0) {
        gd_result_drop(&buffer);
        return code;
    }
    struct gd_result_array value = {"value", element_of(request), 2, {a.count, b.count}, 0};
    gd_result_reply(request, &buffer, &value, 1);
    return 0;
}

int gd_cmd_state_neighbor_pairs(struct gd_request *request, struct gd_err *err)
{
    struct gd_view x;
    struct gd_box box = box_of(request);
    struct gd_pairs *pairs = NULL;
    struct gd_result_buffer buffer = GD_RESULT_NONE;
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_NEIGHBOR_PAIRS_ATOMS), "atoms", &x, err);
    if (code != 0)
        return code;
    struct gd_kernels table = take_team(request, x.count >= LEAST_TO_SHARE);
    code = gd_pairs_create(&pairs, &table, x, &box, gd_arg(request, GD_STATE_NEIGHBOR_PAIRS_CUTOFF)->real, err);
    size_t count = code == 0 ? gd_pairs_count(pairs) : 0, offset = (count * 8 + 63) / 64 * 64;
    if (code == 0)
        code = gd_result_allocate(&buffer, request, offset + count * (size_t)x.dtype, err);
    if (code == 0)
        code = gd_pairs_fill(pairs, GD_PAIRS_SORTED, buffer.data, (char *)buffer.data + offset, err);
    gd_pairs_destroy(&pairs);
    give_back_team(request, &table);
    if (code != 0) {
        gd_result_drop(&buffer);
        return code;
    }
    struct gd_result_array arrays[] = {{"pairs", GD_ELEMENT_I4, 2, {count, 2}, 0}, {"distances", element_of(request), 1, {count}, offset}};
    gd_result_reply(request, &buffer, arrays, 2);
    return 0;
}

static int is_ascending(const int32_t *atoms, size_t count)
{
    for (size_t k = 1; k < count; k++)
        if (atoms[k] <= atoms[k - 1])
            return 0;
    return 1;
}

/* How many atoms are in both selections; a repeated atom is refused. marks has num_atoms bytes, zero. */
static int mark_shared(struct gd_view a, struct gd_view b, unsigned char *marks, size_t *shared, struct gd_err *err)
{
    for (size_t i = 0; i < a.count; i++) {
        size_t atom = a.atoms != NULL ? (size_t)a.atoms[i] : i;
        if (marks[atom] & 1)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'atoms_a' names atom %zu twice", atom);
        marks[atom] |= 1;
    }
    *shared = 0;
    for (size_t i = 0; i < b.count; i++) {
        size_t atom = b.atoms != NULL ? (size_t)b.atoms[i] : i;
        if (marks[atom] & 2)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "'atoms_b' names atom %zu twice", atom);
        *shared += marks[atom] & 1;
        marks[atom] |= 2;
    }
    return 0;
}

static int count_shared(struct gd_view a, struct gd_view b, size_t *shared, struct gd_err *err)
{
    *shared = a.count;
    if (a.atoms == b.atoms && (a.atoms == NULL || is_ascending(a.atoms, a.count)))
        return 0;
    unsigned char *marks = calloc(a.num_atoms, 1);
    if (marks == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu marks", a.num_atoms);
    int code = mark_shared(a, b, marks, shared, err);
    free(marks);
    return code;
}

int gd_cmd_state_rdf(struct gd_request *request, struct gd_err *err)
{
    struct gd_view a, b;
    struct gd_box box = box_of(request);
    double r_max = gd_arg(request, GD_STATE_RDF_R_MAX)->real;
    size_t bins = (size_t)gd_arg(request, GD_STATE_RDF_BINS)->integer, shared = 0;
    int code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_RDF_ATOMS_A), "atoms_a", &a, err);
    if (code == 0)
        code = select_rows(request, GD_POSITIONS, gd_arg(request, GD_STATE_RDF_ATOMS_B), "atoms_b", &b, err);
    if (code == 0)
        code = count_shared(a, b, &shared, err);
    struct gd_result_buffer buffer;
    if (code == 0)
        code = gd_result_allocate(&buffer, request, 3 * bins * 8, err);
    if (code != 0)
        return code;
    double *r = buffer.data, *g = r + bins;
    uint64_t *counts = (uint64_t *)(void *)(g + bins);
    struct gd_kernels table = take_team(request, a.count >= LEAST_TO_SHARE);
    code = gd_compute_rdf_counts(&table, a, b, &box, r_max, bins, counts, err);
    give_back_team(request, &table);
    if (code == 0)
        code = gd_compute_rdf_normalize(counts, bins, r_max, a.count, b.count, shared, &box, r, g, err);
    if (code != 0) {
        gd_result_drop(&buffer);
        return code;
    }
    struct gd_result_array arrays[] = {
        {"r", GD_ELEMENT_F8, 1, {bins}, 0}, {"g", GD_ELEMENT_F8, 1, {bins}, bins * 8}, {"counts", GD_ELEMENT_I8, 1, {bins}, bins * 16}};
    gd_result_reply(request, &buffer, arrays, 3);
    return 0;
}
