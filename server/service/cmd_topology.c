/* Commands about topologies and input files as data. */
#include "core/configuration.h"
#include "core/state.h"
#include "io/parameters_file.h"
#include "io/restraints_file.h"
#include "io/topology_file.h"
#include "service/edit.h"
#include "service/input_fields.h"
#include "service/keep.h"
#include "service/request.h"
#include "service/results.h"
#include "service/service.h"
#include "service/session.h"
#include "service/topologies.h"

#include <stdlib.h>
#include <string.h>

static int check_bytes(const struct gd_value *value, struct gd_err *err)
{
    if (value->array.element == GD_ELEMENT_U1)
        return 0;
    return gd_err_set(err, GD_E_INVALID_DTYPE, "'data' holds the bytes of a file: its dtype must be u1");
}

int gd_cmd_topology_create(struct gd_request *request, struct gd_err *err)
{
    const struct gd_array_value *data = &gd_arg(request, GD_TOPOLOGY_CREATE_DATA)->array;
    const char *name = gd_arg(request, GD_TOPOLOGY_CREATE_NAME)->text.data;
    struct gd_topology *topology = NULL;
    uint64_t number = 0;
    int code = check_bytes(gd_arg(request, GD_TOPOLOGY_CREATE_DATA), err);
    if (code == 0)
        code = gd_io_read_topology_memory(name, data->data, data->bytes, &topology, &request->faults, err);
    if (code == 0)
        code = gd_topologies_add(request->service, request->session, topology, data->data, data->bytes, &number, err);
    if (code != 0) {
        gd_topology_destroy(&topology);
        return code;
    }
    struct gd_reply *reply = &request->reply;
    gd_reply_int(reply, "topology", (int64_t)number);
    gd_reply_int(reply, "num_atoms", (int64_t)topology->num_solute_atoms);
    gd_reply_int(reply, "num_solvent_atoms", (int64_t)topology->num_solvent_atoms);
    gd_reply_int(reply, "num_bonds", (int64_t)topology->num_bonds);
    gd_reply_int(reply, "num_angles", (int64_t)topology->num_angles);
    gd_reply_int(reply, "num_impropers", (int64_t)topology->num_impropers);
    gd_reply_int(reply, "num_dihedrals", (int64_t)topology->num_dihedrals);
    return 0;
}

int gd_cmd_topology_close(struct gd_request *request, struct gd_err *err)
{
    uint64_t number = (uint64_t)gd_arg(request, GD_TOPOLOGY_CLOSE_TOPOLOGY)->integer;
    if (gd_topologies_find(request->service, request->session, number, err) == NULL)
        return GD_E_NOT_FOUND;
    gd_topologies_drop(request->service, number);
    return 0;
}

/* ---- topology.get ---- */

struct column {
    const char *name;
    enum gd_element element;
    size_t rows, columns; /* columns 0: one dimension */
    const void *data;     /* rows of `stride` bytes, the wanted numbers first */
    size_t stride;
};

static struct column plain(const char *name, enum gd_element element, size_t rows, const void *data)
{
    return (struct column){name, element, rows, 0, data, gd_element_bytes(element)};
}

static void fill_columns(struct column *out, const struct gd_topology *t)
{
    out[0] = plain("masses", GD_ELEMENT_F8, t->num_atoms, t->mass);
    out[1] = plain("charges", GD_ELEMENT_F8, t->num_atoms, t->charge);
    out[2] = plain("types", GD_ELEMENT_I4, t->num_atoms, t->type);
    out[3] = plain("residues", GD_ELEMENT_I4, t->num_atoms, t->residue);
    out[4] = plain("charge_groups", GD_ELEMENT_I4, t->num_charge_groups + 1, t->charge_group_start);
    out[5] = plain("molecules", GD_ELEMENT_I4, t->num_molecules + 1, t->molecule_start);
    out[6] = (struct column){"bonds", GD_ELEMENT_I4, t->num_bonds, 3, NULL, 0};
    out[7] = (struct column){"angles", GD_ELEMENT_I4, t->num_angles, 4, NULL, 0};
    out[8] = (struct column){"impropers", GD_ELEMENT_I4, t->num_impropers, 5, NULL, 0};
    out[9] = (struct column){"dihedrals", GD_ELEMENT_I4, t->num_dihedrals, 5, NULL, 0};
}
#define NUM_COLUMNS 10

/* Atoms and type of every term, row by row. */
static void copy_terms(int32_t *out, const struct gd_topology *t, int which)
{
    if (which == 6) {
        for (size_t i = 0; i < t->num_bonds; i++, out += 3) {
            memcpy(out, t->bonds[i].atom, 2 * sizeof *out);
            out[2] = t->bonds[i].type;
        }
    } else if (which == 7) {
        for (size_t i = 0; i < t->num_angles; i++, out += 4) {
            memcpy(out, t->angles[i].atom, 3 * sizeof *out);
            out[3] = t->angles[i].type;
        }
    } else {
        const struct gd_dihedral *terms = which == 8 ? t->impropers : t->dihedrals;
        size_t count = which == 8 ? t->num_impropers : t->num_dihedrals;
        for (size_t i = 0; i < count; i++, out += 5) {
            memcpy(out, terms[i].atom, 4 * sizeof *out);
            out[4] = terms[i].type;
        }
    }
}

static int reply_columns(struct gd_request *request, const struct gd_topology *t, struct gd_err *err)
{
    struct column columns[NUM_COLUMNS];
    struct gd_result_array arrays[NUM_COLUMNS];
    size_t bytes = 0;
    fill_columns(columns, t);
    for (int k = 0; k < NUM_COLUMNS; k++) {
        const struct column *c = &columns[k];
        size_t width = c->columns > 0 ? c->columns : 1;
        arrays[k] = (struct gd_result_array){c->name, c->element, c->columns > 0 ? 2 : 1, {c->rows, c->columns}, bytes};
        bytes += (c->rows * width * gd_element_bytes(c->element) + 63) / 64 * 64;
    }
    struct gd_result_buffer buffer;
    int code = gd_result_allocate(&buffer, request, bytes, err);
    if (code != 0)
        return code;
    for (int k = 0; k < NUM_COLUMNS; k++) {
        char *to = (char *)buffer.data + arrays[k].offset;
        if (columns[k].data != NULL)
            memcpy(to, columns[k].data, columns[k].rows * columns[k].stride);
        else
            copy_terms((int32_t *)(void *)to, t, k);
    }
    gd_result_reply_map(request, "arrays", &buffer, arrays, NUM_COLUMNS);
    return 0;
}

static void reply_names(struct gd_reply *reply, const char *field, const struct gd_name *names, size_t count)
{
    gd_reply_list(reply, field, count);
    for (size_t i = 0; i < count; i++)
        gd_pack_str(&reply->packer, names[i].text);
}

int gd_cmd_topology_get(struct gd_request *request, struct gd_err *err)
{
    const struct gd_topology *topology =
        gd_topologies_find(request->service, request->session, (uint64_t)gd_arg(request, GD_TOPOLOGY_GET_TOPOLOGY)->integer, err);
    if (topology == NULL)
        return GD_E_NOT_FOUND;
    size_t solvent = (size_t)gd_arg(request, GD_TOPOLOGY_GET_NUM_SOLVENT_MOLECULES)->integer;
    struct gd_topology *expanded = NULL;
    int npm = topology->num_solute_atoms > 0;
    int code = gd_topologies_expand(&expanded, topology, npm, topology->num_solute_atoms + solvent * topology->num_solvent_atoms, err);
    if (code == 0)
        code = reply_columns(request, expanded, err);
    if (code == 0) {
        reply_names(&request->reply, "atom_names", expanded->name, expanded->num_atoms);
        reply_names(&request->reply, "residue_names", expanded->residue_names, expanded->num_residues);
    }
    gd_topology_destroy(&expanded);
    return code;
}

/* ---- topology.apply ---- */

static int copy_molecules(struct gd_state *state, const struct gd_topology *t, struct gd_err *err)
{
    int32_t *starts = malloc((t->num_molecules + 1) * sizeof *starts);
    if (starts == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for %zu molecules", t->num_molecules);
    memcpy(starts, t->molecule_start, (t->num_molecules + 1) * sizeof *starts);
    free(state->molecules);
    state->molecules = starts;
    state->num_molecules = t->num_molecules;
    return 0;
}

/* A State that has it all already is left alone: a run on it then goes on where the last one ended. */
static int has_it_all(const struct gd_state *state, const struct gd_topology *t)
{
    int same_molecules =
        t->num_molecules == 0 || (state->num_molecules == t->num_molecules && state->molecules != NULL &&
                                  memcmp(state->molecules, t->molecule_start, (t->num_molecules + 1) * sizeof *state->molecules) == 0);
    return state->masses_set && same_molecules &&
           memcmp(gd_state_array(state, GD_MASSES), t->mass, state->spec.num_atoms * sizeof(double)) == 0;
}

/* What the masses are goes aside first where a daemon may take over, which would otherwise find some of each. */
static int write_masses(struct gd_request *request, const struct gd_topology *t, struct gd_err *err)
{
    struct gd_state *state = request->state;
    int kept = gd_keep_used(request->service->keep);
    int code = kept && gd_state_wants_undo(state, GD_ARRAY_BIT(GD_MASSES)) ? gd_edit_need_undo(request->service, state, err) : 0;
    if (code != 0)
        return code;
    gd_keep_sync(request->service->keep, state);
    gd_state_begin_write(state, GD_ARRAY_BIT(GD_MASSES), kept);
    memcpy(gd_state_array(state, GD_MASSES), t->mass, state->spec.num_atoms * sizeof(double));
    state->masses_set = 1;
    return 0;
}

int gd_cmd_topology_apply(struct gd_request *request, struct gd_err *err)
{
    struct gd_state *state = request->state;
    const struct gd_topology *topology =
        gd_topologies_find(request->service, request->session, (uint64_t)gd_arg(request, GD_TOPOLOGY_APPLY_TOPOLOGY)->integer, err);
    if (topology == NULL)
        return GD_E_NOT_FOUND;
    struct gd_topology *expanded = NULL;
    int code = gd_topologies_expand(&expanded, topology, topology->num_solute_atoms > 0, state->spec.num_atoms, err);
    if (code == 0 && has_it_all(state, expanded)) {
        gd_reply_int(&request->reply, "version", (int64_t)gd_state_version(state));
        gd_topology_destroy(&expanded);
        return 0;
    }
    if (code == 0 && expanded->num_molecules > 0)
        code = copy_molecules(state, expanded, err);
    if (code == 0)
        code = write_masses(request, expanded, err);
    if (code == 0) {
        gd_keep_renew(request->service->keep, state);
        /* What was read from a file is still all there. */
        if (gd_state_version(state) == state->origin_version)
            state->origin_version++;
        request->changed = 1;
        request->publish = 0;
    }
    gd_topology_destroy(&expanded);
    return code;
}

/* ---- input.parse ---- */

int gd_cmd_restraints_check(struct gd_request *request, struct gd_err *err)
{
    const struct gd_array_value *data = &gd_arg(request, GD_RESTRAINTS_CHECK_DATA)->array;
    enum gd_restraints_kind kind;
    struct gd_restraints *restraints = NULL;
    int code = check_bytes(gd_arg(request, GD_RESTRAINTS_CHECK_DATA), err);
    if (code == 0 && gd_restraints_kind_from_name(gd_arg(request, GD_RESTRAINTS_CHECK_KIND)->text.data, &kind) != 0)
        code = gd_err_set(err, GD_E_INVALID_ARGUMENT, "'kind' names no kind of restraints");
    if (code == 0)
        code = gd_restraints_create(&restraints, err);
    if (code == 0)
        code = gd_io_read_restraints_memory(gd_arg(request, GD_RESTRAINTS_CHECK_NAME)->text.data, data->data, data->bytes, kind, restraints,
                                            &request->faults, err);
    gd_restraints_destroy(&restraints);
    return code;
}

int gd_cmd_input_parse(struct gd_request *request, struct gd_err *err)
{
    const struct gd_array_value *data = &gd_arg(request, GD_INPUT_PARSE_DATA)->array;
    struct gd_parameters *parameters = calloc(1, sizeof *parameters);
    if (parameters == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for run parameters");
    int code = check_bytes(gd_arg(request, GD_INPUT_PARSE_DATA), err);
    if (code == 0)
        code = gd_io_read_parameters_memory(gd_arg(request, GD_INPUT_PARSE_NAME)->text.data, data->data, data->bytes, parameters,
                                            &request->faults, err);
    if (code == 0)
        gd_input_pack(&request->reply, parameters);
    free(parameters);
    return code;
}
