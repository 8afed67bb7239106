/* See checkpoint.h. The format's version 1; a change that old readers would misread raises it, and this file then reads both. */
#include "io/checkpoint.h"

#ifdef GD_HAVE_HDF5

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/box.h"
#include "core/configuration.h"
#include "core/configuration_pack.h"
#include "core/uuid.h"
#include "core/version.h"
#include "io/hdf5_store.h"
#include "proto/gd_energies.h"

#define HEAD_BYTES 512 /* the least HDF5 takes as a user block */
#define PIECE ((size_t)1 << 20)
#define MOST_VERSION ((int64_t)1 << 53)

/* ---- the head: length and checksum ---- */

static void make_head(char head[HEAD_BYTES], int format, uint64_t bytes, uint64_t checksum)
{
    memset(head, 0, HEAD_BYTES);
    snprintf(head, HEAD_BYTES, "gromosd checkpoint\nformat %d\nbytes %020" PRIu64 "\nchecksum %016" PRIx64 "\n", format, bytes, checksum);
}

/* Each step is a bijection of the running value, so that a change within one word always shows in the end. */
static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t mix_bytes(uint64_t h, const unsigned char *data, size_t bytes)
{
    size_t k = 0;
    for (; k + 8 <= bytes; k += 8) {
        uint64_t word;
        memcpy(&word, data + k, 8);
        h = mix(h, word);
    }
    for (; k < bytes; k++)
        h = mix(h, data[k] | 0x100u);
    return h;
}

/* Of everything behind the head; *bytes: of the whole file. */
static int sum_file(int fd, uint64_t *checksum, uint64_t *bytes)
{
    unsigned char *piece = malloc(PIECE);
    uint64_t h = 0x243f6a8885a308d3u;
    off_t at = HEAD_BYTES;
    size_t filled = 0;
    ssize_t n = 1;
    while (piece != NULL && n > 0) {
        n = pread(fd, piece + filled, PIECE - filled, at);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        at += n > 0 ? n : 0;
        filled += n > 0 ? (size_t)n : 0;
        if (filled == PIECE || n == 0) { /* whole pieces only, so that the sum does not depend on how read delivers */
            h = mix_bytes(h, piece, filled);
            filled = 0;
        }
    }
    int ok = piece != NULL && n == 0;
    free(piece);
    *bytes = (uint64_t)at;
    *checksum = mix(h, (uint64_t)at);
    return ok ? 0 : -1;
}

static int check_head(int fd, const char *path, int *format, struct gd_err *err)
{
    char head[HEAD_BYTES], expected[HEAD_BYTES];
    uint64_t bytes = 0, checksum = 0, found_bytes = 0, found = 0;
    ssize_t n = pread(fd, head, sizeof head, 0);
    if (n < 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be read", path);
    if (n != HEAD_BYTES || memcmp(head, "gromosd checkpoint\n", 19) != 0)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "%s: is not a checkpoint of gromosd, or its beginning is damaged", path);
    head[HEAD_BYTES - 1] = '\0';
    if (sscanf(head, "gromosd checkpoint\nformat %d\nbytes %20" SCNu64 "\nchecksum %16" SCNx64 "\n", format, &bytes, &checksum) != 3)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "%s: the checkpoint's head is damaged", path);
    if (*format > GD_CHECKPOINT_FORMAT)
        return gd_err_set(err, GD_E_UNSUPPORTED, "%s: is of checkpoint format %d, this gromosd reads up to %d; use a newer one", path,
                          *format, GD_CHECKPOINT_FORMAT);
    make_head(expected, *format, bytes, checksum);
    if (*format < 1 || memcmp(head, expected, HEAD_BYTES) != 0)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "%s: the checkpoint's head is damaged", path);
    if (sum_file(fd, &found, &found_bytes) != 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be read", path);
    if (found_bytes != bytes)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "%s: has %" PRIu64 " bytes, it was written with %" PRIu64 ": cut short or added to", path,
                          found_bytes, bytes);
    if (found != checksum)
        return gd_err_set(err, GD_E_CORRUPT_DATA, "%s: its contents were altered: the checksum is %016" PRIx64 ", not %016" PRIx64, path,
                          found, checksum);
    return 0;
}

/* ---- writing: the part other tools read ---- */

static hid_t file_type(enum gd_dtype dtype)
{
    return dtype == GD_FLOAT32 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
}

static hid_t memory_type(enum gd_dtype dtype)
{
    return dtype == GD_FLOAT32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

static int put_h5md(hid_t file)
{
    static const int32_t version[2] = {1, 1}, units_version[2] = {1, 0};
    hid_t group = gd_hdf5_group(file, "h5md"), author = gd_hdf5_group(group, "author"), creator = gd_hdf5_group(group, "creator");
    hid_t modules = gd_hdf5_group(group, "modules"), units = gd_hdf5_group(modules, "units");
    int bad = gd_hdf5_put_int32s(group, "version", version, 2) | gd_hdf5_put_text(author, "name", "unknown") |
              gd_hdf5_put_text(creator, "name", "gromosd") | gd_hdf5_put_text(creator, "version", GD_VERSION) |
              gd_hdf5_put_int32s(units, "version", units_version, 2) | gd_hdf5_put_text(units, "system", "SI");
    const hid_t all[] = {units, modules, creator, author, group};
    for (size_t k = 0; k < 5; k++)
        bad |= H5Gclose(all[k]) < 0 ? -1 : 0;
    return bad;
}

/* An H5MD element of one frame: step [1], time [1], value [1] and rank more dimensions. */
static int put_element(hid_t parent, const char *name, const struct gd_small *small, hid_t stored, hid_t memory, int rank,
                       const hsize_t *dims, const void *data, const char *unit)
{
    static const hsize_t one = 1;
    hsize_t value_dims[4] = {1};
    for (int k = 0; k < rank; k++)
        value_dims[k + 1] = dims[k];
    hid_t group = gd_hdf5_group(parent, name);
    if (group < 0)
        return -1;
    int bad = gd_hdf5_put_data(group, "step", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &one, &small->step, NULL) |
              gd_hdf5_put_data(group, "time", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &one, &small->time, "ps") |
              gd_hdf5_put_data(group, "value", stored, memory, rank + 1, value_dims, data, unit);
    return bad | (H5Gclose(group) < 0 ? -1 : 0);
}

static int put_box(hid_t all, const struct gd_small *small)
{
    static const char *const boundary[2][3] = {{"periodic", "periodic", "periodic"}, {"none", "none", "none"}};
    static const int32_t three = 3;
    static const hsize_t dims[2] = {3, 3};
    const struct gd_box *box = &small->box;
    const double h = box->vectors[0][0] / 2.0;
    /* The octahedron's lattice is body-centred cubic: three of its nearest lattice vectors, in the cube's own frame. */
    const double octahedron[9] = {h, h, -h, -h, h, h, h, -h, h};
    const double lengths[3] = {box->vectors[0][0], box->vectors[1][1], box->vectors[2][2]};
    hid_t group = gd_hdf5_group(all, "box");
    int bad =
        gd_hdf5_put_int32s(group, "dimension", &three, 0) | gd_hdf5_put_texts(group, "boundary", boundary[box->kind == GD_BOX_VACUUM], 3);
    if (box->kind == GD_BOX_RECTANGULAR)
        bad |= put_element(group, "edges", small, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, dims, lengths, "nm");
    else if (box->kind != GD_BOX_VACUUM)
        bad |= put_element(group, "edges", small, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, dims,
                           box->kind == GD_BOX_TRUNCATED_OCTAHEDRON ? octahedron : box->vectors[0], "nm");
    return bad | (H5Gclose(group) < 0 ? -1 : 0);
}

static int put_particles(hid_t file, const struct gd_state *state, const struct gd_small *small)
{
    static const struct {
        const char *name, *unit;
        enum gd_array array;
    } elements[] = {{"position", "nm", GD_POSITIONS}, {"velocity", "nm ps-1", GD_VELOCITIES}, {"force", "kJ mol-1 nm-1", GD_FORCES}};
    const hsize_t dims[2] = {state->spec.num_atoms, 3};
    hid_t stored = file_type(state->spec.dtype), memory = memory_type(state->spec.dtype);
    hid_t particles = gd_hdf5_group(file, "particles"), all = gd_hdf5_group(particles, "all");
    int bad = put_box(all, small) |
              gd_hdf5_put_data(all, "mass", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, dims, gd_state_array(state, GD_MASSES), "u");
    for (size_t k = 0; k < 3 && !bad; k++)
        bad =
            put_element(all, elements[k].name, small, stored, memory, 2, dims, gd_state_array(state, elements[k].array), elements[k].unit);
    return bad | (H5Gclose(all) < 0 ? -1 : 0) | (H5Gclose(particles) < 0 ? -1 : 0);
}

static int put_observables(hid_t file, const struct gd_state *state, const struct gd_small *small)
{
    static const struct {
        const char *name, *unit;
        int at;
    } scalars[] = {
        {"kinetic_energy", "kJ mol-1", GD_ENERGY_KINETIC},   {"potential_energy", "kJ mol-1", GD_ENERGY_POTENTIAL},
        {"special_energy", "kJ mol-1", GD_ENERGY_SPECIAL},   {"bond_energy", "kJ mol-1", GD_ENERGY_BOND},
        {"angle_energy", "kJ mol-1", GD_ENERGY_ANGLE},       {"improper_energy", "kJ mol-1", GD_ENERGY_IMPROPER},
        {"dihedral_energy", "kJ mol-1", GD_ENERGY_DIHEDRAL}, {"lennard_jones_energy", "kJ mol-1", GD_ENERGY_LJ},
        {"coulomb_energy", "kJ mol-1", GD_ENERGY_COULOMB},   {"temperature", "K", GD_ENERGY_TEMPERATURE},
        {"pressure", "kJ mol-1 nm-3", GD_ENERGY_PRESSURE},   {"volume", "nm3", GD_ENERGY_VOLUME},
    };
    const double *energies = gd_state_array(state, GD_ENERGIES);
    hid_t group = gd_hdf5_group(file, "observables");
    int bad = group < 0 ? -1 : 0;
    for (size_t k = 0; k < sizeof scalars / sizeof scalars[0] && !bad; k++)
        bad = put_element(group, scalars[k].name, small, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, NULL, &energies[scalars[k].at],
                          scalars[k].unit);
    return bad | (group >= 0 && H5Gclose(group) < 0 ? -1 : 0);
}

/* ---- writing: the rest ---- */

static int put_bytes(hid_t group, const char *name, const void *data, size_t bytes)
{
    const hsize_t length = bytes;
    return bytes == 0 ? 0 : gd_hdf5_put_data(group, name, H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, &length, data, NULL);
}

/* While the State is as it was read, its origin is all of it; afterwards only its labels count. */
static int put_origin(hid_t group, const struct gd_state *state)
{
    if (state->origin == NULL)
        return 0;
    size_t bytes = gd_configuration_packed_bytes(state->origin);
    void *packed = malloc(bytes);
    if (packed == NULL)
        return -1;
    gd_configuration_pack(state->origin, packed);
    int bad = put_bytes(group, "origin", packed, bytes) | gd_hdf5_put_int(group, "origin_version", (int64_t)state->origin_version);
    free(packed);
    return bad;
}

static int put_run(hid_t group, const struct gd_state *state)
{
    const struct gd_run_state *run = &state->run_state;
    if (run->bytes == 0 || run->version != gd_state_version(state))
        return 0;
    return put_bytes(group, "run_state", run->data, run->bytes) | gd_hdf5_put_int(group, "run_fingerprint", (int64_t)run->fingerprint);
}

static int put_own(hid_t file, const struct gd_state *state, const struct gd_small *small)
{
    const struct gd_state_spec *spec = &state->spec;
    const hsize_t energies = gd_energies_count(spec->num_temperature_groups, spec->num_energy_groups), starts = state->num_molecules + 1;
    static const hsize_t nine[2] = {3, 3};
    char uuid[GD_UUID_TEXT];
    gd_uuid_format(state->uuid, uuid);
    hid_t group = gd_hdf5_group(file, "gromosd");
    if (group < 0)
        return -1;
    int bad =
        gd_hdf5_put_int(group, "format", GD_CHECKPOINT_FORMAT) | gd_hdf5_put_text(group, "uuid", uuid) |
        gd_hdf5_put_text(group, "name", state->name) | gd_hdf5_put_int(group, "num_atoms", (int64_t)spec->num_atoms) |
        gd_hdf5_put_int(group, "num_temperature_groups", spec->num_temperature_groups) |
        gd_hdf5_put_int(group, "num_energy_groups", spec->num_energy_groups) | gd_hdf5_put_int(group, "element_bytes", spec->dtype) |
        gd_hdf5_put_int(group, "slots", spec->slots) | gd_hdf5_put_int(group, "frame_forces", spec->frame_forces) |
        gd_hdf5_put_int(group, "version", (int64_t)gd_state_version(state)) | gd_hdf5_put_int(group, "step", small->step) |
        gd_hdf5_put_real(group, "time", small->time) | gd_hdf5_put_int(group, "masses_set", state->masses_set) |
        gd_hdf5_put_int(group, "box_kind", small->box.kind) |
        gd_hdf5_put_data(group, "box", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, nine, small->box.vectors, "nm") |
        gd_hdf5_put_data(group, "energies", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &energies, gd_state_array(state, GD_ENERGIES), NULL);
    if (!bad && state->molecules != NULL)
        bad = gd_hdf5_put_data(group, "molecules", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, &starts, state->molecules, NULL);
    if (!bad)
        bad = put_origin(group, state) | put_run(group, state);
    return bad | (H5Gclose(group) < 0 ? -1 : 0);
}

/* Under the library's lock. */
static int write_contents(const char *path, const struct gd_state *state, struct gd_err *err)
{
    struct gd_small small;
    gd_state_small(state, &small);
    hid_t how = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = H5Pset_userblock(how, HEAD_BYTES) < 0 ? -1 : H5Fcreate(path, H5F_ACC_TRUNC, how, H5P_DEFAULT);
    H5Pclose(how);
    if (file < 0)
        return gd_hdf5_fault(path, "cannot be written", err);
    int bad = put_h5md(file) | put_particles(file, state, &small) | put_observables(file, state, &small) | put_own(file, state, &small);
    int code = bad ? gd_hdf5_fault(path, "cannot be written", err) : 0;
    if (H5Fclose(file) < 0 && code == 0)
        code = gd_hdf5_fault(path, "cannot be written", err);
    return code;
}

static int seal(const char *path, struct gd_err *err)
{
    char head[HEAD_BYTES];
    uint64_t checksum, bytes;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", path);
    int ok = sum_file(fd, &checksum, &bytes) == 0;
    if (ok) {
        make_head(head, GD_CHECKPOINT_FORMAT, bytes, checksum);
        ok = pwrite(fd, head, sizeof head, 0) == (ssize_t)sizeof head && fsync(fd) == 0;
    }
    int code = ok ? 0 : gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", path);
    close(fd);
    return code;
}

/* A rename is on the disk when its directory is. */
static void sync_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path), slash == NULL ? "." : path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* A rename replaces the file a symbolic link leads to, not the link, and nothing but regular files. target has PATH_MAX bytes. */
static int find_target(const char *path, char *target, struct gd_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0) /* new, or what is wrong shows when it is written */
        return snprintf(target, PATH_MAX, "%s", path) < PATH_MAX
                   ? 0
                   : gd_err_set(err, GD_E_FILE_ACCESS, "the path of the checkpoint is too long");
    if (!S_ISREG(st.st_mode))
        return gd_err_set(err, GD_E_FILE_ACCESS, "%s: is %s, not a regular file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a device or a pipe");
    return realpath(path, target) != NULL ? 0 : gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", path);
}

int gd_checkpoint_write(const char *name, const struct gd_state *state, struct gd_err *err)
{
    char path[PATH_MAX], beside[PATH_MAX], unique[GD_UUID_TEXT];
    uint8_t random[16];
    int found = find_target(name, path, err);
    if (found != 0)
        return found;
    if (gd_uuid_make(random) != 0)
        return gd_err_set(err, GD_E_INTERNAL, "the kernel gives no random numbers");
    gd_uuid_format(random, unique);
    int n = snprintf(beside, sizeof beside, "%s.%.8s", path, unique);
    if (n < 0 || (size_t)n >= sizeof beside)
        return gd_err_set(err, GD_E_FILE_ACCESS, "the path of the checkpoint is too long");
    int fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be written", path);
    close(fd);
    gd_hdf5_enter();
    int code = write_contents(beside, state, err);
    gd_hdf5_leave();
    if (code == 0)
        code = seal(beside, err);
    if (code == 0 && rename(beside, path) != 0)
        code = gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be replaced", path);
    if (code != 0)
        unlink(beside);
    else
        sync_directory(path);
    return code;
}

/* ---- reading ---- */

static int damaged(const char *path, const char *what, struct gd_err *err)
{
    return gd_err_set(err, GD_E_CORRUPT_DATA, "%s: the checkpoint has no sound '%s'", path, what);
}

/* What is small, as attributes. */
struct facts {
    int64_t num_atoms, num_temperature_groups, num_energy_groups, element_bytes, slots, frame_forces, version, step, masses_set, box_kind;
    double time;
    char name[GD_DOOR_NAME];
};

static int get_facts(hid_t group, const char *path, struct facts *facts, struct gd_err *err)
{
    const struct {
        const char *name;
        int64_t *value, least, most;
    } integers[] = {
        {"num_atoms", &facts->num_atoms, 1, 500000000},
        {"num_temperature_groups", &facts->num_temperature_groups, 1, 1024},
        {"num_energy_groups", &facts->num_energy_groups, 1, 64},
        {"element_bytes", &facts->element_bytes, GD_FLOAT32, GD_FLOAT64},
        {"slots", &facts->slots, 0, GD_MAX_SLOTS},
        {"frame_forces", &facts->frame_forces, 0, 1},
        {"version", &facts->version, 0, MOST_VERSION},
        {"step", &facts->step, INT64_MIN, INT64_MAX},
        {"masses_set", &facts->masses_set, 0, 1},
        {"box_kind", &facts->box_kind, INT32_MIN, INT32_MAX},
    };
    for (size_t k = 0; k < sizeof integers / sizeof integers[0]; k++)
        if (gd_hdf5_get_int(group, integers[k].name, integers[k].value) != 0 || *integers[k].value < integers[k].least ||
            *integers[k].value > integers[k].most)
            return damaged(path, integers[k].name, err);
    if (facts->element_bytes != GD_FLOAT32 && facts->element_bytes != GD_FLOAT64)
        return damaged(path, "element_bytes", err);
    if (gd_hdf5_get_real(group, "time", &facts->time) != 0)
        return damaged(path, "time", err);
    return gd_hdf5_get_text(group, "name", facts->name, sizeof facts->name) != 0 ? damaged(path, "name", err) : 0;
}

static int get_arrays(hid_t file, hid_t group, const char *path, struct gd_state *state, struct gd_err *err)
{
    static const struct {
        const char *path;
        enum gd_array array;
    } vectors[] = {{"particles/all/position/value", GD_POSITIONS},
                   {"particles/all/velocity/value", GD_VELOCITIES},
                   {"particles/all/force/value", GD_FORCES}};
    const struct gd_state_spec *spec = &state->spec;
    const hsize_t dims[3] = {1, spec->num_atoms, 3}, energies = gd_energies_count(spec->num_temperature_groups, spec->num_energy_groups);
    for (size_t k = 0; k < 3; k++)
        if (gd_hdf5_get_data(file, vectors[k].path, memory_type(spec->dtype), 3, dims, gd_state_array(state, vectors[k].array)) != 0)
            return damaged(path, vectors[k].path, err);
    if (gd_hdf5_get_data(file, "particles/all/mass", H5T_NATIVE_DOUBLE, 1, &dims[1], gd_state_array(state, GD_MASSES)) != 0)
        return damaged(path, "particles/all/mass", err);
    if (gd_hdf5_get_data(group, "energies", H5T_NATIVE_DOUBLE, 1, &energies, gd_state_array(state, GD_ENERGIES)) != 0)
        return damaged(path, "gromosd/energies", err);
    return 0;
}

static int get_molecules(hid_t group, const char *path, struct gd_state *state, struct gd_err *err)
{
    int64_t length = gd_hdf5_length(group, "molecules");
    if (length < 0)
        return 0;
    if (length < 2 || (uint64_t)length > state->spec.num_atoms + 1)
        return damaged(path, "gromosd/molecules", err);
    const hsize_t dims = (hsize_t)length;
    int32_t *starts = malloc((size_t)length * sizeof *starts);
    if (starts == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its molecules", path);
    int sound = gd_hdf5_get_data(group, "molecules", H5T_NATIVE_INT32, 1, &dims, starts) == 0 && starts[0] == 0 &&
                (size_t)starts[length - 1] == state->spec.num_atoms;
    for (int64_t k = 1; sound && k < length; k++)
        sound = starts[k] > starts[k - 1];
    if (!sound) {
        free(starts);
        return damaged(path, "gromosd/molecules", err);
    }
    state->molecules = starts;
    state->num_molecules = (size_t)length - 1;
    return 0;
}

/* A dataset of bytes, to be freed; *out NULL when there is none. */
static int get_bytes(hid_t group, const char *path, const char *name, void **out, size_t *bytes, struct gd_err *err)
{
    int64_t length = gd_hdf5_length(group, name);
    *out = NULL;
    *bytes = 0;
    if (length <= 0)
        return 0;
    const hsize_t dims = (hsize_t)length;
    void *data = malloc((size_t)length);
    if (data == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for its '%s'", path, name);
    if (gd_hdf5_get_data(group, name, H5T_NATIVE_UINT8, 1, &dims, data) != 0) {
        free(data);
        return damaged(path, name, err);
    }
    *out = data;
    *bytes = (size_t)length;
    return 0;
}

static int get_origin(hid_t group, const char *path, struct gd_state *state, struct gd_err *err)
{
    void *packed;
    size_t bytes;
    int64_t version = 0;
    int code = get_bytes(group, path, "origin", &packed, &bytes, err);
    if (code != 0 || packed == NULL)
        return code;
    code = gd_configuration_unpack(&state->origin, packed, bytes, err);
    free(packed);
    if (code == 0 && state->origin->num_atoms != state->spec.num_atoms)
        code = damaged(path, "gromosd/origin", err);
    if (code == 0 && gd_hdf5_get_int(group, "origin_version", &version) != 0)
        code = damaged(path, "origin_version", err);
    state->origin_version = (uint64_t)version;
    return code;
}

static int get_run(hid_t group, const char *path, struct gd_state *state, struct gd_err *err)
{
    struct gd_run_state *run = &state->run_state;
    int64_t fingerprint = 0;
    int code = get_bytes(group, path, "run_state", &run->data, &run->bytes, err);
    if (code != 0 || run->data == NULL)
        return code;
    if (gd_hdf5_get_int(group, "run_fingerprint", &fingerprint) != 0)
        return damaged(path, "run_fingerprint", err);
    run->version = state->version;
    run->fingerprint = (uint64_t)fingerprint;
    return 0;
}

static int get_small(hid_t group, const char *path, const struct facts *facts, struct gd_state *state, struct gd_err *err)
{
    static const hsize_t nine[2] = {3, 3};
    struct gd_live_header *live = gd_state_header(state);
    struct gd_box box = {.kind = (int32_t)facts->box_kind};
    if (gd_hdf5_get_data(group, "box", H5T_NATIVE_DOUBLE, 2, nine, box.vectors) != 0 || gd_box_check(&box, err) != 0)
        return damaged(path, "gromosd/box", err);
    live->small.box = box;
    live->small.step = facts->step;
    live->small.time = facts->time;
    state->masses_set = (int)facts->masses_set;
    state->version = (uint64_t)facts->version;
    atomic_store(&live->version, (uint64_t)facts->version);
    return 0;
}

/* Under the library's lock. */
static int read_contents(hid_t file, const char *path, const char *name, uint32_t ring_id, uint64_t now_ns, struct gd_state **out,
                         struct gd_err *err)
{
    struct facts facts = {0};
    struct gd_state *state = NULL;
    hid_t group = H5Gopen2(file, "gromosd", H5P_DEFAULT);
    if (group < 0)
        return damaged(path, "gromosd", err);
    int code = get_facts(group, path, &facts, err);
    if (code == 0) {
        struct gd_state_spec spec = {(size_t)facts.num_atoms,
                                     (uint32_t)facts.num_temperature_groups,
                                     (uint32_t)facts.num_energy_groups,
                                     (enum gd_dtype)facts.element_bytes,
                                     (uint32_t)facts.slots,
                                     (int)facts.frame_forces};
        const char *wanted = name != NULL ? name : facts.name;
        code = gd_state_create(&state, &spec, wanted[0] != '\0' ? wanted : NULL, ring_id, now_ns, err);
    }
    if (code == 0)
        code = get_small(group, path, &facts, state, err);
    if (code == 0)
        code = get_arrays(file, group, path, state, err);
    if (code == 0)
        code = get_molecules(group, path, state, err);
    if (code == 0)
        code = get_origin(group, path, state, err);
    if (code == 0)
        code = get_run(group, path, state, err);
    H5Gclose(group);
    if (code != 0)
        gd_state_unref(&state);
    else
        *out = state;
    return code;
}

/* Whether another file has taken this one's place, or none is there any more. */
static int is_replaced(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && (stat(path, &named) != 0 || named.st_dev != opened.st_dev || named.st_ino != opened.st_ino);
}

/* By its descriptor's name HDF5 opens the very file that was checked, but also looks up the path it has: it refuses a file that was
 * replaced since then. REPLACED then, and err is untouched. */
enum { REPLACED = 1 };

static int read_checked(int fd, const char *path, const char *name, uint32_t ring_id, uint64_t now_ns, struct gd_state **out,
                        struct gd_err *err)
{
    char same[64];
    int code;
    snprintf(same, sizeof same, "/proc/self/fd/%d", fd);
    gd_hdf5_enter();
    hid_t file = H5Fopen(same, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) {
        code = is_replaced(fd, path) ? REPLACED : gd_hdf5_fault(path, "cannot be read", err);
    } else {
        code = read_contents(file, path, name, ring_id, now_ns, out, err);
        H5Fclose(file);
    }
    gd_hdf5_leave();
    return code;
}

int gd_checkpoint_read(struct gd_state **out, const char *path, const char *name, uint32_t ring_id, uint64_t now_ns, struct gd_err *err)
{
    int code;
    do {
        struct stat about;
        int format = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not keep us waiting */
        if (fd < 0)
            return gd_err_errno(err, GD_E_FILE_ACCESS, "%s: cannot be read", path);
        code = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) ? 0 : gd_err_set(err, GD_E_FILE_ACCESS, "%s: is not a regular file", path);
        if (code == 0)
            code = check_head(fd, path, &format, err);
        if (code == 0)
            code = read_checked(fd, path, name, ring_id, now_ns, out, err);
        close(fd);
    } while (code == REPLACED);
    return code;
}

#else /* without HDF5 */

static int without(const char *path, struct gd_err *err)
{
    return gd_err_set(err, GD_E_UNSUPPORTED, "%s: checkpoints need a build with HDF5 (install libhdf5-dev and build again)", path);
}

int gd_checkpoint_write(const char *path, const struct gd_state *state, struct gd_err *err)
{
    (void)state;
    return without(path, err);
}

int gd_checkpoint_read(struct gd_state **out, const char *path, const char *name, uint32_t ring_id, uint64_t now_ns, struct gd_err *err)
{
    (void)out, (void)name, (void)ring_id, (void)now_ns;
    return without(path, err);
}

#endif
