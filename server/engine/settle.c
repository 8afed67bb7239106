/* SETTLE: the three sites of a rigid, symmetric water model placed analytically. Contract: settle.h, constraints.h. */
#include "engine/settle.h"

#include "core/cpu.h"
#include "engine/constraints.h"

typedef double two_f64 __attribute__((vector_size(16)));

static inline void transpose(two_f64 *v)
{
    const two_f64 first = {v[0][0], v[1][0]}, second = {v[0][1], v[1][1]};
    v[0] = first;
    v[1] = second;
}

#define V two_f64
#define WIDTH 2
#define SET1(x)  \
    (V)          \
    {            \
        (x), (x) \
    }
#define ROOT(v)                    \
    (V)                            \
    {                              \
        sqrt((v)[0]), sqrt((v)[1]) \
    }
#define TRANSPOSE(v) transpose(v)
#define NAME(function) function##_plain
#define SETTLE gd_settle_plain
#include "engine/settle_body.h"

int gd_settle_check(const struct gd_md *md, struct gd_err *err)
{
    const struct gd_topology *top = md->top;
    struct gd_constraints *c = md->constraints;
    int shape = top->num_solvent_atoms == 3 && c->num_solvent == 3 && c->solvent_distances[0].length2 == c->solvent_distances[1].length2;
    const int32_t wanted[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    for (int k = 0; shape && k < 3; k++)
        shape = c->solvent_distances[k].atom[0] == wanted[k][0] && c->solvent_distances[k].atom[1] == wanted[k][1];
    if (!shape || top->solvent_mass[1] != top->solvent_mass[2])
        return gd_err_set(err, GD_E_UNSUPPORTED,
                          "CONSTRAINT: NTCS settle needs a solvent of three atoms, 1-2 and 1-3 equally "
                          "long, 2 and 3 of the same mass; use shake or m_shake");
    return 0;
}

int gd_settle_choose(struct gd_constraints *c, struct gd_err *err)
{
    unsigned flags;
    int rc = gd_cpu_allowed(&flags, err);
    c->settle = gd_settle_plain;
#if defined(__x86_64__)
    if (flags & GD_CPU_AVX512)
        c->settle = gd_settle_avx512;
    else if (flags & GD_CPU_AVX2)
        c->settle = gd_settle_avx2;
#endif
    return rc;
}

int64_t gd_settle_solvent(struct gd_md *md, size_t begin, size_t end, gd_mat3 virial, int correct_velocity)
{
    const struct gd_constraints *c = md->constraints;
    const size_t solute = md->top->num_solute_atoms;
    const double heavy = md->top->solvent_mass[0], light = md->top->solvent_mass[1], ratio = 0.5 * heavy / light;
    struct gd_settle t = {
        .heavy = heavy,
        .light = light,
        .rc = 0.5 * sqrt(c->solvent_distances[2].length2),
        .rate = 1.0 / md->par.step.dt,
        .begin = begin,
        .end = end,
        .old_pos = (const gd_vec3 *)md->old_pos + solute,
        .pos = md->pos + solute,
        .force = md->constraint_force + solute,
        .vel = correct_velocity ? md->vel + solute : NULL,
        .virial = virial,
    };
    t.ra = sqrt(c->solvent_distances[0].length2 - t.rc * t.rc) / (1.0 + ratio);
    t.rb = ratio * t.ra;
    return c->settle(&t);
}
