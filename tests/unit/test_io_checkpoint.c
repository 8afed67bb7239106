/* Checkpoints: a State written and read back, what is refused, and the format's first version, kept in tests/unit/data. Built without
 * HDF5 the refusal is tested. Also the packing of configurations, which checkpoints and kept jobs share. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/configuration_pack.h"
#include "io/checkpoint.h"
#include "io/configuration.h"
#include "io_data.h"

/* ---- packed configurations ---- */

static struct gd_configuration *small_configuration(void)
{
    struct gd_configuration *conf = NULL;
    struct gd_err err = {0};
    cr_assert_eq(gd_io_read_configuration(io_data_path("small.cnf"), &conf, &err), 0, "%s", err.text);
    return conf;
}

static unsigned char *pack(const struct gd_configuration *conf, size_t *bytes)
{
    *bytes = gd_configuration_packed_bytes(conf);
    unsigned char *packed = malloc(*bytes);
    cr_assert_not_null(packed);
    gd_configuration_pack(conf, packed);
    return packed;
}

static void assert_same(const void *a, const void *b, size_t bytes)
{
    cr_assert_eq(a == NULL, b == NULL);
    if (a != NULL)
        cr_assert_eq(memcmp(a, b, bytes), 0);
}

Test(configuration_pack, comes_back_as_it_was)
{
    struct gd_configuration *conf = small_configuration(), *back = NULL;
    struct gd_err err = {0};
    cr_assert_eq(gd_configuration_set_nhc(conf, 2, 3, &err), 0);
    conf->nhc_zeta[5] = 0.75;
    cr_assert_eq(gd_configuration_set_distance_averages(conf, 4, &err), 0);
    conf->distance_average[3] = -1.5;
    cr_assert_eq(gd_configuration_set_rottrans(conf, 2, &err), 0);
    conf->rottrans_reference[1][2] = 9.0;
    free(conf->stochastic_seed);
    conf->stochastic_seed = strdup("1 2 3");
    size_t bytes, n = conf->num_atoms;
    unsigned char *packed = pack(conf, &bytes);
    cr_assert_eq(gd_configuration_unpack(&back, packed, bytes, &err), 0, "%s", err.text);
    cr_assert_eq(back->num_atoms, n);
    assert_same(conf->position, back->position, n * sizeof *conf->position);
    assert_same(conf->velocity, back->velocity, n * sizeof *conf->velocity);
    assert_same(conf->lattice_shift, back->lattice_shift, n * sizeof *conf->lattice_shift);
    assert_same(conf->stochastic_integral, back->stochastic_integral, n * sizeof *conf->stochastic_integral);
    assert_same(conf->reference_position, back->reference_position, n * sizeof *conf->reference_position);
    assert_same(conf->bfactor, back->bfactor, n * sizeof *conf->bfactor);
    assert_same(conf->labels, back->labels, n * sizeof *conf->labels);
    assert_same(conf->nhc_zeta, back->nhc_zeta, 6 * sizeof(double));
    assert_same(conf->distance_average, back->distance_average, 4 * sizeof(double));
    assert_same(conf->rottrans_reference, back->rottrans_reference, 6 * sizeof(double));
    assert_same(&conf->box, &back->box, sizeof conf->box);
    cr_assert_str_eq(back->stochastic_seed, "1 2 3");
    cr_assert_str_eq(back->title, conf->title);
    cr_assert_eq(back->step, conf->step);
    cr_assert_eq(back->has_rottrans, 1);
    free(packed);
    gd_configuration_destroy(&back);
    gd_configuration_destroy(&conf);
}

Test(configuration_pack, cut_short_or_stretched_it_is_refused)
{
    struct gd_configuration *conf = small_configuration(), *back = NULL;
    struct gd_err err = {0};
    size_t bytes;
    unsigned char *packed = pack(conf, &bytes);
    for (size_t k = 0; k < bytes; k++) { /* a copy of this length, so that a sanitizer sees what is read behind it */
        unsigned char *cut = malloc(k + 1);
        memcpy(cut, packed, k);
        int code = gd_configuration_unpack(&back, cut, k, &err);
        free(cut);
        /* Cut between two sections it is whole without the last of them. */
        cr_assert(code == GD_E_CORRUPT_DATA || code == 0);
        gd_configuration_destroy(&back);
    }
    for (size_t k = 8; k < 24; k++) { /* tag and length of the first section */
        packed[k] ^= 0xffu;
        cr_assert_eq(gd_configuration_unpack(&back, packed, bytes, &err), GD_E_CORRUPT_DATA);
        packed[k] ^= 0xffu;
    }
    free(packed);
    gd_configuration_destroy(&conf);
}

/* ---- checkpoints ---- */

static struct gd_state *make_state(enum gd_dtype dtype)
{
    struct gd_state_spec spec = {.num_atoms = 6, .num_temperature_groups = 2, .num_energy_groups = 1, .dtype = dtype};
    struct gd_state *state = NULL;
    struct gd_err err = {0};
    cr_assert_eq(gd_state_create(&state, &spec, "six", 1, 0, &err), 0, "%s", err.text);
    for (int a = GD_POSITIONS; a <= GD_FORCES; a++) {
        for (int i = 0; i < 18; i++) {
            if (dtype == GD_FLOAT32)
                ((float *)gd_state_array(state, (enum gd_array)a))[i] = (float)(i + 100 * a) / 3.0f;
            else
                ((double *)gd_state_array(state, (enum gd_array)a))[i] = (double)(i + 100 * a) / 3.0;
        }
    }
    struct gd_small *small = &gd_state_header(state)->small;
    small->box = (struct gd_box){.kind = GD_BOX_TRICLINIC, .vectors = {{2, 0, 0}, {0.5, 3, 0}, {0, 0.25, 4}}};
    small->step = 42;
    small->time = 0.125;
    state->version = 5;
    atomic_store(&gd_state_header(state)->version, 5);
    return state;
}

#ifdef GD_HAVE_HDF5

static void round_trip(enum gd_dtype dtype)
{
    struct gd_state *state = make_state(dtype), *back = NULL;
    struct gd_err err = {0};
    const char *path = io_scratch(0, "state.h5");
    state->run_state = (struct gd_run_state){strdup("engine"), 7, 5, 0xfedcba9876543210u};
    state->molecules = malloc(3 * sizeof(int32_t));
    memcpy(state->molecules, (int32_t[]){0, 2, 6}, 3 * sizeof(int32_t));
    state->num_molecules = 2;
    cr_assert_eq(gd_checkpoint_write(path, state, &err), 0, "%s", err.text);
    cr_assert_eq(gd_checkpoint_read(&back, path, NULL, 2, 0, &err), 0, "%s", err.text);
    cr_assert_str_eq(back->name, "six");
    cr_assert_eq(gd_state_version(back), 5);
    for (int a = 0; a < GD_ARRAY_COUNT; a++)
        assert_same(gd_state_array(state, (enum gd_array)a), gd_state_array(back, (enum gd_array)a),
                    gd_state_array_bytes(&state->spec, (enum gd_array)a));
    struct gd_small a, b;
    gd_state_small(state, &a);
    gd_state_small(back, &b);
    cr_assert_eq(a.step, b.step);
    cr_assert_eq(a.time, b.time);
    assert_same(&a.box, &b.box, sizeof a.box);
    assert_same(state->molecules, back->molecules, 3 * sizeof(int32_t));
    cr_assert_eq(back->run_state.bytes, 7);
    cr_assert_str_eq(back->run_state.data, "engine");
    cr_assert_eq(back->run_state.version, 5);
    cr_assert_eq(back->run_state.fingerprint, 0xfedcba9876543210u);
    gd_state_unref(&back);
    gd_state_unref(&state);
}

Test(io_checkpoint, float32_comes_back)
{
    round_trip(GD_FLOAT32);
}

Test(io_checkpoint, float64_comes_back)
{
    round_trip(GD_FLOAT64);
}

Test(io_checkpoint, an_old_run_state_is_left_out)
{
    struct gd_state *state = make_state(GD_FLOAT32), *back = NULL;
    struct gd_err err = {0};
    const char *path = io_scratch(0, "state.h5");
    state->run_state = (struct gd_run_state){strdup("engine"), 7, 4, 1}; /* of the commit before */
    cr_assert_eq(gd_checkpoint_write(path, state, &err), 0, "%s", err.text);
    cr_assert_eq(gd_checkpoint_read(&back, path, "other", 2, 0, &err), 0, "%s", err.text);
    cr_assert_eq(back->run_state.bytes, 0);
    cr_assert_str_eq(back->name, "other");
    gd_state_unref(&back);
    gd_state_unref(&state);
}

Test(io_checkpoint, format_1_is_read)
{
    struct gd_state *state = NULL;
    struct gd_err err = {0};
    cr_assert_eq(gd_checkpoint_read(&state, io_data_path("checkpoint_v1.h5"), NULL, 1, 0, &err), 0, "%s", err.text);
    cr_assert_str_eq(state->name, "fixture");
    cr_assert_eq(state->spec.num_atoms, 4);
    cr_assert_eq(state->spec.dtype, GD_FLOAT32);
    cr_assert_eq(gd_state_version(state), 3);
    cr_assert_eq(state->num_molecules, 2);
    const float *x = gd_state_array(state, GD_POSITIONS), *v = gd_state_array(state, GD_VELOCITIES), *f = gd_state_array(state, GD_FORCES);
    const double *mass = gd_state_array(state, GD_MASSES);
    for (int i = 0; i < 12; i++) { /* exact in binary */
        cr_assert_eq(x[i], (float)i / 8.0f);
        cr_assert_eq(v[i], -(float)i / 16.0f);
        cr_assert_eq(f[i], 1.0f);
    }
    for (int i = 0; i < 4; i++)
        cr_assert_eq(mass[i], i + 1.0);
    struct gd_small small;
    gd_state_small(state, &small);
    cr_assert_eq(small.step, 12);
    cr_assert_eq(small.time, 0.5);
    cr_assert_eq(small.box.kind, GD_BOX_RECTANGULAR);
    cr_assert_eq(small.box.vectors[2][2], 4.0);
    gd_state_unref(&state);
}

/* Every byte in turn would take minutes; each of the head and every 97th. */
Test(io_checkpoint, altered_anywhere_it_is_refused)
{
    size_t size;
    char *whole = io_data_read(io_data_path("checkpoint_v1.h5"), &size);
    const char *path = io_scratch(0, "altered.h5");
    struct gd_state *state = NULL;
    for (size_t k = 0; k < size; k += k < 128 ? 1 : 97) {
        struct gd_err err = {0};
        whole[k] ^= (char)(1 << (k % 8));
        io_data_write(path, whole, size);
        whole[k] ^= (char)(1 << (k % 8));
        int code = gd_checkpoint_read(&state, path, NULL, 1, 0, &err);
        cr_assert(code == GD_E_CORRUPT_DATA || code == GD_E_UNSUPPORTED, "byte %zu: %d", k, code);
        cr_assert_not_null(strstr(err.text, "altered.h5"));
        cr_assert_null(state);
    }
    for (size_t k = 0; k < size; k += 211) {
        struct gd_err err = {0};
        io_data_write(path, whole, k);
        cr_assert_eq(gd_checkpoint_read(&state, path, NULL, 1, 0, &err), GD_E_CORRUPT_DATA, "cut at %zu", k);
    }
    free(whole);
}

struct replacing {
    struct gd_state *state;
    const char *path;
    atomic_int faults, done;
};

static void *replace_often(void *argument)
{
    struct replacing *r = argument;
    struct gd_err err = {0};
    for (int k = 0; k < 300; k++)
        atomic_fetch_add(&r->faults, gd_checkpoint_write(r->path, r->state, &err) != 0);
    atomic_store(&r->done, 1);
    return NULL;
}

/* Whenever the next one takes its place, the old or the new one is read. */
Test(io_checkpoint, while_it_is_replaced_it_is_read)
{
    struct replacing r = {.state = make_state(GD_FLOAT32), .path = io_scratch(0, "state.h5")};
    struct gd_err err = {0};
    pthread_t thread;
    cr_assert_eq(gd_checkpoint_write(r.path, r.state, &err), 0, "%s", err.text);
    cr_assert_eq(pthread_create(&thread, NULL, replace_often, &r), 0);
    int code = 0;
    while (code == 0 && !atomic_load(&r.done)) {
        struct gd_state *back = NULL;
        code = gd_checkpoint_read(&back, r.path, NULL, 2, 0, &err);
        gd_state_unref(&back);
    }
    pthread_join(thread, NULL);
    cr_assert_eq(code, 0, "%s", err.text);
    cr_assert_eq(atomic_load(&r.faults), 0);
    gd_state_unref(&r.state);
}

Test(io_checkpoint, what_cannot_be_written_leaves_nothing)
{
    struct gd_state *state = make_state(GD_FLOAT32);
    struct gd_err err = {0};
    cr_assert_eq(gd_checkpoint_write("/nonexistent/state.h5", state, &err), GD_E_FILE_ACCESS);
    cr_assert_not_null(strstr(err.text, "/nonexistent/state.h5"));
    const char *path = io_scratch(0, "folder");
    cr_assert_eq(mkdir(path, 0700), 0);
    gd_err_clear(&err);
    cr_assert_eq(gd_checkpoint_write(path, state, &err), GD_E_FILE_ACCESS); /* a folder is not replaced */
    cr_assert_eq(rmdir(path), 0);
    gd_state_unref(&state);
}

#else

Test(io_checkpoint, without_hdf5_it_is_refused)
{
    struct gd_state *state = make_state(GD_FLOAT32), *back = NULL;
    struct gd_err err = {0};
    cr_assert_eq(gd_checkpoint_write(io_scratch(0, "x.h5"), state, &err), GD_E_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "HDF5"));
    cr_assert_eq(gd_checkpoint_read(&back, io_data_path("checkpoint_v1.h5"), NULL, 1, 0, &err), GD_E_UNSUPPORTED);
    gd_state_unref(&state);
}

#endif
