/* What a job tells of itself: the fields of job.describe. Loop thread. */
#include "service/job_internal.h"
#include "service/request.h"
#include "service/results.h"

#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {"queued", "running", "paused", "done", "failed", "cancelled"};

const char *gd_job_status_name(enum gd_job_status status)
{
    return status_names[status];
}

static double left(const struct gd_job *job, const struct gd_job_progress *progress)
{
    if (job->status >= GD_JOB_DONE)
        return 0.0;
    if (progress->steps_per_second <= 0.0)
        return -1.0;
    return (double)(job->spec.steps - progress->step) / progress->steps_per_second;
}

#define JOB_FIELDS 14

static void pack_fields(struct gd_job *job, msgpack_packer *p)
{
    pthread_mutex_lock(&job->mutex);
    struct gd_job_progress progress = job->progress;
    double *energies = malloc(job->num_energies * sizeof *energies);
    if (energies != NULL)
        memcpy(energies, job->energies, job->num_energies * sizeof *energies);
    pthread_mutex_unlock(&job->mutex);
    gd_pack_str(p, "job");
    msgpack_pack_uint64(p, job->number);
    gd_pack_str(p, "state");
    msgpack_pack_bin(p, 16);
    msgpack_pack_bin_body(p, job->uuid, 16);
    gd_pack_str(p, "state_name");
    gd_pack_str(p, job->name);
    gd_pack_str(p, "status");
    gd_pack_str(p, gd_job_status_name(job->status));
    gd_pack_str(p, "step");
    msgpack_pack_int64(p, progress.step);
    gd_pack_str(p, "steps");
    msgpack_pack_int64(p, job->spec.steps);
    gd_pack_str(p, "time");
    msgpack_pack_double(p, progress.time);
    gd_pack_str(p, "elapsed");
    msgpack_pack_double(p, progress.elapsed);
    gd_pack_str(p, "ns_per_day");
    msgpack_pack_double(p, progress.steps_per_second * progress.timestep * 86.4);
    gd_pack_str(p, "left");
    msgpack_pack_double(p, left(job, &progress));
    gd_pack_str(p, "message");
    gd_pack_str(p, job->message);
    gd_pack_str(p, "threads");
    msgpack_pack_int(p, job->spec.threads);
    gd_pack_str(p, "energies");
    gd_pack_reals(p, energies, energies != NULL ? job->num_energies : 0);
    gd_pack_str(p, "phases");
    msgpack_pack_map(p, GD_MD_PHASES);
    for (int k = 0; k < GD_MD_PHASES; k++) {
        gd_pack_str(p, gd_md_phase_name((enum gd_md_phase)k));
        msgpack_pack_double(p, progress.phase[k]);
    }
    free(energies);
}

void gd_job_pack(struct gd_job *job, msgpack_packer *packer)
{
    msgpack_pack_map(packer, JOB_FIELDS);
    pack_fields(job, packer);
}

void gd_job_reply(struct gd_job *job, struct gd_request *request)
{
    pack_fields(job, &request->reply.packer);
    request->reply.fields += JOB_FIELDS;
}

int gd_job_reply_energies(struct gd_job *job, struct gd_request *request, uint64_t after, size_t limit, struct gd_err *err)
{
    struct gd_result_buffer buffer;
    size_t rows, width = job->record.width;
    pthread_mutex_lock(&job->mutex);
    uint64_t first = gd_job_record_first(&job->record, after, &rows), count = job->record.count;
    if (rows > limit)
        rows = limit;
    int code = gd_result_allocate(&buffer, request, rows * width * sizeof(double), err);
    if (code == 0)
        gd_job_record_copy(&job->record, first, rows, buffer.data);
    pthread_mutex_unlock(&job->mutex);
    if (code != 0)
        return code;
    const struct gd_result_array array = {"rows", GD_ELEMENT_F8, 2, {rows, width}, 0};
    gd_reply_int(&request->reply, "first", (int64_t)first);
    gd_reply_int(&request->reply, "count", (int64_t)count);
    gd_result_reply(request, &buffer, &array, 1);
    return 0;
}

static void pack_line(msgpack_packer *p, const struct gd_job_line *line)
{
    msgpack_pack_map(p, 3);
    gd_pack_str(p, "time");
    msgpack_pack_double(p, line->time);
    gd_pack_str(p, "level");
    gd_pack_str(p, gd_job_line_level_name(line->level));
    gd_pack_str(p, "text");
    gd_pack_str(p, line->text);
}

void gd_job_reply_log(struct gd_job *job, struct gd_request *request, uint64_t after, size_t limit)
{
    pthread_mutex_lock(&job->mutex);
    uint64_t first = gd_job_log_first(&job->log, after), last = first;
    while (last < job->log.count && last - first < limit && gd_job_log_line(&job->log, last) != NULL)
        last++;
    gd_reply_int(&request->reply, "first", (int64_t)first);
    gd_reply_int(&request->reply, "count", (int64_t)job->log.count);
    gd_reply_list(&request->reply, "lines", (size_t)(last - first));
    for (uint64_t n = first; n < last; n++)
        pack_line(&request->reply.packer, gd_job_log_line(&job->log, n));
    pthread_mutex_unlock(&job->mutex);
}

void gd_jobs_pack_all(struct gd_jobs *jobs, struct gd_request *request)
{
    size_t count = 0;
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next)
        count++;
    gd_reply_list(&request->reply, "jobs", count);
    for (struct gd_job *job = jobs->first; job != NULL; job = job->next)
        gd_job_pack(job, &request->reply.packer);
}
