#include "kernels/grid_build.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* More points than a 32-bit cell start can count, copies included, are not taken. */
#define MAX_POINTS 0x7fffffff

/* The integer part towards minus infinity; |x| below 2^62. */
static inline double floor_of(double x)
{
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1.0 : whole;
}

/* Shifts r into the reduced cell and returns its fractional coordinates, 0 .. 1 within rounding. */
static inline void into_cell(const struct gd_min_image *image, double r[3], double fraction[3])
{
    for (int pass = 0; pass < 24; pass++) { /* a second pass only for what is very far out */
        double n[3];
        int far = 0;
        for (int i = 0; i < 3; i++) {
            double f = r[0] * image->inverse[0][i] + r[1] * image->inverse[1][i] + r[2] * image->inverse[2][i];
            n[i] = fabs(f) < 1e15 ? floor_of(f) : floor(f);
            fraction[i] = f - n[i];
            far |= fabs(n[i]) > 1e6;
        }
        for (int c = 0; c < 3; c++)
            r[c] -= n[0] * image->lattice[0][c] + n[1] * image->lattice[1][c] + n[2] * image->lattice[2][c];
        if (!far)
            return;
    }
}

/* Room for several arrays in one allocation. */
struct layout {
    size_t bytes;
};

static size_t reserve(struct layout *layout, size_t count, size_t size)
{
    size_t at = layout->bytes;
    layout->bytes += (count * size + 63) / 64 * 64; /* count is below 2^31 and size below 2^7 */
    return at;
}

static void *allocate(const struct layout *layout, struct gd_err *err)
{
    void *memory = aligned_alloc(64, layout->bytes > 0 ? layout->bytes : 64);
    if (memory == NULL)
        gd_err_set(err, GD_E_OUT_OF_MEMORY, "the pair search needs %zu bytes of memory that are not there", layout->bytes);
    return memory;
}

/* Which copies a point needs: bit 0 one up along a (it lies near the lower face), bit 1 one down, and so on for b, c. */
static uint8_t copies_needed(const double fraction[3], const double near[3])
{
    unsigned code = 0;
    for (int i = 0; i < 3; i++) {
        code |= (unsigned)(fraction[i] <= near[i]) << (2 * i);
        code |= (unsigned)(fraction[i] >= 1.0 - near[i]) << (2 * i + 1);
    }
    return (uint8_t)code;
}

/* The shifts of a code, in lattice coordinates; the first is no shift. Returns how many. */
static int shifts_of(uint8_t code, signed char shifts[27][3])
{
    static const signed char choice[3] = {0, 1, -1};
    int num = 0;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 3; c++) {
                if ((a && !(code >> (a - 1) & 1)) || (b && !(code >> (b + 1) & 1)) || (c && !(code >> (c + 3) & 1)))
                    continue;
                shifts[num][0] = choice[a];
                shifts[num][1] = choice[b];
                shifts[num++][2] = choice[c];
            }
    return num;
}

/* How many cells, and how wide: y and z so that GD_GRID_REACH rows cover `reach`, x so that a cell holds about a point. */
static void choose_cells(const double extent[3], double reach, size_t points, int32_t cells[3], double width[3])
{
    double limit = (double)points + 64.0;
    double w = reach / GD_GRID_REACH;
    double ny, nz; /* the loop ends: extents are finite (cut_space), w grows */
    for (;; w *= 1.3) {
        ny = floor(extent[1] / w) + 1.0;
        nz = floor(extent[2] / w) + 1.0;
        if (ny * nz <= limit)
            break;
    }
    double finest = floor(extent[0] / (reach / 16.0)) + 1.0;
    double nx = fmin(fmax(1.0, floor((double)points / (ny * nz))), finest);
    cells[0] = (int32_t)nx;
    cells[1] = (int32_t)ny;
    cells[2] = (int32_t)nz;
    width[0] = extent[0] > 0.0 ? extent[0] / nx : 1.0;
    width[1] = width[2] = w;
}

#define SAMPLE 400 /* coordinates looked at to see where most points are */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define REAL float
#define EPSILON ((double)FLT_EPSILON)
#define GRID gd_grid_f32
#define NAME(function) function##_f32
#include "kernels/grid_build_body.h"
#undef REAL
#undef EPSILON
#undef GRID
#undef NAME

#define REAL double
#define EPSILON DBL_EPSILON
#define GRID gd_grid_f64
#define NAME(function) function##_f64
#include "kernels/grid_build_body.h"
#undef REAL
#undef EPSILON
#undef GRID
#undef NAME

int gd_grid_build(struct gd_grid *grid, const struct gd_grid_request *request, struct gd_err *err)
{
    double cutoff = request->cutoff;
    if (!(cutoff > 0.0) || !isfinite(cutoff))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "cutoff is %g nm; it must be positive and finite", cutoff);
    if (cutoff > request->image->half_width * (1.0 + 1e-9))
        return gd_err_set(err, GD_E_INVALID_ARGUMENT,
                          "cutoff %g nm is above %g nm, half the smallest distance between "
                          "an atom and its own image in this box",
                          cutoff, request->image->half_width);
    struct gd_grid built = {.dtype = request->home.dtype};
    int failed = request->home.dtype == GD_FLOAT32 ? build_f32(&built.of.f32, request, built.memory, err)
                                                   : build_f64(&built.of.f64, request, built.memory, err);
    if (failed) {
        gd_grid_free(&built);
        return failed;
    }
    *grid = built;
    return 0;
}

void gd_grid_free(struct gd_grid *grid)
{
    for (int i = 0; i < 2; i++) {
        free(grid->memory[i]);
        grid->memory[i] = NULL;
    }
}
