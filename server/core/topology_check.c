/* gd_topology_check: what the engine later trusts without looking. Contract: topology.h. */
#include <math.h>

#include "core/topology.h"

#define FAULT(...) gd_err_set(err, GD_E_INVALID_ARGUMENT, __VA_ARGS__)

static int check_term(const char *table, size_t row, const int32_t *atom, int n, int32_t type, size_t types, size_t atoms,
                      struct gd_err *err)
{
    for (int k = 0; k < n; k++) {
        if (atom[k] < 0 || (size_t)atom[k] >= atoms)
            return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "%s row %zu: atom %d of %zu solute atoms", table, row + 1, atom[k] + 1, atoms);
        for (int l = 0; l < k && n <= 4; l++)
            if (atom[l] == atom[k])
                return FAULT("%s row %zu: atom %d occurs twice", table, row + 1, atom[k] + 1);
    }
    if (type < 0 || (size_t)type >= types)
        return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "%s row %zu: type %d of %zu", table, row + 1, type + 1, types);
    return 0;
}

static int check_terms(const struct gd_topology *t, struct gd_err *err)
{
    size_t n = t->num_solute_atoms;
    int rc = 0;
    for (size_t k = 0; k < t->num_bonds && rc == 0; k++)
        rc = check_term("BOND", k, t->bonds[k].atom, 2, t->bonds[k].type, t->num_bond_types, n, err);
    for (size_t k = 0; k < t->num_constraints && rc == 0; k++)
        rc = check_term("CONSTRAINT", k, t->constraints[k].atom, 2, t->constraints[k].type, t->num_bond_types, n, err);
    for (size_t k = 0; k < t->num_angles && rc == 0; k++)
        rc = check_term("BONDANGLE", k, t->angles[k].atom, 3, t->angles[k].type, t->num_angle_types, n, err);
    for (size_t k = 0; k < t->num_impropers && rc == 0; k++)
        rc = check_term("IMPDIHEDRAL", k, t->impropers[k].atom, 4, t->impropers[k].type, t->num_improper_types, n, err);
    for (size_t k = 0; k < t->num_dihedrals && rc == 0; k++)
        rc = check_term("DIHEDRAL", k, t->dihedrals[k].atom, 4, t->dihedrals[k].type, t->num_dihedral_types, n, err);
    for (size_t k = 0; k < t->num_cross_dihedrals && rc == 0; k++)
        rc = check_term("CROSSDIHEDRAL", k, t->cross_dihedrals[k].atom, 8, t->cross_dihedrals[k].type, t->num_dihedral_types, n, err);
    for (size_t k = 0; k < t->num_lj_exceptions && rc == 0; k++) {
        rc = check_term("LJEXCEPTIONS", k, t->lj_exceptions[k].atom, 2, 0, 1, n, err);
        if (rc == 0 && !(isfinite(t->lj_exceptions[k].c6) && isfinite(t->lj_exceptions[k].c12)))
            rc = gd_err_set(err, GD_E_NOT_FINITE, "LJEXCEPTIONS row %zu: not a finite number", k + 1);
    }
    return rc;
}

static int check_types(const struct gd_topology *t, struct gd_err *err)
{
    for (size_t k = 0; k < t->num_bond_types; k++) {
        const struct gd_bond_type *b = &t->bond_types[k];
        if (!isfinite(b->quartic) || !isfinite(b->harmonic) || !isfinite(b->length) || b->length <= 0.0)
            return FAULT("BONDSTRETCHTYPE row %zu: length %g, force constants %g and %g", k + 1, b->length, b->quartic, b->harmonic);
    }
    for (size_t k = 0; k < t->num_angle_types; k++)
        if (!isfinite(t->angle_types[k].cosine) || !isfinite(t->angle_types[k].harmonic) || !isfinite(t->angle_types[k].angle))
            return gd_err_set(err, GD_E_NOT_FINITE, "BONDANGLEBENDTYPE row %zu: not a finite number", k + 1);
    for (size_t k = 0; k < t->num_improper_types; k++)
        if (!isfinite(t->improper_types[k].force) || !isfinite(t->improper_types[k].angle))
            return gd_err_set(err, GD_E_NOT_FINITE, "IMPDIHEDRALTYPE row %zu: not a finite number", k + 1);
    for (size_t k = 0; k < t->num_dihedral_types; k++) {
        const struct gd_dihedral_type *d = &t->dihedral_types[k];
        if (!isfinite(d->force) || !isfinite(d->phase) || d->multiplicity < 0 || d->multiplicity > 12)
            return FAULT(
                "TORSDIHEDRALTYPE row %zu: force %g, phase %g, multiplicity %d; they must be finite, the multiplicity from 0 to 12", k + 1,
                d->force, d->phase, d->multiplicity);
    }
    size_t pairs = t->num_atom_types * t->num_atom_types;
    for (size_t k = 0; k < pairs; k++)
        if (!isfinite(t->lj[k].c12) || !isfinite(t->lj[k].c6) || !isfinite(t->lj[k].cs12) || !isfinite(t->lj[k].cs6) ||
            !isfinite(t->cg_lj[k].c12) || !isfinite(t->cg_lj[k].c6))
            return gd_err_set(err, GD_E_NOT_FINITE, "LJPARAMETERS of types %zu and %zu: not a finite number", k / t->num_atom_types + 1,
                              k % t->num_atom_types + 1);
    return 0;
}

static int check_atoms(const struct gd_topology *t, struct gd_err *err)
{
    for (size_t i = 0; i < t->num_atoms; i++) {
        if (!(isfinite(t->mass[i]) && t->mass[i] > 0.0))
            return FAULT("atom %zu: mass %g, it must be positive", i + 1, t->mass[i]);
        if (!isfinite(t->charge[i]))
            return gd_err_set(err, GD_E_NOT_FINITE, "atom %zu: charge %g", i + 1, t->charge[i]);
        if (t->type[i] < 0 || (size_t)t->type[i] >= t->num_atom_types)
            return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "atom %zu: integer atom code %d of %zu types", i + 1, t->type[i] + 1,
                              t->num_atom_types);
        if (t->residue[i] < 0 || (size_t)t->residue[i] >= t->num_residues + t->num_solvent_molecules)
            return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "atom %zu: residue %d of %zu", i + 1, t->residue[i] + 1, t->num_residues);
    }
    if (t->num_solute_atoms > 0 && !t->charge_group_end[t->num_solute_atoms - 1])
        return FAULT("the last charge group of the solute is not closed at atom %zu", t->num_solute_atoms);
    return 0;
}

static int check_neighbours(const char *what, const struct gd_topology *t, const int32_t *start, const int32_t *list, size_t count,
                            struct gd_err *err)
{
    size_t n = t->num_solute_atoms;
    if (start[0] != 0 || (size_t)start[n] != count)
        return FAULT("%s: the row starts do not cover the %zu entries", what, count);
    for (size_t i = 0; i < n; i++) {
        if (start[i + 1] < start[i])
            return FAULT("%s of atom %zu: row starts descend", what, i + 1);
        for (int32_t k = start[i]; k < start[i + 1]; k++) {
            if (list[k] <= (int32_t)i || (size_t)list[k] >= n)
                return gd_err_set(err, GD_E_INDEX_OUT_OF_RANGE, "%s of atom %zu: atom %d (must be higher and at most %zu)", what, i + 1,
                                  list[k] + 1, n);
            if (k > start[i] && list[k] <= list[k - 1])
                return FAULT("%s of atom %zu: atom %d is out of order", what, i + 1, list[k] + 1);
        }
    }
    return 0;
}

static int check_groups(const char *what, const int32_t *start, size_t count, size_t atoms, struct gd_err *err)
{
    if (start[0] != 0 || (size_t)start[count] != atoms)
        return FAULT("%s: the groups end at atom %d, not at %zu", what, start[count], atoms);
    for (size_t g = 0; g < count; g++)
        if (start[g + 1] <= start[g])
            return FAULT("%s: group %zu is empty or out of order", what, g + 1);
    return 0;
}

static int check_solvent(const struct gd_topology *t, struct gd_err *err)
{
    for (size_t k = 0; k < t->num_solvent_constraints; k++) {
        const struct gd_solvent_constraint *c = &t->solvent_constraints[k];
        int rc = check_term("SOLVENTCONSTR", k, c->atom, 2, 0, 1, t->num_solvent_atoms, err);
        if (rc != 0)
            return rc;
        if (!(isfinite(c->length) && c->length > 0.0))
            return FAULT("SOLVENTCONSTR row %zu: length %g", k + 1, c->length);
    }
    return 0;
}

int gd_topology_check(const struct gd_topology *top, struct gd_err *err)
{
    if (!top->expanded)
        return FAULT("the topology is not expanded yet");
    if (!(isfinite(top->four_pi_eps_i) && isfinite(top->boltzmann) && top->boltzmann > 0.0))
        return FAULT("PHYSICALCONSTANTS: 1/(4 pi eps0) %g, kB %g", top->four_pi_eps_i, top->boltzmann);
    int rc = check_atoms(top, err);
    if (rc == 0)
        rc = check_types(top, err);
    if (rc == 0)
        rc = check_terms(top, err);
    if (rc == 0)
        rc = check_neighbours("exclusions", top, top->exclusion_start, top->exclusions, top->num_exclusions, err);
    if (rc == 0)
        rc = check_neighbours("1-4 neighbours", top, top->one_four_start, top->one_fours, top->num_one_fours, err);
    if (rc == 0)
        rc = check_groups("SOLUTEMOLECULES", top->molecule_start, top->num_molecules, top->num_atoms, err);
    if (rc == 0)
        rc = check_groups("TEMPERATUREGROUPS", top->temperature_group_start, top->num_temperature_groups, top->num_atoms, err);
    if (rc == 0)
        rc = check_groups("PRESSUREGROUPS", top->pressure_group_start, top->num_pressure_groups, top->num_atoms, err);
    if (rc == 0)
        rc = check_solvent(top, err);
    return rc;
}
