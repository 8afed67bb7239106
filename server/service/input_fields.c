#include "service/input_fields.h"

#include <stddef.h>
#include <string.h>

enum kind { FIELD_I32, FIELD_I64, FIELD_REAL };

struct row {
    const char *block, *field;
    enum kind kind;
    size_t offset;
};

/* Scalars, block by block. Enumerations are int-sized. */
static const struct row rows[] = {
    {"SYSTEM", "npm", FIELD_I32, offsetof(struct gd_parameters, system.npm)},
    {"SYSTEM", "nsm", FIELD_I64, offsetof(struct gd_parameters, system.nsm)},
    {"INITIALISE", "ntivel", FIELD_I32, offsetof(struct gd_parameters, initialise.ntivel)},
    {"INITIALISE", "ntishk", FIELD_I32, offsetof(struct gd_parameters, initialise.ntishk)},
    {"INITIALISE", "ntinht", FIELD_I32, offsetof(struct gd_parameters, initialise.ntinht)},
    {"INITIALISE", "ntinhb", FIELD_I32, offsetof(struct gd_parameters, initialise.ntinhb)},
    {"INITIALISE", "ntishi", FIELD_I32, offsetof(struct gd_parameters, initialise.ntishi)},
    {"INITIALISE", "ntirtc", FIELD_I32, offsetof(struct gd_parameters, initialise.ntirtc)},
    {"INITIALISE", "nticom", FIELD_I32, offsetof(struct gd_parameters, initialise.nticom)},
    {"INITIALISE", "ntisti", FIELD_I32, offsetof(struct gd_parameters, initialise.ntisti)},
    {"INITIALISE", "ig", FIELD_I64, offsetof(struct gd_parameters, initialise.ig)},
    {"INITIALISE", "tempi", FIELD_REAL, offsetof(struct gd_parameters, initialise.tempi)},
    {"STEP", "nstlim", FIELD_I64, offsetof(struct gd_parameters, step.nstlim)},
    {"STEP", "t0", FIELD_REAL, offsetof(struct gd_parameters, step.t0)},
    {"STEP", "dt", FIELD_REAL, offsetof(struct gd_parameters, step.dt)},
    {"BOUNDCOND", "ntb", FIELD_I32, offsetof(struct gd_parameters, boundary.ntb)},
    {"BOUNDCOND", "ndfmin", FIELD_I32, offsetof(struct gd_parameters, boundary.ndfmin)},
    {"MULTIBATH", "present", FIELD_I32, offsetof(struct gd_parameters, multibath.present)},
    {"MULTIBATH", "thermostat", FIELD_I32, offsetof(struct gd_parameters, multibath.thermostat)},
    {"MULTIBATH", "chain_length", FIELD_I32, offsetof(struct gd_parameters, multibath.chain_length)},
    {"MULTIBATH", "num_baths", FIELD_I32, offsetof(struct gd_parameters, multibath.num_baths)},
    {"MULTIBATH", "num_dof_sets", FIELD_I32, offsetof(struct gd_parameters, multibath.num_dof_sets)},
    {"PRESSURESCALE", "couple", FIELD_I32, offsetof(struct gd_parameters, pressure.couple)},
    {"PRESSURESCALE", "scale", FIELD_I32, offsetof(struct gd_parameters, pressure.scale)},
    {"PRESSURESCALE", "virial", FIELD_I32, offsetof(struct gd_parameters, pressure.virial)},
    {"PRESSURESCALE", "barostat", FIELD_I32, offsetof(struct gd_parameters, pressure.barostat)},
    {"PRESSURESCALE", "compressibility", FIELD_REAL, offsetof(struct gd_parameters, pressure.compressibility)},
    {"PRESSURESCALE", "tau", FIELD_REAL, offsetof(struct gd_parameters, pressure.tau)},
    {"COMTRANSROT", "nscm", FIELD_I64, offsetof(struct gd_parameters, com.nscm)},
    {"PRINTOUT", "ntpr", FIELD_I64, offsetof(struct gd_parameters, print.ntpr)},
    {"PRINTOUT", "ntpp", FIELD_I64, offsetof(struct gd_parameters, print.ntpp)},
    {"WRITETRAJ", "ntwx", FIELD_I64, offsetof(struct gd_parameters, write.ntwx)},
    {"WRITETRAJ", "ntwse", FIELD_I64, offsetof(struct gd_parameters, write.ntwse)},
    {"WRITETRAJ", "ntwv", FIELD_I64, offsetof(struct gd_parameters, write.ntwv)},
    {"WRITETRAJ", "ntwf", FIELD_I64, offsetof(struct gd_parameters, write.ntwf)},
    {"WRITETRAJ", "ntwe", FIELD_I64, offsetof(struct gd_parameters, write.ntwe)},
    {"WRITETRAJ", "ntwg", FIELD_I64, offsetof(struct gd_parameters, write.ntwg)},
    {"WRITETRAJ", "ntwb", FIELD_I64, offsetof(struct gd_parameters, write.ntwb)},
    {"CONSTRAINT", "ntc", FIELD_I32, offsetof(struct gd_parameters, constraint.ntc)},
    {"CONSTRAINT", "solute", FIELD_I32, offsetof(struct gd_parameters, constraint.solute)},
    {"CONSTRAINT", "solvent", FIELD_I32, offsetof(struct gd_parameters, constraint.solvent)},
    {"CONSTRAINT", "solute_tolerance", FIELD_REAL, offsetof(struct gd_parameters, constraint.solute_tolerance)},
    {"CONSTRAINT", "solvent_tolerance", FIELD_REAL, offsetof(struct gd_parameters, constraint.solvent_tolerance)},
    {"CONSTRAINT", "solute_lincs_order", FIELD_I32, offsetof(struct gd_parameters, constraint.solute_lincs_order)},
    {"CONSTRAINT", "solvent_lincs_order", FIELD_I32, offsetof(struct gd_parameters, constraint.solvent_lincs_order)},
    {"CONSTRAINT", "flexible_start", FIELD_I32, offsetof(struct gd_parameters, constraint.flexible_start)},
    {"CONSTRAINT", "flexible_mode", FIELD_I32, offsetof(struct gd_parameters, constraint.flexible_mode)},
    {"CONSTRAINT", "max_iterations", FIELD_I32, offsetof(struct gd_parameters, constraint.max_iterations)},
    {"FORCE", "bond", FIELD_I32, offsetof(struct gd_parameters, force.bond)},
    {"FORCE", "angle", FIELD_I32, offsetof(struct gd_parameters, force.angle)},
    {"FORCE", "improper", FIELD_I32, offsetof(struct gd_parameters, force.improper)},
    {"FORCE", "dihedral", FIELD_I32, offsetof(struct gd_parameters, force.dihedral)},
    {"FORCE", "electrostatic", FIELD_I32, offsetof(struct gd_parameters, force.electrostatic)},
    {"FORCE", "vdw", FIELD_I32, offsetof(struct gd_parameters, force.vdw)},
    {"FORCE", "num_energy_groups", FIELD_I32, offsetof(struct gd_parameters, force.num_energy_groups)},
    {"COVALENTFORM", "ntbbh", FIELD_I32, offsetof(struct gd_parameters, covalent.ntbbh)},
    {"COVALENTFORM", "ntbah", FIELD_I32, offsetof(struct gd_parameters, covalent.ntbah)},
    {"COVALENTFORM", "ntbdn", FIELD_I32, offsetof(struct gd_parameters, covalent.ntbdn)},
    {"PAIRLIST", "algorithm", FIELD_I32, offsetof(struct gd_parameters, pairlist.algorithm)},
    {"PAIRLIST", "nsnb", FIELD_I64, offsetof(struct gd_parameters, pairlist.nsnb)},
    {"PAIRLIST", "rcutp", FIELD_REAL, offsetof(struct gd_parameters, pairlist.rcutp)},
    {"PAIRLIST", "rcutl", FIELD_REAL, offsetof(struct gd_parameters, pairlist.rcutl)},
    {"PAIRLIST", "size", FIELD_REAL, offsetof(struct gd_parameters, pairlist.size)},
    {"PAIRLIST", "type", FIELD_I32, offsetof(struct gd_parameters, pairlist.type)},
    {"PAIRLIST", "scheme", FIELD_I32, offsetof(struct gd_parameters, pairlist.scheme)},
    {"PAIRLIST", "buffer", FIELD_REAL, offsetof(struct gd_parameters, pairlist.buffer)},
    {"NONBONDED", "nlrele", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nlrele)},
    {"NONBONDED", "appak", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.appak)},
    {"NONBONDED", "rcrf", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.rcrf)},
    {"NONBONDED", "epsrf", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.epsrf)},
    {"NONBONDED", "nslfexcl", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nslfexcl)},
    {"NONBONDED", "nshape", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nshape)},
    {"NONBONDED", "ashape", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.ashape)},
    {"NONBONDED", "na2clc", FIELD_I32, offsetof(struct gd_parameters, nonbonded.na2clc)},
    {"NONBONDED", "tola2", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.tola2)},
    {"NONBONDED", "epsls", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.epsls)},
    {"NONBONDED", "nkx", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nkx)},
    {"NONBONDED", "nky", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nky)},
    {"NONBONDED", "nkz", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nkz)},
    {"NONBONDED", "kcut", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.kcut)},
    {"NONBONDED", "ngx", FIELD_I32, offsetof(struct gd_parameters, nonbonded.ngx)},
    {"NONBONDED", "ngy", FIELD_I32, offsetof(struct gd_parameters, nonbonded.ngy)},
    {"NONBONDED", "ngz", FIELD_I32, offsetof(struct gd_parameters, nonbonded.ngz)},
    {"NONBONDED", "nasord", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nasord)},
    {"NONBONDED", "nfdord", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nfdord)},
    {"NONBONDED", "nalias", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nalias)},
    {"NONBONDED", "nspord", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nspord)},
    {"NONBONDED", "nqeval", FIELD_I64, offsetof(struct gd_parameters, nonbonded.nqeval)},
    {"NONBONDED", "faccur", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.faccur)},
    {"NONBONDED", "nrdgrd", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nrdgrd)},
    {"NONBONDED", "nwrgrd", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nwrgrd)},
    {"NONBONDED", "nlrlj", FIELD_I32, offsetof(struct gd_parameters, nonbonded.nlrlj)},
    {"NONBONDED", "slvdns", FIELD_REAL, offsetof(struct gd_parameters, nonbonded.slvdns)},
    {"POSITIONRES", "ntpor", FIELD_I32, offsetof(struct gd_parameters, position_restraint.ntpor)},
    {"POSITIONRES", "ntporb", FIELD_I32, offsetof(struct gd_parameters, position_restraint.ntporb)},
    {"POSITIONRES", "ntpors", FIELD_I32, offsetof(struct gd_parameters, position_restraint.ntpors)},
    {"POSITIONRES", "cpor", FIELD_REAL, offsetof(struct gd_parameters, position_restraint.cpor)},
    {"DISTANCERES", "ntdir", FIELD_I32, offsetof(struct gd_parameters, distance_restraint.ntdir)},
    {"DISTANCERES", "ntdira", FIELD_I32, offsetof(struct gd_parameters, distance_restraint.ntdira)},
    {"DISTANCERES", "cdir", FIELD_REAL, offsetof(struct gd_parameters, distance_restraint.cdir)},
    {"DISTANCERES", "dir0", FIELD_REAL, offsetof(struct gd_parameters, distance_restraint.dir0)},
    {"DISTANCERES", "taudir", FIELD_REAL, offsetof(struct gd_parameters, distance_restraint.taudir)},
    {"DISTANCERES", "forcescale", FIELD_I32, offsetof(struct gd_parameters, distance_restraint.forcescale)},
    {"DISTANCERES", "vdir", FIELD_I32, offsetof(struct gd_parameters, distance_restraint.vdir)},
    {"DISTANCERES", "ntwdir", FIELD_I64, offsetof(struct gd_parameters, distance_restraint.ntwdir)},
    {"ANGLERES", "ntalr", FIELD_I32, offsetof(struct gd_parameters, angle_restraint.ntalr)},
    {"ANGLERES", "calr", FIELD_REAL, offsetof(struct gd_parameters, angle_restraint.calr)},
    {"ANGLERES", "vares", FIELD_I32, offsetof(struct gd_parameters, angle_restraint.vares)},
    {"ANGLERES", "ntwalr", FIELD_I64, offsetof(struct gd_parameters, angle_restraint.ntwalr)},
    {"ANGLERES", "tolbac", FIELD_REAL, offsetof(struct gd_parameters, angle_restraint.tolbac)},
    {"DIHEDRALRES", "ntdlr", FIELD_I32, offsetof(struct gd_parameters, dihedral_restraint.ntdlr)},
    {"DIHEDRALRES", "cdlr", FIELD_REAL, offsetof(struct gd_parameters, dihedral_restraint.cdlr)},
    {"DIHEDRALRES", "philin", FIELD_REAL, offsetof(struct gd_parameters, dihedral_restraint.philin)},
    {"DIHEDRALRES", "vdih", FIELD_I32, offsetof(struct gd_parameters, dihedral_restraint.vdih)},
    {"DIHEDRALRES", "ntwdlr", FIELD_I64, offsetof(struct gd_parameters, dihedral_restraint.ntwdlr)},
    {"DIHEDRALRES", "toldac", FIELD_REAL, offsetof(struct gd_parameters, dihedral_restraint.toldac)},
    {"JVALUERES", "ntjvr", FIELD_I32, offsetof(struct gd_parameters, jvalue.ntjvr)},
    {"JVALUERES", "ntjvra", FIELD_I32, offsetof(struct gd_parameters, jvalue.ntjvra)},
    {"JVALUERES", "cjvr", FIELD_REAL, offsetof(struct gd_parameters, jvalue.cjvr)},
    {"JVALUERES", "taujvr", FIELD_REAL, offsetof(struct gd_parameters, jvalue.taujvr)},
    {"JVALUERES", "njvrtars", FIELD_I32, offsetof(struct gd_parameters, jvalue.njvrtars)},
    {"JVALUERES", "njvrbiqw", FIELD_I32, offsetof(struct gd_parameters, jvalue.njvrbiqw)},
    {"JVALUERES", "le", FIELD_I32, offsetof(struct gd_parameters, jvalue.le)},
    {"JVALUERES", "ngrid", FIELD_I32, offsetof(struct gd_parameters, jvalue.ngrid)},
    {"JVALUERES", "delta", FIELD_REAL, offsetof(struct gd_parameters, jvalue.delta)},
    {"JVALUERES", "ntwjv", FIELD_I64, offsetof(struct gd_parameters, jvalue.ntwjv)},
    {"STOCHDYN", "ntsd", FIELD_I32, offsetof(struct gd_parameters, stochastic.ntsd)},
    {"STOCHDYN", "ntfr", FIELD_I32, offsetof(struct gd_parameters, stochastic.ntfr)},
    {"STOCHDYN", "nsfr", FIELD_I64, offsetof(struct gd_parameters, stochastic.nsfr)},
    {"STOCHDYN", "nbref", FIELD_I64, offsetof(struct gd_parameters, stochastic.nbref)},
    {"STOCHDYN", "rcutf", FIELD_REAL, offsetof(struct gd_parameters, stochastic.rcutf)},
    {"STOCHDYN", "cfric", FIELD_REAL, offsetof(struct gd_parameters, stochastic.cfric)},
    {"STOCHDYN", "tempsd", FIELD_REAL, offsetof(struct gd_parameters, stochastic.tempsd)},
    {"ENERGYMIN", "ntem", FIELD_I32, offsetof(struct gd_parameters, minimise.ntem)},
    {"ENERGYMIN", "ncyc", FIELD_I64, offsetof(struct gd_parameters, minimise.ncyc)},
    {"ENERGYMIN", "dele", FIELD_REAL, offsetof(struct gd_parameters, minimise.dele)},
    {"ENERGYMIN", "dx0", FIELD_REAL, offsetof(struct gd_parameters, minimise.dx0)},
    {"ENERGYMIN", "dxm", FIELD_REAL, offsetof(struct gd_parameters, minimise.dxm)},
    {"ENERGYMIN", "nmin", FIELD_I64, offsetof(struct gd_parameters, minimise.nmin)},
    {"ENERGYMIN", "flim", FIELD_REAL, offsetof(struct gd_parameters, minimise.flim)},
    {"ENERGYMIN", "cgim", FIELD_I32, offsetof(struct gd_parameters, minimise.cgim)},
    {"ENERGYMIN", "cgic", FIELD_REAL, offsetof(struct gd_parameters, minimise.cgic)},
    {"ROTTRANS", "rtc", FIELD_I32, offsetof(struct gd_parameters, rottrans.rtc)},
    {"ROTTRANS", "last", FIELD_I64, offsetof(struct gd_parameters, rottrans.last)},
    {"CGRAIN", "ntcgran", FIELD_I32, offsetof(struct gd_parameters, coarse.ntcgran)},
    {"CGRAIN", "eps", FIELD_REAL, offsetof(struct gd_parameters, coarse.eps)},
    {"CGRAIN", "epsm", FIELD_REAL, offsetof(struct gd_parameters, coarse.epsm)},
    {"RANDOMNUMBERS", "generator", FIELD_I32, offsetof(struct gd_parameters, random.generator)},
    {"RANDOMNUMBERS", "gsl_generator", FIELD_I32, offsetof(struct gd_parameters, random.gsl_generator)},
    {"GROMOSD", "integrator", FIELD_I32, offsetof(struct gd_parameters, integrator)},
    {"GROMOSD", "precision", FIELD_I32, offsetof(struct gd_parameters, precision)},
};
#define NUM_ROWS (sizeof rows / sizeof rows[0])
_Static_assert(sizeof(enum gd_scheme) == sizeof(int32_t), "enumerations are read as int32");

static void pack_value(msgpack_packer *packer, const struct row *row, const struct gd_parameters *parameters)
{
    const char *at = (const char *)parameters + row->offset;
    switch (row->kind) {
    case FIELD_I32:
        msgpack_pack_int32(packer, *(const int32_t *)(const void *)at);
        break;
    case FIELD_I64:
        msgpack_pack_int64(packer, *(const int64_t *)(const void *)at);
        break;
    case FIELD_REAL:
        msgpack_pack_double(packer, *(const double *)(const void *)at);
        break;
    }
}

/* Lists that belong to a block beside its scalars. */
static size_t num_lists(const char *block)
{
    if (strcmp(block, "MULTIBATH") == 0)
        return 2;
    if (strcmp(block, "PRESSURESCALE") == 0)
        return 2;
    return strcmp(block, "FORCE") == 0;
}

static void pack_baths(msgpack_packer *packer, const struct gd_parameters *p)
{
    gd_pack_str(packer, "baths");
    msgpack_pack_array(packer, (size_t)p->multibath.num_baths);
    for (int32_t i = 0; i < p->multibath.num_baths; i++) {
        const double values[2] = {p->multibath.bath[i].temperature, p->multibath.bath[i].tau};
        gd_pack_reals(packer, values, 2);
    }
    gd_pack_str(packer, "dof_sets");
    msgpack_pack_array(packer, (size_t)p->multibath.num_dof_sets);
    for (int32_t i = 0; i < p->multibath.num_dof_sets; i++) {
        const struct gd_dof_set *set = &p->multibath.dof_set[i];
        msgpack_pack_array(packer, 3);
        msgpack_pack_int64(packer, set->last);
        msgpack_pack_int32(packer, set->com_bath);
        msgpack_pack_int32(packer, set->ir_bath);
    }
}

static void pack_lists(msgpack_packer *packer, const char *block, const struct gd_parameters *p)
{
    if (strcmp(block, "MULTIBATH") == 0) {
        pack_baths(packer, p);
    } else if (strcmp(block, "PRESSURESCALE") == 0) {
        gd_pack_str(packer, "semi");
        msgpack_pack_array(packer, 3);
        for (int i = 0; i < 3; i++)
            msgpack_pack_int32(packer, p->pressure.semi[i]);
        gd_pack_str(packer, "reference");
        gd_pack_reals(packer, &p->pressure.reference[0][0], 9);
    } else if (strcmp(block, "FORCE") == 0) {
        gd_pack_str(packer, "energy_group_last");
        msgpack_pack_array(packer, (size_t)p->force.num_energy_groups);
        for (int32_t i = 0; i < p->force.num_energy_groups; i++)
            msgpack_pack_int64(packer, p->force.energy_group_last[i]);
    }
}

void gd_input_pack(struct gd_reply *reply, const struct gd_parameters *parameters)
{
    msgpack_packer *packer = &reply->packer;
    size_t blocks = 0;
    for (size_t i = 0; i < NUM_ROWS; i++)
        blocks += i == 0 || strcmp(rows[i].block, rows[i - 1].block) != 0;
    gd_reply_map(reply, "blocks", blocks + 1);
    gd_pack_str(packer, "TITLE");
    gd_pack_str(packer, parameters->title);
    for (size_t first = 0, next; first < NUM_ROWS; first = next) {
        for (next = first; next < NUM_ROWS && strcmp(rows[next].block, rows[first].block) == 0;)
            next++;
        gd_pack_str(packer, rows[first].block);
        msgpack_pack_map(packer, next - first + num_lists(rows[first].block));
        for (size_t i = first; i < next; i++) {
            gd_pack_str(packer, rows[i].field);
            pack_value(packer, &rows[i], parameters);
        }
        pack_lists(packer, rows[first].block, parameters);
    }
}
