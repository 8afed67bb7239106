/* Run parameters: every field of the GROMOS input blocks that the daemon knows, plus its own extensions, as one plain
 * value. Readers and Python fill it; the engine reads it. Names in the comments are those of the GROMOS blocks. A block that was
 * absent has its defaults from gd_parameters_default. Atom indices that a file gives 1-based are stored as counts
 * ("last" = one past the last 0-based index), so both readings give the same number. Units nm, ps, K, kJ/mol. */
#ifndef GD_CORE_PARAMETERS_H
#define GD_CORE_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define GD_MAX_BATHS 32
#define GD_MAX_DOF_SETS 64
#define GD_MAX_ENERGY_GROUPS 256
#define GD_MAX_NHC_CHAIN 32

enum gd_boundary { /* BOUNDCOND NTB */
                   GD_BOUND_TRUNCATED_OCTAHEDRON = -1,
                   GD_BOUND_VACUUM = 0,
                   GD_BOUND_RECTANGULAR = 1,
                   GD_BOUND_TRICLINIC = 2,
};

enum gd_thermostat { /* MULTIBATH NTBTYP; the first three as GROMOS numbers them */
                     GD_THERMOSTAT_WEAK_COUPLING = 0,
                     GD_THERMOSTAT_NOSE_HOOVER = 1,
                     GD_THERMOSTAT_NOSE_HOOVER_CHAINS = 2, /* NUM chains follow */
                     GD_THERMOSTAT_BUSSI = 3,              /* extension: stochastic velocity rescaling */
                     GD_THERMOSTAT_NONE = -1,              /* no MULTIBATH block: kinetic energy is counted, nothing coupled */
};

enum gd_pressure_couple { GD_PRESSURE_OFF = 0, GD_PRESSURE_CALC = 1, GD_PRESSURE_SCALE = 2 }; /* COUPLE */
enum gd_pressure_scale {                                                                      /* SCALE */
                         GD_SCALE_OFF = 0,
                         GD_SCALE_ISO = 1,
                         GD_SCALE_ANISO = 2,
                         GD_SCALE_FULL = 3,
                         GD_SCALE_SEMIANISO = 4,
};
enum gd_virial { GD_VIRIAL_NONE = 0, GD_VIRIAL_ATOMIC = 1, GD_VIRIAL_MOLECULAR = 2 }; /* VIRIAL */
enum gd_barostat {
    GD_BAROSTAT_BERENDSEN = 0,         /* what GROMOS does */
    GD_BAROSTAT_STOCHASTIC_CELL = 1,   /* extension */
    GD_BAROSTAT_PARRINELLO_RAHMAN = 2, /* extension */
};

enum gd_constraint_algorithm { /* NTCP, NTCS */
                               GD_CONSTRAINT_OFF = 0,
                               GD_CONSTRAINT_SHAKE = 1,
                               GD_CONSTRAINT_LINCS = 2,
                               GD_CONSTRAINT_FLEXIBLE_SHAKE = 3,
                               GD_CONSTRAINT_SETTLE = 4,  /* solvent only */
                               GD_CONSTRAINT_M_SHAKE = 5, /* solvent only */
};

enum gd_pairlist_algorithm { GD_PAIRLIST_STANDARD = 0, GD_PAIRLIST_GRID = 1, GD_PAIRLIST_GRID_CELL = 2 };
enum gd_cutoff_type { GD_CUTOFF_CHARGEGROUP = 0, GD_CUTOFF_ATOMIC = 1 };
enum gd_scheme { GD_SCHEME_CHARGEGROUP = 0, GD_SCHEME_VERLET = 1 };                    /* extension */
enum gd_precision { GD_PRECISION_FLOAT64 = 0, GD_PRECISION_FLOAT32 = 1 };              /* extension */
enum gd_integrator { GD_INTEGRATOR_LEAP_FROG = 0, GD_INTEGRATOR_VELOCITY_VERLET = 1 }; /* extension */
enum gd_minimiser {                                                                    /* ENERGYMIN NTEM */
                    GD_MINIMISE_OFF = 0,
                    GD_MINIMISE_STEEPEST_DESCENT = 1,
                    GD_MINIMISE_FLETCHER_REEVES = 2,
                    GD_MINIMISE_POLAK_RIBIERE = 3,
};
enum gd_random_generator { GD_RANDOM_G96 = 0, GD_RANDOM_GSL = 1 }; /* RANDOMNUMBERS NTRNG */

struct gd_bath {
    double temperature; /* TEMP0, K */
    double tau;         /* ps; -1: not coupled */
};

/* Atoms [last of the set before, last) count their molecules' centre-of-mass degrees of freedom in com_bath and the rest in
 * ir_bath (0-based). */
struct gd_dof_set {
    int64_t last;
    int32_t com_bath, ir_bath;
};

struct gd_parameters {
    char title[256]; /* TITLE, its lines as they are, cut at 255 characters */

    struct { /* SYSTEM */
        int32_t npm;
        int64_t nsm;
    } system;

    struct { /* INITIALISE */
        int32_t ntivel, ntishk, ntinht, ntinhb, ntishi, ntirtc, nticom, ntisti;
        int64_t ig;
        double tempi;
    } initialise;

    struct { /* STEP */
        int64_t nstlim;
        double t0; /* -1: from the configuration */
        double dt;
    } step;

    struct { /* BOUNDCOND */
        enum gd_boundary ntb;
        int32_t ndfmin;
    } boundary;

    struct { /* MULTIBATH */
        int32_t present;
        enum gd_thermostat thermostat;
        int32_t chain_length; /* NUM of nose-hoover-chains */
        int32_t num_baths, num_dof_sets;
        struct gd_bath bath[GD_MAX_BATHS];
        struct gd_dof_set dof_set[GD_MAX_DOF_SETS];
    } multibath;

    struct { /* PRESSURESCALE */
        enum gd_pressure_couple couple;
        enum gd_pressure_scale scale;
        enum gd_virial virial;
        enum gd_barostat barostat; /* extension */
        double compressibility;    /* (kJ mol^-1 nm^-3)^-1 */
        double tau;                /* ps */
        int32_t semi[3];           /* SEMIANISOTROPIC */
        double reference[3][3];    /* PRES0, kJ mol^-1 nm^-3 */
    } pressure;

    struct {          /* COMTRANSROT */
        int64_t nscm; /* 0 never, n translation every n steps, -n translation and rotation */
    } com;

    struct { /* PRINTOUT */
        int64_t ntpr, ntpp;
    } print;

    struct { /* WRITETRAJ */
        int64_t ntwx, ntwse, ntwv, ntwf, ntwe, ntwg, ntwb;
    } write;

    struct {         /* CONSTRAINT */
        int32_t ntc; /* 0,1 solvent only; 2 bonds with hydrogen; 3 all; 4 only those of the topology's CONSTRAINT block */
        enum gd_constraint_algorithm solute, solvent;
        double solute_tolerance, solvent_tolerance; /* NTCP0, NTCS0 of SHAKE, relative */
        int32_t solute_lincs_order, solvent_lincs_order;
        int32_t max_iterations; /* SHAKE; 1000 */
        int32_t flexible_start; /* NTCP0(2) of flexshake: 1 lengths go on changing as the start's velocities say, 0 from rest */
        int32_t flexible_mode;  /* NTCP0(3): 0 with the kinetic part, 1 forces only */
    } constraint;

    struct {                                                         /* FORCE */
        int32_t bond, angle, improper, dihedral, electrostatic, vdw; /* NTF(1..6) */
        int32_t num_energy_groups;
        int64_t energy_group_last[GD_MAX_ENERGY_GROUPS]; /* NRE */
    } force;

    struct {           /* COVALENTFORM */
        int32_t ntbbh; /* 0 quartic, 1 harmonic bonds */
        int32_t ntbah; /* 0 cosine-harmonic, 1 harmonic angles */
        int32_t ntbdn; /* 0 arbitrary phase shifts, 1 limited to 0 and 180 degrees */
    } covalent;

    struct { /* PAIRLIST */
        enum gd_pairlist_algorithm algorithm;
        int64_t nsnb;
        double rcutp, rcutl;
        double size; /* grid cell length; 0: automatic (half of rcutp) */
        enum gd_cutoff_type type;
        enum gd_scheme scheme; /* extension; verlet: RCUTP = RCUTL = RCRF, the list is rebuilt when it must be, whatever NSNB */
        double buffer;         /* extension, verlet: nm beyond the cutoff, < 0: chosen; results do not depend on it */
    } pairlist;

    struct {            /* NONBONDED */
        int32_t nlrele; /* 0 no electrostatics beyond plain cutoff, 1 reaction field, -1 atomic-cutoff reaction field */
        double appak, rcrf, epsrf;
        int32_t nslfexcl;
        int32_t nshape;
        double ashape;
        int32_t na2clc;
        double tola2, epsls;
        int32_t nkx, nky, nkz;
        double kcut;
        int32_t ngx, ngy, ngz, nasord, nfdord, nalias, nspord;
        int64_t nqeval;
        double faccur;
        int32_t nrdgrd, nwrgrd, nlrlj;
        double slvdns;
    } nonbonded;

    struct {            /* POSITIONRES */
        int32_t ntpor;  /* 0 none, 1 restraint, 2 restraint / B-factor, 3 constraint */
        int32_t ntporb; /* 1: reference positions and B-factors from the reference file */
        int32_t ntpors; /* 1: reference positions scaled with the box */
        double cpor;    /* kJ mol^-1 nm^-2 */
    } position_restraint;

    struct {            /* DISTANCERES */
        int32_t ntdir;  /* 0, 1 instantaneous, 2 with w0, -1/-2 time-averaged */
        int32_t ntdira; /* 1: averages from the configuration */
        double cdir;    /* kJ mol^-1 nm^-2 */
        double dir0;    /* RLIN, nm: beyond this deviation the force is constant */
        double taudir;  /* ps */
        int32_t forcescale, vdir;
        int64_t ntwdir;
    } distance_restraint;

    struct {           /* ANGLERES */
        int32_t ntalr; /* 0, 1, 2 with WALR, 3 constraint */
        double calr;   /* kJ mol^-1 deg^-2 */
        int32_t vares;
        int64_t ntwalr;
        double tolbac; /* tolerance of angle constraints */
    } angle_restraint;

    struct { /* DIHEDRALRES */
        int32_t ntdlr;
        double cdlr;   /* kJ mol^-1 deg^-2 */
        double philin; /* degrees; 0: never linear, NTDLR < 0 when unused */
        int32_t vdih;
        int64_t ntwdlr;
        double toldac;
    } dihedral_restraint;

    struct {            /* JVALUERES */
        int32_t ntjvr;  /* -3 biquadratic weighted ... 2 instantaneous weighted, as in GROMOS */
        int32_t ntjvra; /* 1: averages from the configuration */
        double cjvr;    /* kJ mol^-1 Hz^-2 (Hz^-4) */
        double taujvr;
        int32_t njvrtars, njvrbiqw;
        int32_t le, ngrid;
        double delta;
        int64_t ntwjv;
    } jvalue;

    struct { /* STOCHDYN */
        int32_t ntsd, ntfr;
        int64_t nsfr, nbref;
        double rcutf, cfric, tempsd;
    } stochastic;

    struct { /* ENERGYMIN */
        enum gd_minimiser ntem;
        int64_t ncyc;
        double dele, dx0, dxm;
        int64_t nmin;
        double flim;
        int32_t cgim; /* conjugate gradient: interpolations */
        double cgic;  /* nm */
    } minimise;

    struct { /* ROTTRANS */
        int32_t rtc;
        int64_t last;
    } rottrans;

    struct {             /* CGRAIN */
        int32_t ntcgran; /* 0 none, 1 MARTINI shifted form, 2 GROMOS, 3 GROMOS mixed */
        double eps, epsm;
    } coarse;

    struct { /* RANDOMNUMBERS */
        enum gd_random_generator generator;
        int32_t gsl_generator; /* -1: default (mt19937) */
    } random;

    /* Extensions, without a GROMOS block of the original. */
    enum gd_integrator integrator;
    enum gd_precision precision;
};

/* What GROMOS assumes where a block is absent. npm 1, nstlim 0, vacuum, no coupling, standard chargegroup pair list. */
void gd_parameters_default(struct gd_parameters *parameters);

/* Ranges and combinations that need no topology; the text names block, field and value. GD_E_INVALID_ARGUMENT. */
int gd_parameters_check(const struct gd_parameters *parameters, struct gd_err *err);

#endif
