/* Contract: parameters.h. */
#include "core/parameters.h"

#include <math.h>
#include <string.h>

void gd_parameters_default(struct gd_parameters *p)
{
    memset(p, 0, sizeof *p);
    p->system.npm = 1;
    p->initialise.ntishi = 1;
    p->initialise.ig = 1;
    p->step.dt = 0.002;
    p->boundary.ntb = GD_BOUND_VACUUM;
    p->multibath.thermostat = GD_THERMOSTAT_NONE;
    p->pressure.tau = 0.5;
    p->pressure.compressibility = 4.575e-4;
    for (int k = 0; k < 3; k++)
        p->pressure.reference[k][k] = 0.06102;
    p->constraint.ntc = 1;
    p->constraint.solute = GD_CONSTRAINT_SHAKE;
    p->constraint.solvent = GD_CONSTRAINT_SHAKE;
    p->constraint.solute_tolerance = p->constraint.solvent_tolerance = 1e-4;
    p->constraint.solute_lincs_order = p->constraint.solvent_lincs_order = 4;
    p->constraint.max_iterations = 1000;
    p->force.bond = p->force.angle = p->force.improper = p->force.dihedral = 1;
    p->force.electrostatic = p->force.vdw = 1;
    p->pairlist.nsnb = 5;
    p->pairlist.rcutp = 0.8;
    p->pairlist.rcutl = 1.4;
    p->pairlist.buffer = -1.0;
    p->nonbonded.nlrele = 1;
    p->nonbonded.rcrf = 1.4;
    p->nonbonded.epsrf = 61.0;
    p->nonbonded.nslfexcl = 1;
    p->random.generator = GD_RANDOM_GSL;
    p->random.gsl_generator = -1;
    p->coarse.eps = 20.0;
    p->coarse.epsm = 1.0;
}

#define FAULT(...) gd_err_set(err, GD_E_INVALID_ARGUMENT, __VA_ARGS__)
#define REQUIRE(condition, ...)        \
    do {                               \
        if (!(condition))              \
            return FAULT(__VA_ARGS__); \
    } while (0)

static int check_coupling(const struct gd_parameters *p, struct gd_err *err)
{
    REQUIRE(p->multibath.num_baths >= 0 && p->multibath.num_baths <= GD_MAX_BATHS, "MULTIBATH: NBATHS %d (0 to %d)", p->multibath.num_baths,
            GD_MAX_BATHS);
    REQUIRE(p->multibath.num_dof_sets >= 0 && p->multibath.num_dof_sets <= GD_MAX_DOF_SETS, "MULTIBATH: DOFSET %d (0 to %d)",
            p->multibath.num_dof_sets, GD_MAX_DOF_SETS);
    REQUIRE(p->multibath.thermostat != GD_THERMOSTAT_NOSE_HOOVER_CHAINS ||
                (p->multibath.chain_length >= 1 && p->multibath.chain_length <= GD_MAX_NHC_CHAIN),
            "MULTIBATH: NUM %d Nose-Hoover chain variables (1 to %d)", p->multibath.chain_length, GD_MAX_NHC_CHAIN);
    for (int b = 0; b < p->multibath.num_baths; b++) {
        const struct gd_bath *bath = &p->multibath.bath[b];
        REQUIRE(isfinite(bath->temperature) && bath->temperature >= 0.0, "MULTIBATH: TEMP0 %g of bath %d", bath->temperature, b + 1);
        REQUIRE(bath->tau == -1.0 || (isfinite(bath->tau) && bath->tau > 0.0), "MULTIBATH: TAU %g of bath %d (> 0, or -1)", bath->tau,
                b + 1);
    }
    int64_t last = 0;
    for (int s = 0; s < p->multibath.num_dof_sets; s++) {
        const struct gd_dof_set *set = &p->multibath.dof_set[s];
        REQUIRE(set->last > last, "MULTIBATH: LAST %lld of set %d does not ascend", (long long)set->last, s + 1);
        REQUIRE(set->com_bath >= 0 && set->com_bath < p->multibath.num_baths && set->ir_bath >= 0 && set->ir_bath < p->multibath.num_baths,
                "MULTIBATH: baths %d and %d of set %d (1 to %d)", set->com_bath + 1, set->ir_bath + 1, s + 1, p->multibath.num_baths);
        last = set->last;
    }
    if (p->pressure.couple == GD_PRESSURE_SCALE) {
        REQUIRE(p->pressure.tau > 0.0 && isfinite(p->pressure.tau), "PRESSURESCALE: TAUP %g", p->pressure.tau);
        REQUIRE(p->pressure.compressibility > 0.0, "PRESSURESCALE: COMP %g", p->pressure.compressibility);
        REQUIRE(p->pressure.virial != GD_VIRIAL_NONE, "PRESSURESCALE: scaling needs a virial (VIRIAL is none)");
        REQUIRE(p->boundary.ntb != GD_BOUND_VACUUM, "PRESSURESCALE: scaling needs a box (NTB is 0)");
    }
    return 0;
}

static int check_nonbonded(const struct gd_parameters *p, struct gd_err *err)
{
    REQUIRE(p->pairlist.rcutp >= 0.0 && isfinite(p->pairlist.rcutp), "PAIRLIST: RCUTP %g", p->pairlist.rcutp);
    REQUIRE(p->pairlist.rcutl >= p->pairlist.rcutp && isfinite(p->pairlist.rcutl), "PAIRLIST: RCUTL %g is below RCUTP %g",
            p->pairlist.rcutl, p->pairlist.rcutp);
    REQUIRE(p->pairlist.nsnb > 0, "PAIRLIST: NSNB %lld must be positive", (long long)p->pairlist.nsnb);
    REQUIRE(p->nonbonded.rcrf >= 0.0 && isfinite(p->nonbonded.rcrf), "NONBONDED: RCRF %g", p->nonbonded.rcrf);
    REQUIRE(p->nonbonded.appak >= 0.0 && isfinite(p->nonbonded.appak), "NONBONDED: APPAK %g", p->nonbonded.appak);
    REQUIRE(p->nonbonded.epsrf == 0.0 || p->nonbonded.epsrf >= 1.0, "NONBONDED: EPSRF %g (0 or at least 1)", p->nonbonded.epsrf);
    REQUIRE(p->nonbonded.nlrele == 0 || p->nonbonded.nlrele == 1 || p->nonbonded.nlrele == -1,
            "NONBONDED: NLRELE %d is not available (0, 1 or -1)", p->nonbonded.nlrele);
    REQUIRE(p->nonbonded.nlrlj == 0, "NONBONDED: NLRLJ %d is not available (0)", p->nonbonded.nlrlj);
    REQUIRE(p->coarse.ntcgran >= 0 && p->coarse.ntcgran <= 1, "CGRAIN: NTCGRAN %d is not available (0 or 1)", p->coarse.ntcgran);
    REQUIRE(p->force.num_energy_groups >= 1 && p->force.num_energy_groups <= GD_MAX_ENERGY_GROUPS, "FORCE: NEGR %d (1 to %d)",
            p->force.num_energy_groups, GD_MAX_ENERGY_GROUPS);
    int64_t last = 0;
    for (int g = 0; g < p->force.num_energy_groups; g++) {
        REQUIRE(p->force.energy_group_last[g] > last, "FORCE: NRE(%d) %lld does not ascend", g + 1,
                (long long)p->force.energy_group_last[g]);
        last = p->force.energy_group_last[g];
    }
    return 0;
}

static int check_constraints(const struct gd_parameters *p, struct gd_err *err)
{
    REQUIRE(p->constraint.ntc >= 0 && p->constraint.ntc <= 4, "CONSTRAINT: NTC %d is not available (0 to 4)", p->constraint.ntc);
    REQUIRE(p->constraint.solute <= GD_CONSTRAINT_FLEXIBLE_SHAKE, "CONSTRAINT: NTCP cannot be %d for the solute", p->constraint.solute);
    REQUIRE(p->constraint.solute_tolerance > 0.0, "CONSTRAINT: NTCP0 %g must be positive", p->constraint.solute_tolerance);
    REQUIRE(p->constraint.solvent_tolerance > 0.0, "CONSTRAINT: NTCS0 %g must be positive", p->constraint.solvent_tolerance);
    REQUIRE(p->constraint.solute_lincs_order > 0 && p->constraint.solvent_lincs_order > 0, "CONSTRAINT: LINCS order %d, %d",
            p->constraint.solute_lincs_order, p->constraint.solvent_lincs_order);
    REQUIRE(p->constraint.flexible_start == 0 || p->constraint.flexible_start == 1, "CONSTRAINT: NTCP0(2) %d of flexshake (0 or 1)",
            p->constraint.flexible_start);
    REQUIRE(p->constraint.flexible_mode == 0 || p->constraint.flexible_mode == 1,
            "CONSTRAINT: NTCP0(3) %d of flexshake is not available (0 or 1)", p->constraint.flexible_mode);
    return 0;
}

static int check_special(const struct gd_parameters *p, struct gd_err *err)
{
    REQUIRE(p->position_restraint.ntpor >= 0 && p->position_restraint.ntpor <= 3, "POSITIONRES: NTPOR %d (0 to 3)",
            p->position_restraint.ntpor);
    REQUIRE(p->position_restraint.cpor >= 0.0, "POSITIONRES: CPOR %g", p->position_restraint.cpor);
    REQUIRE(p->distance_restraint.ntdir >= -2 && p->distance_restraint.ntdir <= 2, "DISTANCERES: NTDIR %d (-2 to 2)",
            p->distance_restraint.ntdir);
    REQUIRE(p->distance_restraint.ntdir >= 0 || p->distance_restraint.taudir > 0.0, "DISTANCERES: TAUDIR %g", p->distance_restraint.taudir);
    REQUIRE(p->angle_restraint.ntalr >= 0 && p->angle_restraint.ntalr <= 3, "ANGLERES: NTALR %d (0 to 3)", p->angle_restraint.ntalr);
    REQUIRE(p->dihedral_restraint.ntdlr >= 0 && p->dihedral_restraint.ntdlr <= 3, "DIHEDRALRES: NTDLR %d (0 to 3)",
            p->dihedral_restraint.ntdlr);
    REQUIRE(p->jvalue.ntjvr >= -3 && p->jvalue.ntjvr <= 2, "JVALUERES: NTJVR %d (-3 to 2)", p->jvalue.ntjvr);
    REQUIRE(p->jvalue.le == 0 || (p->jvalue.le == 1 && p->jvalue.ngrid > 1 && p->jvalue.ngrid <= 1000000),
            "JVALUERES: LE %d (0 or 1) with NGRID %d (2 to 1000000)", p->jvalue.le, p->jvalue.ngrid);
    REQUIRE(p->stochastic.ntsd >= 0 && p->stochastic.ntsd <= 1, "STOCHDYN: NTSD %d (0 or 1)", p->stochastic.ntsd);
    REQUIRE(p->stochastic.ntfr >= 0 && p->stochastic.ntfr <= 3, "STOCHDYN: NTFR %d (0 to 3)", p->stochastic.ntfr);
    REQUIRE(p->minimise.ntem == 0 || (p->minimise.dx0 > 0.0 && p->minimise.dxm >= p->minimise.dx0), "ENERGYMIN: DX0 %g, DXM %g",
            p->minimise.dx0, p->minimise.dxm);
    return 0;
}

int gd_parameters_check(const struct gd_parameters *p, struct gd_err *err)
{
    REQUIRE(p->system.npm == 0 || p->system.npm == 1, "SYSTEM: NPM %d (0 or 1)", p->system.npm);
    REQUIRE(p->system.nsm >= 0, "SYSTEM: NSM %lld", (long long)p->system.nsm);
    REQUIRE(p->step.nstlim >= 0, "STEP: NSTLIM %lld", (long long)p->step.nstlim);
    REQUIRE(isfinite(p->step.dt) && p->step.dt > 0.0, "STEP: DT %g must be positive", p->step.dt);
    REQUIRE(p->boundary.ndfmin >= 0, "BOUNDCOND: NDFMIN %d", p->boundary.ndfmin);
    REQUIRE(isfinite(p->initialise.tempi) && p->initialise.tempi >= 0.0, "INITIALISE: TEMPI %g", p->initialise.tempi);
    int rc = check_coupling(p, err);
    if (rc == 0)
        rc = check_nonbonded(p, err);
    if (rc == 0)
        rc = check_constraints(p, err);
    if (rc == 0)
        rc = check_special(p, err);
    return rc;
}
