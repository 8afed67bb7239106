/* What a job says of itself in its log: its input at the start, how it goes, how it ended. */
#include "core/box.h"
#include "service/job_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void gd_job_say(struct gd_job *job, enum gd_job_line_level level, const char *format, ...)
{
    char text[GD_ERR_TEXT + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&job->mutex);
    uint64_t before = job->log.count;
    gd_job_log_put(&job->log, level, text);
    for (uint64_t n = before; n < job->log.count; n++)
        gd_job_kept_put_line(job->kept, gd_job_log_line(&job->log, n));
    pthread_mutex_unlock(&job->mutex);
}

#define SAY(...) gd_job_say(job, GD_JOB_LINE_INFO, __VA_ARGS__)

static void say_system(struct gd_job *job, const struct gd_md *md)
{
    const struct gd_topology *top = gd_md_topology(md);
    static const char *const kinds[] = {"vacuum", "a rectangular box", "a triclinic box", "a truncated octahedron"};
    const struct gd_box *box = gd_md_box(md);
    const char *kind = box->kind >= 0 && box->kind < 4 ? kinds[box->kind] : "a box";
    SAY("%zu atoms, %zu of solute and %zu solvent molecules of %zu, in %s of %.6g nm^3", top->num_atoms, top->num_solute_atoms,
        top->num_solvent_molecules, top->num_solvent_atoms, kind, gd_box_volume(box));
}

static void say_method(struct gd_job *job, const struct gd_md *md)
{
    const struct gd_parameters *p = gd_md_parameters(md);
    static const char *const minimisers[] = {"", "steepest descent", "Fletcher-Reeves conjugate gradients",
                                             "Polak-Ribiere conjugate gradients"};
    const char *method = p->minimise.ntem != GD_MINIMISE_OFF              ? minimisers[p->minimise.ntem]
                         : p->stochastic.ntsd != 0                        ? "stochastic dynamics"
                         : p->integrator == GD_INTEGRATOR_VELOCITY_VERLET ? "velocity Verlet"
                                                                          : "leap-frog";
    SAY("%lld steps of %g ps by %s, threads %d, scheme %s, precision %s, cutoffs %g and %g nm", (long long)job->spec.steps, p->step.dt,
        method, job->spec.threads, p->pairlist.scheme == GD_SCHEME_VERLET ? "verlet" : "chargegroup",
        p->precision == GD_PRECISION_FLOAT32 ? "float32" : "float64", p->pairlist.rcutp, p->pairlist.rcutl);
    static const char *const ntc[] = {"nothing", "solvent", "solvent and bonds with hydrogen", "solvent and bonds",
                                      "solvent and listed distances"};
    static const char *const algorithms[] = {"off", "shake", "lincs", "flexshake", "settle", "m_shake"};
    SAY("rigid: %s; solute %s, solvent %s", ntc[p->constraint.ntc], p->constraint.ntc > 1 ? algorithms[p->constraint.solute] : "off",
        algorithms[p->constraint.solvent]);
}

static void say_coupling(struct gd_job *job, const struct gd_md *md)
{
    const struct gd_parameters *p = gd_md_parameters(md);
    static const char *const thermostats[] = {"weak coupling", "Nose-Hoover", "Nose-Hoover chains", "stochastic velocity rescaling"};
    for (size_t b = 0; b < gd_md_num_baths(md); b++) {
        const struct gd_md_bath *bath = gd_md_bath(md, b);
        if (p->multibath.thermostat == GD_THERMOSTAT_NONE || bath->tau == -1.0)
            SAY("bath %zu: not coupled, %g degrees of freedom", b + 1, bath->dof);
        else
            SAY("bath %zu: %g K by %s, tau %g ps, %g degrees of freedom", b + 1, bath->reference, thermostats[p->multibath.thermostat],
                bath->tau, bath->dof);
    }
    static const char *const barostats[] = {"weak coupling", "stochastic cell rescaling", "Parrinello-Rahman"};
    static const char *const scales[] = {"off", "isotropic", "anisotropic", "full", "semianisotropic"};
    if (p->pressure.couple == GD_PRESSURE_SCALE)
        SAY("pressure: %g kJ mol^-1 nm^-3 by %s, %s, tau %g ps, %s virial", p->pressure.reference[0][0], barostats[p->pressure.barostat],
            scales[p->pressure.scale], p->pressure.tau, p->pressure.virial == GD_VIRIAL_ATOMIC ? "atomic" : "molecular");
}

static void say_files(struct gd_job *job)
{
    static const char *const names[GD_MD_FILES] = {"positions", "velocities", "forces",
                                                   "energies",  "restraints", "the final configuration"};
    for (int k = 0; k < GD_MD_FILES; k++)
        if (job->spec.path[k] != NULL && job->spec.path[k][0] != '\0')
            SAY("writes %s to %s", names[k], job->spec.path[k]);
    SAY("a frame every %lld steps", (long long)job->spec.publish_every);
}

void gd_job_say_start(struct gd_job *job, int continues)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    const char *title = gd_md_parameters(md)->title;
    if (title[0] != '\0')
        SAY("%s", title);
    say_system(job, md);
    say_method(job, md);
    say_coupling(job, md);
    say_files(job);
    SAY("begins at step %lld, %g ps%s", (long long)(job->step_base + gd_md_step_number(md)), gd_md_time(md),
        continues ? ", bit for bit where the last run on this State ended" : "");
}

void gd_job_say_rate(struct gd_job *job)
{
    const struct gd_md *md = gd_md_run_engine(job->run);
    const struct gd_md_energies *e = gd_md_energies(md);
    double dof = 0.0;
    for (size_t b = 0; b < gd_md_num_baths(md); b++)
        dof += gd_md_bath(md, b)->dof;
    pthread_mutex_lock(&job->mutex);
    const struct gd_job_progress progress = job->progress;
    pthread_mutex_unlock(&job->mutex);
    SAY("step %lld of %lld, %g ps: %.3g ns/day, total %.8g kJ/mol, %.4g K", (long long)progress.step, (long long)job->spec.steps,
        progress.time, progress.steps_per_second * progress.timestep * 86.4, e->total,
        dof > 0.0 ? 2.0 * e->kinetic / (gd_md_topology(md)->boltzmann * dof) : 0.0);
}

void gd_job_say_end(struct gd_job *job)
{
    const struct gd_job_progress *progress = &job->progress;
    double all = 0.0;
    for (int k = 0; k < GD_MD_PHASES; k++)
        all += progress->phase[k];
    int64_t steps = progress->step - progress->begun;
    if (progress->elapsed > 0.0)
        SAY("%lld steps in %.3g s of computing: %.3g ns/day", (long long)steps, progress->elapsed,
            (double)steps / progress->elapsed * progress->timestep * 86.4);
    char parts[256] = "";
    size_t used = 0;
    for (int k = 0; k < GD_MD_PHASES && all > 0.0; k++)
        used += (size_t)snprintf(parts + used, sizeof parts - used, "%s%s %.0f %%", k == 0 ? "" : ", ",
                                 gd_md_phase_name((enum gd_md_phase)k), 100.0 * progress->phase[k] / all);
    if (used > 0)
        SAY("time: %s", parts);
    if (job->status == GD_JOB_FAILED)
        gd_job_say(job, GD_JOB_LINE_ERROR, "failed: %s", job->message);
    else
        gd_job_say(job, job->status == GD_JOB_CANCELLED ? GD_JOB_LINE_WARNING : GD_JOB_LINE_INFO, "%s after %lld of %lld steps",
                   gd_job_status_name(job->status), (long long)progress->step, (long long)job->spec.steps);
}
