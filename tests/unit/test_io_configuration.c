/* Coordinate files: values, box, round trip byte for byte, and what is said about broken ones. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/box.h"
#include "io/configuration.h"
#include "io/genbox.h"
#include "io_data.h"

static struct gd_configuration *load(const char *path)
{
    struct gd_configuration *conf = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_configuration(path, &conf, &err), 0, "%s", err.text);
    return conf;
}

static void refuse(const char *text, const char *message)
{
    struct gd_configuration *conf = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_read_configuration_memory("mem", text, strlen(text), &conf, NULL, &err), GD_E_FILE_FORMAT, "%s", text);
    cr_assert_null(conf);
    cr_assert_not_null(strstr(err.text, message), "said '%s', expected '%s'", err.text, message);
}

Test(io_configuration, reads_every_block)
{
    struct gd_configuration *c = load(io_data_path("small.cnf"));
    cr_assert_eq(c->num_atoms, 12);
    cr_assert_eq(c->has_time, 1);
    cr_assert_eq(c->step, 250);
    cr_assert_eq(c->time, 0.5);
    cr_assert_eq(c->position[2][2], 1.123456789);
    cr_assert_eq(c->velocity[11][2], 12.345678901);
    cr_assert_str_eq(c->labels[4].residue.text, "TAIL");
    cr_assert_str_eq(c->labels[4].atom.text, "H5");
    cr_assert_eq(c->labels[4].residue_number, 2);
    cr_assert_eq(c->lattice_shift[6][1], -1);
    cr_assert_eq(c->lattice_shift[11][2], 7);
    cr_assert_eq(c->stochastic_integral[0][1], -9.9738556e-06);
    cr_assert_str_eq(c->stochastic_seed, "  21913363");
    cr_assert_eq(c->reference_position[9][0], -1.5);
    cr_assert_eq(c->bfactor[3], 1.5);
    cr_assert_eq(c->nhc_baths, 2);
    cr_assert_eq(c->nhc_chain_length, 3);
    cr_assert_eq(c->nhc_zeta[4], -6.324646661);
    cr_assert_eq(c->rottrans_atoms, 3);
    cr_assert_eq(c->rottrans_theta_inv[2][1], -0.007912146);
    cr_assert_eq(c->rottrans_reference[2][2], 0.033814279);
    cr_assert_eq(c->num_distance_averages, 6);
    cr_assert_eq(c->distance_average[5], 0.4850652);
    cr_assert_eq(c->num_jvalue_averages, 2);
    cr_assert_eq(c->num_jvalue_elevations, 6);
    cr_assert_eq(c->jvalue_elevation[5], 7.125e-05);
    cr_assert_eq(c->has_box, 1);
    cr_assert_str_eq(c->title, "\ta chain of six atoms and two waters, triclinic\nsecond line of the title");
    gd_configuration_destroy(&c);
}

Test(io_configuration, comes_back_byte_for_byte)
{
    static const char *const targets[] = {"same.cnf", "same.cnf.gz"};
    size_t size, again;
    char *text = io_data_read(io_data_path("small.cnf"), &size);
    for (int k = 0; k < 2; k++) {
        const char *path = io_scratch(k, targets[k]);
        struct gd_configuration *c = load(k == 0 ? io_data_path("small.cnf") : io_scratch(0, targets[0]));
        struct gd_err err;
        gd_err_clear(&err);
        cr_assert_eq(gd_io_write_configuration(path, c, &err), 0, "%s", err.text);
        gd_configuration_destroy(&c);
        if (k == 0) {
            char *written = io_data_read(path, &again);
            cr_assert_eq(size, again);
            cr_assert_str_eq(text, written);
            free(written);
        }
    }
    struct gd_configuration *zipped = load(io_scratch(1, targets[1]));
    cr_assert_eq(zipped->num_atoms, 12);
    gd_configuration_destroy(&zipped);
    free(text);
}

/* Volume against the formula; orientation: a along x, b in the xy plane. 1e-12: a dozen roundings of numbers near 3. */
Test(io_configuration, triclinic_box)
{
    struct gd_configuration *c = load(io_data_path("small.cnf"));
    const double d = M_PI / 180.0, ca = cos(80 * d), cb = cos(75 * d), cg = cos(70 * d);
    double volume = 2.5 * 2.6 * 2.7 * sqrt(1 - ca * ca - cb * cb - cg * cg + 2 * ca * cb * cg);
    cr_assert_eq(c->box.kind, GD_BOX_TRICLINIC);
    cr_assert_eq(c->box.vectors[0][0], 2.5);
    cr_assert_eq(c->box.vectors[0][1], 0.0);
    cr_assert_eq(c->box.vectors[1][2], 0.0);
    cr_assert_float_eq(gd_box_volume(&c->box), volume, 1e-12);
    cr_assert_float_eq(c->box.vectors[2][0], 2.7 * cb, 1e-12);
    gd_configuration_destroy(&c);
}

/* Euler angles rotate the cell as a rigid body, and come back. 1e-9 degrees: acos and atan2 near their worst. */
Test(io_configuration, euler_angles_rotate_the_box)
{
    static const double euler[4][3] = {{30, 40, 50}, {-170, -80, 100}, {0, 90, 20}, {10, 0, 0}};
    for (int k = 0; k < 4; k++) {
        struct gd_genbox g = {.type = 2, .length = {2.5, 2.6, 2.7}, .angle = {80, 75, 70}}, back;
        struct gd_box plain, turned;
        struct gd_err err;
        gd_err_clear(&err);
        cr_assert_eq(gd_genbox_to_box(&g, &plain, &err), 0);
        memcpy(g.euler, euler[k], sizeof g.euler);
        cr_assert_eq(gd_genbox_to_box(&g, &turned, &err), 0, "%s", err.text);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                double a = 0, b = 0;
                for (int m = 0; m < 3; m++) {
                    a += plain.vectors[i][m] * plain.vectors[j][m];
                    b += turned.vectors[i][m] * turned.vectors[j][m];
                }
                cr_assert_float_eq(a, b, 1e-12);
            }
        gd_genbox_from_box(&turned, &back);
        struct gd_box again;
        cr_assert_eq(gd_genbox_to_box(&back, &again, &err), 0, "%s", err.text);
        for (int i = 0; i < 9; i++)
            cr_assert_float_eq(again.vectors[i / 3][i % 3], turned.vectors[i / 3][i % 3], 1e-12);
        for (int i = 0; i < 3; i++)
            cr_assert_float_eq(back.angle[i], g.angle[i], 1e-9);
    }
    /* phi turns about z: a along y after 90 degrees */
    struct gd_genbox g = {.type = 2, .length = {1, 1, 1}, .angle = {90, 90, 90}, .euler = {90, 0, 0}};
    struct gd_box box;
    cr_assert_eq(gd_genbox_to_box(&g, &box, NULL), 0);
    cr_assert_float_eq(box.vectors[0][1], 1.0, 1e-15);
    cr_assert_float_eq(box.vectors[1][0], -1.0, 1e-15);
}

#define ATOM "    1 HEAD  C1         1    0.100000000    0.200000000   -0.300000000\n"

Test(io_configuration, boxes_of_all_kinds)
{
    static const struct {
        const char *text;
        int kind, has_box;
    } cases[] = {
        {"POSITION\n" ATOM "END\nGENBOX\n0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\nEND\n", GD_BOX_VACUUM, 1},
        {"POSITION\n" ATOM "END\nGENBOX\n1\n1 2 3\n90 90 90\n0 0 0\nEND\n", GD_BOX_RECTANGULAR, 1},
        {"POSITION\n" ATOM "END\nGENBOX\n-1\n3 3 3\n90 90 90\n0 0 0\n0 0 0\nEND\n", GD_BOX_TRUNCATED_OCTAHEDRON, 1},
        {"POSITION\n" ATOM "END\nBOX\n3 4 5\nEND\n", GD_BOX_RECTANGULAR, 2},
        {"POSITION\n" ATOM "END\nBOX\n0 0 0\nEND\n", GD_BOX_VACUUM, 2},
        {"POSITION\n" ATOM "END\nBOX\n3 4 5 0 0 0 0 0 0\nEND\n", GD_BOX_RECTANGULAR, 2},
        {"POSITION\n" ATOM "END\nBOX\n3 4 5 0 0 1 0 0.5 -1\nEND\n", GD_BOX_TRICLINIC, 2},
        {"POSITIONRED\n1 2 3\n# 10\nEND\n", GD_BOX_VACUUM, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct gd_configuration *c = NULL;
        struct gd_err err;
        gd_err_clear(&err);
        cr_assert_eq(gd_io_read_configuration_memory("mem", cases[k].text, strlen(cases[k].text), &c, NULL, &err), 0, "%s", err.text);
        cr_assert_eq(c->box.kind, cases[k].kind);
        cr_assert_eq(c->has_box, cases[k].has_box);
        gd_configuration_destroy(&c);
    }
}

Test(io_configuration, faults_name_line_and_block)
{
    refuse("", "neither a block POSITION nor POSITIONRED");
    refuse("POSITION\nEND\n", "mem:1: block POSITION: no atoms in it");
    refuse("POSITION\n1 2 3\nEND\n", "mem:2: block POSITION: a line of 5 characters; expected a label of 24");
    refuse("POSITION\n" ATOM "    1 HEAD  C1         1    0.100000000    0.2x0000000   -0.300000000\nEND\n",
           "mem:3: block POSITION: '0.2x0000000' is not a finite decimal number");
    refuse("POSITION\n" ATOM "    1 HEAD  C1         1    0.100000000 nan 0\nEND\n", "mem:3: block POSITION: 'nan' is not");
    refuse("POSITION\n" ATOM "    1 HEAD  C1         1    0.100000000    0.200000000\nEND\n",
           "mem:3: block POSITION: 2 numbers in a line where 3 should be");
    refuse("POSITION\n" ATOM "END\nVELOCITY\n" ATOM ATOM "END\n", "mem:6: block VELOCITY: expected exactly 1 lines");
    refuse("POSITION\n" ATOM ATOM "END\nVELOCITY\n" ATOM "END\n", "block VELOCITY: expected exactly 2 lines");
    refuse("POSITION\n" ATOM "END\nPOSITIONRED\n1 2 3\nEND\n", "blocks POSITION (line 1) and POSITIONRED (line 4) say the same");
    refuse("POSITION\n" ATOM "END\nGENBOX\n7\n1 1 1\n90 90 90\n0 0 0\nEND\n", "block GENBOX: box type is 7; expected 0 (vacuum)");
    refuse("POSITION\n" ATOM "END\nGENBOX\n1\n1 0 1\n90 90 90\n0 0 0\nEND\n", "block GENBOX: box length b is 0");
    refuse("POSITION\n" ATOM "END\nGENBOX\n1\n1 1 1\n90 91 90\n0 0 0\nEND\n", "box angle beta is 91; box type 1 has right angles");
    refuse("POSITION\n" ATOM "END\nGENBOX\n2\n1 1 1\n10 80 120\n0 0 0\nEND\n", "do not span a volume");
    refuse("POSITION\n" ATOM "END\nGENBOX\n-1\n1 2 1\n90 90 90\n0 0 0\nEND\n", "a truncated octahedron needs three equal edges");
    refuse("POSITION\n" ATOM "END\nBOX\n1 2 3 4\nEND\n", "block BOX: the block ends where a box vector should follow");
    refuse("POSITION\n" ATOM "END\nBOX\n1 1 1 1 0 1 0 0 0\nEND\n", "block BOX: box vectors are left-handed or lie in one plane");
    refuse("POSITION\n" ATOM "END\nTIMESTEP\n-1 0\nEND\n", "mem:5: block TIMESTEP: the step is -1; expected 0 or more");
    refuse("POSITION\n" ATOM "END\nTIMESTEP\n1 0 2\nEND\n", "mem:5: block TIMESTEP: '2' after the time; expected END");
    refuse("POSITION\n" ATOM "END\nLATTICESHIFTS\n1 0\nEND\n", "the block ends where a lattice shift should follow");
    refuse("POSITION\n" ATOM "END\nNHCVARIABLES\n1 2 3\n1 2\nEND\n", "block NHCVARIABLES: 5 numbers in 2 lines");
}

Test(io_configuration, unknown_blocks_are_noted)
{
    const char *text = "POSITION\n" ATOM "END\nSOMETHING\n1\nEND\n";
    struct gd_configuration *c = NULL;
    struct gd_messages notes = {0};
    cr_assert_eq(gd_io_read_configuration_memory("mem", text, strlen(text), &c, &notes, NULL), 0);
    cr_assert_eq(notes.count, 1);
    cr_assert_str_eq(notes.text[0], "mem:4: block SOMETHING: not known in a coordinate file, ignored");
    gd_messages_clear(&notes);
    gd_configuration_destroy(&c);
}

/* Cut at any byte: an error, or (between two blocks) a file that is whole without what follows. */
Test(io_configuration, cut_at_every_byte)
{
    size_t size;
    char *text = io_data_read(io_data_path("small.cnf"), &size);
    int read = 0;
    for (size_t cut = 0; cut < size; cut++) {
        struct gd_configuration *c = NULL;
        struct gd_err err;
        gd_err_clear(&err);
        int rc = gd_io_read_configuration_memory("mem", text, cut, &c, NULL, &err);
        if (rc == 0) {
            const char *before = text + cut;
            while (before > text && (before[-1] == '\n' || before[-1] == ' '))
                before--;
            cr_assert_eq(memcmp(before - 3, "END", 3), 0, "cut at byte %zu was read", cut);
            cr_assert_eq(c->num_atoms, 12);
            gd_configuration_destroy(&c);
            read++;
        } else {
            cr_assert_eq(rc, GD_E_FILE_FORMAT);
            cr_assert_eq(strncmp(err.text, "mem", 3), 0, "%s", err.text);
        }
    }
    cr_assert_geq(read, 10); /* once or twice behind each of the blocks from POSITION on */
    free(text);
}

Test(io_configuration, a_failed_write_leaves_the_old_file)
{
    struct gd_configuration *c = load(io_data_path("small.cnf"));
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_io_write_configuration("/nonexistent/x.cnf", c, &err), GD_E_FILE_ACCESS);
    cr_assert_not_null(strstr(err.text, "/nonexistent/x.cnf: cannot be written"), "%s", err.text);
    const char *old = io_scratch(0, "old.cnf");
    io_data_write(old, "old", 3);
    cr_assert_eq(gd_io_write_configuration(io_scratch(1, "old.cnf/x"), c, &err), GD_E_FILE_ACCESS);
    size_t size;
    char *text = io_data_read(old, &size);
    cr_assert_str_eq(text, "old");
    free(text);
    gd_configuration_destroy(&c);
}

/* A rename would put a file in the place of what is no file. */
Test(io_configuration, what_a_link_leads_to_is_replaced_and_no_device)
{
    struct gd_configuration *c = load(io_data_path("small.cnf"));
    struct gd_err err;
    struct stat st;
    char text[16] = "";
    gd_err_clear(&err);
    const char *link = io_scratch(0, "latest.cnf"), *file = io_scratch(1, "fifth.cnf"), *pipe = io_scratch(2, "pipe.cnf");
    io_data_write(file, "old", 3);
    cr_assert_eq(symlink("fifth.cnf", link), 0);
    cr_assert_eq(gd_io_write_configuration(link, c, &err), 0, "%s", err.text);
    cr_assert(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    gd_configuration_destroy(&c);
    c = load(file);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    int reader = open(pipe, O_RDONLY | O_NONBLOCK);
    cr_assert_eq(gd_io_check_configuration_path(pipe, &err), 0, "%s", err.text);
    struct pollfd ended = {.fd = reader, .events = POLLIN};
    cr_assert_eq(poll(&ended, 1, 0), 0, "the reader sees no end");
    cr_assert_eq(gd_io_write_configuration(pipe, c, &err), 0, "%s", err.text);
    cr_assert(lstat(pipe, &st) == 0 && S_ISFIFO(st.st_mode));
    cr_assert_eq(read(reader, text, 5), 5);
    cr_assert_str_eq(text, "TITLE");
    close(reader);
    cr_assert_eq(gd_io_check_configuration_path("/tmp", &err), GD_E_FILE_ACCESS);
    cr_assert_not_null(strstr(err.text, "/tmp: cannot be written: Is a directory"), "%s", err.text);
    gd_configuration_destroy(&c);
}

static void *read_slowly(void *argument)
{
    char piece[4096];
    size_t *total = argument;
    int fd = open(io_scratch(0, "long.cnf"), O_RDONLY);
    for (ssize_t n = 1; n > 0; *total += n > 0 ? (size_t)n : 0) {
        usleep(100);
        n = read(fd, piece, sizeof piece);
    }
    close(fd);
    return NULL;
}

/* A pipe holds 64 KiB; what is written to it is taken out at the reader's pace. */
Test(io_configuration, more_than_a_pipe_holds)
{
    struct gd_configuration *c = NULL;
    struct gd_err err;
    struct stat st;
    pthread_t reader;
    size_t total = 0;
    const char *pipe = io_scratch(0, "long.cnf"), *file = io_scratch(1, "same.cnf");
    gd_err_clear(&err);
    cr_assert_eq(gd_configuration_create(&c, 5000, &err), 0);
    cr_assert_eq(gd_io_write_configuration(file, c, &err), 0, "%s", err.text);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    int held = open(pipe, O_RDONLY | O_NONBLOCK); /* until the writer is there, so that it finds a reader */
    cr_assert_eq(pthread_create(&reader, NULL, read_slowly, &total), 0);
    cr_assert_eq(gd_io_write_configuration(pipe, c, &err), 0, "%s", err.text);
    close(held);
    cr_assert_eq(pthread_join(reader, NULL), 0);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(total, (size_t)st.st_size);
    gd_configuration_destroy(&c);
}

Test(io_configuration, titles_cannot_end_their_block)
{
    struct gd_configuration *c = load(io_data_path("small.cnf")), *again;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_configuration_set_title(c, "one\nEND\n  END of it\nENDING\nEND#x", &err), 0);
    cr_assert_eq(gd_io_write_configuration(io_scratch(0, "title.cnf"), c, &err), 0);
    again = load(io_scratch(0, "title.cnf"));
    cr_assert_str_eq(again->title, "one\n- END\n-   END of it\nENDING\n- END#x");
    gd_configuration_destroy(&again);
    gd_configuration_destroy(&c);
}
