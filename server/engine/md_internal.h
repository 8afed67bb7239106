/* Inside of gd_md: shared by the engine's modules, not by anyone else.
 *
 * Each module is a pair of functions or so: gd_<module>_create prepares (allocates), the others work within a step without
 * allocating. `pos`, `vel`, `box` are the current state; `old_*` the state the forces of this step belong to (the same
 * until the integrator exchanges them). Virials are stored as sum r x f; reports multiply by -1/2. */
#ifndef GD_ENGINE_MD_INTERNAL_H
#define GD_ENGINE_MD_INTERNAL_H

#include "engine/md.h"
#include "engine/periodicity.h"
#include "engine/random.h"
#include "engine/thread_pool.h"
#include "engine/vec3.h"

#define GD_MD_MAGIC 0x67644d44u

struct gd_nonbonded;
struct gd_bonded;
struct gd_constraints;
struct gd_stochastic;
struct gd_velocity_verlet;
struct gd_minimisation;
struct gd_rottrans;
struct gd_special;

/* A range of atoms whose molecules' translation couples to one bath and the rest to another. Groups are temperature
 * groups [first_group, last_group). */
struct gd_bath_range {
    size_t first_atom, last_atom; /* one past the end */
    size_t first_group, last_group;
    int com_bath, internal_bath;
};

/* What baths have taken up (reservoir.c), kJ/mol. */
struct gd_reservoir {
    double taken;       /* since the start; stochastic dynamics: the kinetic energy that the forces' work alone would have made */
    double reported;    /* goes with the energies of the last step */
    gd_mat3 strain;     /* of the last scaling of the box, half of whose work waits for the next forces */
    gd_mat3 virial;     /* sum r x f of the last forces */
    int64_t on_the_way; /* stochastic dynamics: the work of the last step waits for the next forces */
};

struct gd_md {
    uint32_t magic;
    struct gd_topology *top;
    struct gd_parameters par;
    struct gd_restraints *res; /* never NULL */
    size_t n;
    struct gd_thread_pool *pool;

    /* State */
    gd_vec3 *pos, *vel, *old_pos, *old_vel;
    gd_vec3 *force, *constraint_force;
    int32_t (*lattice_shift)[3];
    struct gd_box box, old_box;
    double euler[3], origin[3];
    struct gd_periodicity pbc; /* of box */
    int64_t step;              /* of pos */
    int64_t named_from;        /* what messages call step 0 */
    double time, start_time;
    struct gd_random random;

    /* Per atom, constant */
    double *mass, *inverse_mass; /* inverse 0: fixed by a position constraint */
    double *charge;
    int32_t *type;
    int32_t *energy_group;
    double total_mass;

    /* Results of the step */
    struct gd_md_energies energies;
    double *energy_numbers; /* storage of the arrays in energies */
    size_t num_energy_numbers;
    gd_mat3 virial, kinetic_tensor, pressure;
    gd_mat3 report_virial, report_kinetic, report_pressure; /* -1/2 virial; all in the frame that is reported */

    struct gd_reservoir reservoir;
    int coupled; /* any bath was coupled at the start */
    size_t num_baths;
    struct gd_md_bath bath[GD_MAX_BATHS];
    size_t num_ranges;
    struct gd_bath_range range[GD_MAX_DOF_SETS];

    struct gd_bonded *bonded;
    struct gd_nonbonded *nonbonded;
    struct gd_constraints *constraints;
    struct gd_stochastic *stochastic;
    struct gd_velocity_verlet *verlet; /* NULL: leap-frog */
    struct gd_minimisation *minimiser;
    struct gd_rottrans *rottrans;
    struct gd_special *special;
    gd_vec3 *reference_position; /* [n] of position restraints and constraints, or NULL */
    double *bfactor;             /* [n] or NULL */

    /* A moving box: how fast its relative sizes change (ps^-1, at the first axis of each set), and what they are relative to. */
    struct {
        double velocity[3], start[3], start_volume;
    } cell;

    int energies_wanted;
    double phase_seconds[GD_MD_PHASES];
};

/* A piece of the state for saving and loading. */
struct gd_state_field {
    void *data;
    size_t size;
};
/* Visits the fields of a module; `visit` may be called any number of times, always in the same order. */
typedef void gd_state_visitor(void *context, void *data, size_t size);

double gd_md_clock(void); /* seconds, monotonic */
int gd_md_allocate(void **out, size_t count, size_t size, struct gd_err *err);

/* The current step as messages name it. */
long long gd_md_named_step(const struct gd_md *md);

/* Sums of the total energy from the parts; GD_E_SIMULATION_FAILED when not finite, naming the atoms. */
int gd_md_sum_energies(struct gd_md *md, struct gd_err *err);
int gd_md_create_energies(struct gd_md *md, struct gd_err *err);
void gd_md_zero_potential_energies(struct gd_md *md);

/* forces.c: everything that acts on `pos` into force, energies, virial. */
int gd_md_compute_forces(struct gd_md *md, struct gd_err *err);
/* Virial and centre-of-mass kinetic energy of pressure groups (virial.c). */
void gd_virial_prepare(struct gd_md *md);
void gd_virial_kinetic(struct gd_md *md); /* the kinetic tensor alone, from vel */
void gd_virial_molecular(struct gd_md *md);

/* bonded.c */
int gd_bonded_create(struct gd_md *md, struct gd_err *err);
void gd_bonded_destroy(struct gd_bonded **bonded);
void gd_bonded_forces(struct gd_md *md);

/* nonbonded.c */
int gd_nonbonded_create(struct gd_md *md, struct gd_err *err);
void gd_nonbonded_destroy(struct gd_nonbonded **nonbonded);
int gd_nonbonded_forces(struct gd_md *md, struct gd_err *err);
/* Energies of pairs that the last forces left out, and with them the sums. */
void gd_nonbonded_complete(const struct gd_md *md);
void gd_nonbonded_invalidate(struct gd_md *md); /* the next forces rebuild the list */
void gd_nonbonded_visit(struct gd_md *md, gd_state_visitor *visit, void *context);
int gd_nonbonded_restore(struct gd_md *md, struct gd_err *err); /* after loading */
void gd_nonbonded_use_reference(struct gd_md *md);              /* scheme verlet by scalar rows in double precision */
size_t gd_nonbonded_listed_pairs(const struct gd_md *md);       /* atom pairs of rows and molecule pairs, both ranges */

/* charge_groups.c */
void gd_charge_groups_gather(struct gd_md *md);
/* Around the origin, as GROMOS computes; shifts are counted. */
void gd_charge_groups_put_into_box(struct gd_md *md);
void gd_charge_groups_put_uncounted(struct gd_md *md);
/* A copy of the positions into the box whose corner is the origin, as GROMOS writes
 * them: groups by their first atoms. */
void gd_charge_groups_wrap(const struct gd_md *md, gd_vec3 *pos);
void gd_charge_group_centre(const struct gd_md *md, size_t group, const gd_vec3 *pos, double centre[3]);

/* degrees_of_freedom.c */
int gd_baths_create(struct gd_md *md, struct gd_err *err);
void gd_baths_find(const struct gd_md *md, size_t atom, int *com_bath, int *internal_bath);

/* temperature.c: kinetic energies from vel and old_vel */
void gd_temperature_compute(struct gd_md *md);
/* thermostat.c */
void gd_thermostat_apply(struct gd_md *md);
double gd_bussi_factor(struct gd_random *random, double kinetic, double reference, double dof, double ratio);
/* barostat.c */
void gd_pressure_compute(struct gd_md *md);
int gd_barostat_apply(struct gd_md *md, struct gd_err *err);
/* barostat_stochastic.c: positions and velocities; the factors it chose for the box */
void gd_barostat_stochastic(struct gd_md *md, double mu[3]);
int gd_barostat_stochastic_check(const struct gd_md *md, struct gd_err *err);
/* Positions by mu and velocities by 1 / mu, of centres of pressure groups or of atoms as VIRIAL says; positions count as they were
 * dt before. */
void gd_barostat_scale(struct gd_md *md, const double mu[3], double dt);
/* barostat_parrinello.c: the same as the stochastic one; energy: of the moving box, P0 V included, kJ/mol */
int gd_barostat_parrinello_create(struct gd_md *md, struct gd_err *err);
void gd_barostat_parrinello(struct gd_md *md, double mu[3]);
double gd_barostat_parrinello_energy(const struct gd_md *md);
void gd_barostat_parrinello_visit(struct gd_md *md, gd_state_visitor *visit, void *context);

/* reservoir.c. Leap-frog: with the velocities of both half steps, coupled and constrained. Velocity Verlet: right after the
 * thermostat. begin and end: around any other change of `vel`. forces: right after they are found; strain: after the box was
 * scaled. Stochastic dynamics: arrive with the new forces, stochastic with the kinetic energies, depart when the step is done. */
void gd_reservoir_leapfrog(struct gd_md *md);
void gd_reservoir_velocity_verlet(struct gd_md *md);
void gd_reservoir_report(struct gd_md *md); /* all that was taken goes with the energies of this step */
double gd_reservoir_begin(const struct gd_md *md);
void gd_reservoir_end(struct gd_md *md, double before);
void gd_reservoir_forces(struct gd_md *md);
void gd_reservoir_strain(struct gd_md *md);
void gd_reservoir_arrive(struct gd_md *md);
void gd_reservoir_stochastic(struct gd_md *md);
void gd_reservoir_depart(struct gd_md *md);

/* com_motion.c; rotation != 0 removes that too (vacuum) */
void gd_com_motion_remove(struct gd_md *md, int translation, int rotation);
/* velocities.c */
void gd_velocities_generate(struct gd_md *md);

/* constraints.c and the algorithms. `correct_velocity`: set velocities from the moved positions. */
int gd_constraints_create(struct gd_md *md, struct gd_err *err);
void gd_constraints_destroy(struct gd_constraints **constraints);
int gd_constraints_start(struct gd_md *md, struct gd_err *err); /* NTISHK */
int gd_constraints_apply(struct gd_md *md, int correct_velocity, struct gd_err *err);
size_t gd_constraints_num_solute(const struct gd_md *md);
const struct gd_bond *gd_constraints_solute(const struct gd_md *md); /* type: of bond_types */
int gd_constraints_is_constrained(const struct gd_md *md, const struct gd_bond *bond);
/* flexible.c: nothing without flexible constraints */
void gd_flexible_from_velocities(struct gd_md *md); /* how fast lengths change, from pos and vel */
void gd_flexible_take_kinetic(struct gd_md *md);    /* that motion is not for the baths to see */
void gd_flexible_visit(struct gd_md *md, gd_state_visitor *visit, void *context);

/* leapfrog.c */
int gd_leapfrog_step(struct gd_md *md, struct gd_err *err);
void gd_md_exchange(struct gd_md *md);

/* velocity_verlet.c; its step computes the forces itself */
int gd_velocity_verlet_create(struct gd_md *md, struct gd_err *err);
void gd_velocity_verlet_destroy(struct gd_velocity_verlet **verlet);
int gd_velocity_verlet_step(struct gd_md *md, struct gd_err *err);
void gd_velocity_verlet_invalidate(struct gd_md *md); /* positions were changed from outside */
void gd_velocity_verlet_visit(struct gd_md *md, gd_state_visitor *visit, void *context);

/* stochastic.c */
int gd_stochastic_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err);
void gd_stochastic_destroy(struct gd_stochastic **stochastic);
int gd_stochastic_step(struct gd_md *md, struct gd_err *err);
void gd_stochastic_visit(struct gd_md *md, gd_state_visitor *visit, void *context);
const gd_vec3 *gd_stochastic_integral(const struct gd_md *md);

/* minimise.c */
int gd_minimiser_create(struct gd_md *md, struct gd_err *err);
void gd_minimiser_destroy(struct gd_minimisation **minimiser);
int gd_minimiser_step(struct gd_md *md, struct gd_err *err);
int gd_minimiser_converged(const struct gd_md *md);
void gd_minimiser_visit(struct gd_md *md, gd_state_visitor *visit, void *context);

/* rottrans.c */
int gd_rottrans_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err);
void gd_rottrans_destroy(struct gd_rottrans **rottrans);
void gd_rottrans_apply(struct gd_md *md);
void gd_rottrans_visit(struct gd_md *md, gd_state_visitor *visit, void *context);
int gd_rottrans_export(const struct gd_md *md, struct gd_configuration *conf, struct gd_err *err);

/* position_restraints.c: NTPOR 3, after the forces */
void gd_position_constraints_apply(struct gd_md *md);

/* special.c: restraints, after the molecular virial */
int gd_special_create(struct gd_md *md, const struct gd_configuration *conf, struct gd_err *err);
void gd_special_destroy(struct gd_special **special);
int gd_special_forces(struct gd_md *md, struct gd_err *err);
void gd_special_visit(struct gd_md *md, gd_state_visitor *visit, void *context);
/* Angle and dihedral constraints within the solute's SHAKE loop; each moves positions and clears `converged` when it did. */
int gd_special_shake_angles(struct gd_md *md, int *converged, uint8_t *skip_now, uint8_t *skip_next, struct gd_err *err);
int gd_special_shake_dihedrals(struct gd_md *md, int *converged, uint8_t *skip_now, uint8_t *skip_next, struct gd_err *err);

#endif
