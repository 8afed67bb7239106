/* Small parts of the core: the table, uuids, boxes, the registry, kept records. */
#include "core/box.h"
#include "core/kept.h"
#include "core/registry.h"
#include "core/state.h"
#include "core/table.h"
#include "core/uuid.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(table, holds_what_was_put_and_forgets_what_was_removed)
{
    struct gd_table table;
    gd_table_init(&table);
    static int values[5000];
    for (int i = 0; i < 5000; i++)
        cr_assert_eq(gd_table_put(&table, &i, sizeof i, &values[i]), 0);
    for (int i = 0; i < 5000; i += 2)
        cr_assert_eq(gd_table_remove(&table, &i, sizeof i), &values[i]);
    cr_assert_eq(table.used, 2500);
    for (int i = 0; i < 5000; i++)
        cr_assert_eq(gd_table_get(&table, &i, sizeof i), i % 2 ? &values[i] : NULL);
    size_t cursor = 0, seen = 0;
    while (gd_table_next(&table, &cursor) != NULL)
        seen++;
    cr_assert_eq(seen, 2500);
    gd_table_free(&table);
}

/* Put and remove for ever in a small table: the graves must not fill it. */
Test(table, churn_does_not_grow)
{
    struct gd_table table;
    gd_table_init(&table);
    int value;
    for (int i = 0; i < 100000; i++) {
        cr_assert_eq(gd_table_put(&table, &i, sizeof i, &value), 0);
        cr_assert_not_null(gd_table_remove(&table, &i, sizeof i));
    }
    cr_assert_leq(table.capacity, 64);
    gd_table_free(&table);
}

Test(uuid, text_and_back)
{
    uint8_t a[16], b[16];
    char text[GD_UUID_TEXT];
    cr_assert_eq(gd_uuid_make(a), 0);
    gd_uuid_format(a, text);
    cr_assert_eq(strlen(text), 36);
    cr_assert_eq(gd_uuid_parse(text, b), 0);
    cr_assert_arr_eq(a, b, 16);
    cr_assert_eq(gd_uuid_parse("0123456789abcdef0123456789ABCDEF", b), 0);
    const char *const wrong[] = {"",
                                 "x",
                                 "0123456789abcdef0123456789abcde",
                                 "0123456789abcdef0123456789abcdeg",
                                 "01234567-89ab-cdef-0123-456789abcde",
                                 "0123456789-ab-cdef-0123-456789abcdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(gd_uuid_parse(wrong[i], b), -1, "%s", wrong[i]);
}

Test(box, volumes_are_those_of_the_formulas)
{
    struct gd_box cube = {.kind = GD_BOX_RECTANGULAR, .vectors = {{2, 0, 0}, {0, 3, 0}, {0, 0, 4}}};
    struct gd_box octahedron = {.kind = GD_BOX_TRUNCATED_OCTAHEDRON, .vectors = {{4, 0, 0}, {0, 4, 0}, {0, 0, 4}}};
    cr_expect_eq(gd_box_volume(&cube), 24.0);
    cr_expect_eq(gd_box_volume(&octahedron), 32.0);
    cr_expect_float_eq(gd_box_half_width(&octahedron), sqrt(3.0), 1e-15);
    cube.vectors[0][0] = NAN;
    cr_expect_eq(gd_box_check(&cube, NULL), GD_E_NOT_FINITE);
    octahedron.vectors[2][2] = 5;
    cr_expect_eq(gd_box_check(&octahedron, NULL), GD_E_INVALID_ARGUMENT);
}

static struct gd_state *make(const char *name, size_t atoms)
{
    struct gd_state_spec spec = {atoms, 1, 1, GD_FLOAT32, 0, 0};
    struct gd_state *state = NULL;
    struct gd_err err = {0};
    cr_assert_eq(gd_state_create(&state, &spec, name, 1, 0, &err), 0, "%s", err.text);
    return state;
}

Test(state, arrays_are_aligned_padded_and_zero)
{
    struct gd_state *state = make(NULL, 1001);
    for (int a = 0; a < GD_ARRAY_COUNT; a++) {
        const unsigned char *data = gd_state_array(state, (enum gd_array)a);
        cr_expect_eq((uintptr_t)data % GD_ARRAY_ALIGN, 0);
        for (size_t i = 0; a != GD_MASSES && i < gd_state_array_bytes(&state->spec, (enum gd_array)a); i++)
            cr_assert_eq(data[i], 0);
    }
    const double *masses = gd_state_array(state, GD_MASSES);
    cr_expect_eq(masses[0], 1.0);
    cr_expect_eq(masses[1000], 1.0);
    cr_expect_eq(masses[1001], 0.0); /* padding */
    gd_state_unref(&state);
}

/* Looked at through the segment itself, as a client would: whoever asks writes them, and only the first time. */
Test(state, masses_are_written_when_they_are_asked_for)
{
    struct gd_state *state = make(NULL, 5000);
    struct gd_live_header *header = gd_state_header(state);
    const double *masses = (const double *)(const void *)((char *)state->live.base + gd_state_array_offset(&state->spec, GD_MASSES));
    gd_state_array(state, GD_POSITIONS);
    gd_state_frame_source(state);
    cr_expect_eq(atomic_load(&header->unset), GD_ARRAY_BIT(GD_MASSES));
    cr_expect_eq(masses[0], 0.0);
    cr_expect_eq(gd_state_array(state, GD_MASSES), masses);
    cr_expect_eq(atomic_load(&header->unset), 0);
    for (size_t i = 0; i < 5000; i++)
        cr_assert_eq(masses[i], 1.0);
    ((double *)gd_state_array(state, GD_MASSES))[17] = 18.0;
    cr_expect_eq(((double *)gd_state_array(state, GD_MASSES))[17], 18.0);
    gd_state_unref(&state);
}

Test(state, masses_nobody_asked_for_go_to_the_next_generation)
{
    struct gd_state *state = make(NULL, 50);
    struct gd_rollback_report report;
    struct gd_err err = {0};
    cr_assert_eq(gd_state_new_generation(state, NULL, 2, 0, &report, &err), 0, "%s", err.text);
    cr_expect_eq(atomic_load(&gd_state_header(state)->unset), 0);
    const double *masses = gd_state_array(state, GD_MASSES);
    for (size_t i = 0; i < 50; i++)
        cr_assert_eq(masses[i], 1.0);
    gd_state_unref(&state);
}

Test(state, names_and_sizes_that_cannot_be)
{
    struct gd_state_spec spec = {0, 1, 1, GD_FLOAT32, 0, 0};
    struct gd_state *state = NULL;
    cr_expect_eq(gd_state_create(&state, &spec, NULL, 1, 0, NULL), GD_E_INVALID_ARGUMENT);
    spec.num_atoms = SIZE_MAX / 2;
    cr_expect_eq(gd_state_create(&state, &spec, NULL, 1, 0, NULL), GD_E_INVALID_ARGUMENT);
    cr_expect_eq(gd_state_check_name("a\nb", NULL), GD_E_INVALID_ARGUMENT);
    cr_expect_eq(gd_state_check_name("", NULL), GD_E_INVALID_ARGUMENT);
    cr_expect_eq(gd_state_check_name("01234567-89ab-cdef-0123-456789abcdef", NULL), GD_E_INVALID_ARGUMENT);
    cr_expect_eq(gd_state_check_name("water \xc3\xa9", NULL), 0);
    cr_expect_null(state);
}

Test(registry, names_are_unique_and_free_again)
{
    struct gd_registry registry;
    struct gd_err err = {0};
    gd_registry_init(&registry);
    struct gd_state *a = make("a", 3), *b = make("a", 3);
    cr_assert_eq(gd_registry_add(&registry, a, &err), 0);
    cr_expect_eq(gd_registry_add(&registry, b, &err), GD_E_NAME_TAKEN);
    cr_expect_eq(gd_registry_find(&registry, "a", &err), a);
    cr_expect_eq(gd_registry_rename(&registry, a, "c", &err), 0);
    cr_expect_null(gd_registry_find(&registry, "a", &err));
    cr_expect(strstr(err.text, "'c'") != NULL, "%s", err.text);
    cr_expect_eq(gd_registry_add(&registry, b, &err), 0);
    cr_expect_eq(gd_registry_rename(&registry, b, "c", &err), GD_E_NAME_TAKEN);
    gd_registry_remove(&registry, a);
    cr_expect_eq(gd_registry_rename(&registry, b, "c", &err), 0);
    cr_expect_eq(registry.named, 1);
    gd_state_unref(&a);
    gd_state_unref(&b);
    gd_registry_free(&registry);
}

/* A kept record comes back, and each of its bytes that is changed is noticed while the other record is not there. */
Test(kept, restores_and_refuses)
{
    struct gd_err err = {0};
    struct gd_state *state = make("kept", 20), *back = NULL;
    state->molecules = malloc(3 * sizeof(int32_t));
    memcpy(state->molecules, (const int32_t[]){0, 7, 20}, 3 * sizeof(int32_t));
    state->num_molecules = 2;
    state->masses_set = 1;
    cr_assert_eq(gd_kept_create(state, &err), 0, "%s", err.text);
    struct gd_segment segment = state->kept;
    state->kept = GD_SEGMENT_NONE;
    cr_assert_eq(gd_kept_restore(&segment, &back, &err), 0, "%s", err.text);
    cr_expect_str_eq(back->name, "kept");
    cr_expect_arr_eq(back->uuid, state->uuid, 16);
    cr_expect_eq(back->num_molecules, 2);
    cr_expect_eq(back->molecules[1], 7);
    cr_expect_eq(back->masses_set, 1);

    segment = back->kept;
    back->kept = GD_SEGMENT_NONE;
    unsigned char *record = (unsigned char *)segment.base + 2048; /* the first update has sequence 1: the second place */
    struct gd_state *none = NULL;
    for (size_t at = 0; at < 300; at++) {
        record[at] ^= 0x40;
        int code = gd_kept_restore(&segment, &none, &err);
        if (code == 0) { /* beyond the record: not covered, and not used */
            segment = none->kept;
            none->kept = GD_SEGMENT_NONE;
            gd_state_unref(&none);
            cr_expect_gt(at, 250, "byte %zu was changed and nobody noticed", at);
        } else {
            cr_expect_eq(code, GD_E_CORRUPT_DATA);
        }
        record[at] ^= 0x40;
    }
    gd_segment_close(&segment);
    gd_state_unref(&state);
    gd_state_unref(&back);
}
