#include "service/job_record.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES (8u << 20)
#define MIN_ROWS 64

void gd_job_record_init(struct gd_job_record *record, size_t num_energies)
{
    *record = (struct gd_job_record){.width = num_energies + 2};
    record->capacity = RECORD_BYTES / (record->width * sizeof(double));
    if (record->capacity < MIN_ROWS)
        record->capacity = MIN_ROWS;
    record->rows = calloc(record->capacity, record->width * sizeof(double)); /* pages come as rows do */
    if (record->rows == NULL)
        record->capacity = 0;
}

size_t gd_job_record_bytes(size_t num_energies, uint64_t rows)
{
    size_t row = (num_energies + 2) * sizeof(double), most = RECORD_BYTES > MIN_ROWS * row ? RECORD_BYTES : MIN_ROWS * row;
    return rows < most / row ? (size_t)rows * row : most;
}

void gd_job_record_clear(struct gd_job_record *record)
{
    free(record->rows);
    record->rows = NULL;
    record->capacity = 0;
}

static double *row(const struct gd_job_record *record, uint64_t number)
{
    return record->rows + (size_t)(number % record->capacity) * record->width;
}

void gd_job_record_put(struct gd_job_record *record, int64_t step, double time, const double *energies)
{
    if (record->capacity == 0 || (record->count > 0 && row(record, record->count - 1)[0] == (double)step))
        return;
    double *to = row(record, record->count++);
    to[0] = (double)step;
    to[1] = time;
    memcpy(to + 2, energies, (record->width - 2) * sizeof(double));
}

uint64_t gd_job_record_first(const struct gd_job_record *record, uint64_t after, size_t *left)
{
    uint64_t oldest = record->count > record->capacity ? record->count - record->capacity : 0;
    uint64_t first = after < oldest ? oldest : after;
    *left = first < record->count ? (size_t)(record->count - first) : 0;
    return first;
}

void gd_job_record_copy(const struct gd_job_record *record, uint64_t first, size_t rows, double *out)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * record->width, row(record, first + i), record->width * sizeof(double));
}
