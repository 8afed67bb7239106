/* Energies of a job's published steps, the newest ones up to a fixed amount of memory: frames go by in a ring, and who collects
 * energies of a fast run would miss most of them. Not thread-safe: the job's mutex guards it. */
#ifndef GD_SERVICE_JOB_RECORD_H
#define GD_SERVICE_JOB_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct gd_job_record {
    double *rows;           /* [capacity][width]: step, time, energies; NULL: nothing is kept */
    size_t width, capacity; /* row i stands in place i % capacity */
    uint64_t count;         /* of all rows ever put */
};

/* Without memory nothing is kept; a job runs without it. */
void gd_job_record_init(struct gd_job_record *record, size_t num_energies);
/* What the energies of so many published steps take at most. */
size_t gd_job_record_bytes(size_t num_energies, uint64_t rows);
void gd_job_record_clear(struct gd_job_record *record);

/* No second row for the step of the last one. */
void gd_job_record_put(struct gd_job_record *record, int64_t step, double time, const double *energies);

/* Number of the oldest row at or after `after` that is still there, and how many follow from it. */
uint64_t gd_job_record_first(const struct gd_job_record *record, uint64_t after, size_t *left);
void gd_job_record_copy(const struct gd_job_record *record, uint64_t first, size_t rows, double *out);

#endif
