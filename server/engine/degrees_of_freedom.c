/* Temperature baths and their degrees of freedom: three per temperature group for translation, the rest for internal motion
 * and rotation, less one for each constraint, less what position and roto-translational constraints take, less NDFMIN shared
 * in proportion. Source: GROMOS manual volume 2, chapter on temperature; conventions of the reference output. */
#include "engine/md_internal.h"

void gd_baths_find(const struct gd_md *md, size_t atom, int *com_bath, int *internal_bath)
{
    for (size_t s = 0; s < md->num_ranges; s++)
        if (atom < md->range[s].last_atom) {
            *com_bath = md->range[s].com_bath;
            *internal_bath = md->range[s].internal_bath;
            return;
        }
    *com_bath = *internal_bath = 0;
}

static void take_internal(struct gd_md *md, size_t atom, double amount)
{
    int com, internal;
    gd_baths_find(md, atom, &com, &internal);
    md->bath[internal].dof -= amount;
    md->bath[internal].internal_dof -= amount;
}

static int is_fixed(const struct gd_md *md, size_t atom)
{
    return md->inverse_mass[atom] == 0.0;
}

/* One degree of freedom, half from each atom; all of it from the other when one is fixed. */
static void take_distance(struct gd_md *md, size_t i, size_t j)
{
    if (is_fixed(md, i) && is_fixed(md, j))
        return;
    if (is_fixed(md, i)) {
        take_internal(md, j, 1.0);
    } else if (is_fixed(md, j)) {
        take_internal(md, i, 1.0);
    } else {
        take_internal(md, i, 0.5);
        take_internal(md, j, 0.5);
    }
}

/* One degree of freedom shared by the atoms that are not fixed. */
static void take_shared(struct gd_md *md, const int32_t *atom, int count)
{
    int free_atoms = 0;
    for (int k = 0; k < count; k++)
        free_atoms += !is_fixed(md, (size_t)atom[k]);
    for (int k = 0; k < count; k++)
        if (!is_fixed(md, (size_t)atom[k]))
            take_internal(md, (size_t)atom[k], 1.0 / (double)free_atoms);
}

static void take_constraints(struct gd_md *md)
{
    const struct gd_bond *bonds = gd_constraints_solute(md);
    for (size_t k = 0; k < gd_constraints_num_solute(md); k++)
        take_distance(md, (size_t)bonds[k].atom[0], (size_t)bonds[k].atom[1]);
    size_t first = md->top->num_solute_atoms;
    for (size_t m = 0; m < md->top->num_solvent_molecules; m++, first += md->top->num_solvent_atoms)
        for (size_t k = 0; k < md->top->num_solvent_constraints; k++)
            take_distance(md, first + (size_t)md->top->solvent_constraints[k].atom[0],
                          first + (size_t)md->top->solvent_constraints[k].atom[1]);
    if (md->par.angle_restraint.ntalr == 3)
        for (size_t k = 0; k < md->res->num_angles; k++)
            take_shared(md, md->res->angles[k].atom, 3);
    if (md->par.dihedral_restraint.ntdlr == 3)
        for (size_t k = 0; k < md->res->num_dihedrals; k++)
            take_shared(md, md->res->dihedrals[k].atom, 4);
}

static void take_fixed_atoms(struct gd_md *md)
{
    for (size_t g = 0; g < md->top->num_temperature_groups; g++) {
        int32_t first = md->top->temperature_group_start[g], last = md->top->temperature_group_start[g + 1];
        int fixed = 0, com, internal;
        for (int32_t i = first; i < last; i++)
            fixed += is_fixed(md, (size_t)i);
        if (fixed == 0)
            continue;
        gd_baths_find(md, (size_t)first, &com, &internal);
        md->bath[com].dof -= 3.0;
        md->bath[com].com_dof -= 3.0;
        md->bath[internal].dof -= 3.0 * (fixed - 1);
        md->bath[internal].internal_dof -= 3.0 * (fixed - 1);
    }
}

static void take_rottrans(struct gd_md *md)
{
    int com, internal;
    if (md->par.rottrans.rtc == 0 || md->top->num_solute_atoms == 0)
        return;
    gd_baths_find(md, 0, &com, &internal);
    md->bath[com].dof -= 3.0;
    md->bath[com].com_dof -= 3.0;
    md->bath[internal].dof -= 3.0;
    md->bath[internal].internal_dof -= 3.0;
}

static void take_user_count(struct gd_md *md)
{
    double total = 0.0;
    for (size_t b = 0; b < md->num_baths; b++)
        total += md->bath[b].dof;
    total = trunc(total);
    if (total <= 0.0)
        return;
    for (size_t b = 0; b < md->num_baths; b++)
        md->bath[b].dof -= md->par.boundary.ndfmin * (md->bath[b].dof / total);
}

static int create_ranges(struct gd_md *md, struct gd_err *err)
{
    const struct gd_topology *top = md->top;
    md->num_ranges = (size_t)md->par.multibath.num_dof_sets;
    if (md->num_ranges == 0) {
        md->num_ranges = 1;
        md->range[0] =
            (struct gd_bath_range){.last_atom = md->n, .com_bath = (int)md->num_baths - 1, .internal_bath = (int)md->num_baths - 1};
    }
    size_t atom = 0, group = 0;
    for (size_t s = 0; s < md->num_ranges; s++) {
        struct gd_bath_range *range = &md->range[s];
        if (md->par.multibath.num_dof_sets > 0) {
            const struct gd_dof_set *set = &md->par.multibath.dof_set[s];
            *range = (struct gd_bath_range){.last_atom = (size_t)set->last, .com_bath = set->com_bath, .internal_bath = set->ir_bath};
        }
        range->first_atom = atom;
        range->first_group = group;
        while (group < top->num_temperature_groups && (size_t)top->temperature_group_start[group] < range->last_atom)
            group++;
        range->last_group = group;
        if (range->last_atom > md->n || (size_t)top->temperature_group_start[group] != range->last_atom)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "MULTIBATH: LAST %zu of set %zu is not the end of a temperature group",
                              range->last_atom, s + 1);
        atom = range->last_atom;
    }
    if (atom != md->n)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "MULTIBATH: LAST of the last set is %zu, the system has %zu atoms", atom, md->n);
    return 0;
}

int gd_baths_create(struct gd_md *md, struct gd_err *err)
{
    md->num_baths = (size_t)md->par.multibath.num_baths;
    for (size_t b = 0; b < md->num_baths; b++) {
        md->bath[b].reference = md->par.multibath.bath[b].temperature;
        md->bath[b].tau = md->par.multibath.bath[b].tau;
    }
    if (md->num_baths == 0) {
        md->num_baths = 1;
        md->bath[0].tau = -1.0;
    }
    int rc = create_ranges(md, err);
    if (rc != 0)
        return rc;
    for (size_t s = 0; s < md->num_ranges; s++) {
        const struct gd_bath_range *range = &md->range[s];
        double translation = 3.0 * (double)(range->last_group - range->first_group);
        double rest = 3.0 * (double)(range->last_atom - range->first_atom) - translation;
        md->bath[range->com_bath].dof += translation;
        md->bath[range->com_bath].com_dof += translation;
        md->bath[range->internal_bath].dof += rest;
        md->bath[range->internal_bath].internal_dof += rest;
    }
    take_constraints(md);
    if (md->par.position_restraint.ntpor == 3)
        take_fixed_atoms(md);
    take_rottrans(md);
    for (size_t b = 0; b < md->num_baths; b++)
        if (md->bath[b].dof <= 0.0)
            md->bath[b].tau = -1.0; /* nothing to couple */
    take_user_count(md);
    for (size_t b = 0; b < md->num_baths && md->par.multibath.thermostat != GD_THERMOSTAT_NONE; b++)
        md->coupled |= md->bath[b].tau != -1.0;
    return 0;
}
