/* Loops over numbers: is every one finite (finite.c), arrays overwritten with the check on the way (overwrite.c). No Python, no GIL.
 * Plain C that the compiler vectorises; on x86-64 it makes one version for each level of the instruction set and the dynamic linker
 * chooses. */
#ifndef GD_EXT_NUMBERS_H
#define GD_EXT_NUMBERS_H

#include "proto/gd_undo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GLIBC__) && (!defined(__clang__) || __clang_major__ >= 14) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#ifdef __clang__
#define GD_VARIANTS __attribute__((target_clones("avx2", "default")))
#else
#define GD_VARIANTS __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#endif
#else
#define GD_VARIANTS
#endif

/* ---- finite.c: whether every number is finite (and, for the second, within the range of float32) */
bool gd_finite_f32(const float *numbers, size_t count);
bool gd_finite_f64_as_f32(const double *numbers, size_t count);
bool gd_finite_f64(const double *numbers, size_t count);

/* ---- overwrite.c */
enum gd_numbers { GD_F32, GD_F64, GD_F64_TO_F32, GD_F32_TO_F64 };

/* An array that is overwritten as a whole. */
struct gd_overwrite {
    enum gd_numbers numbers;
    size_t count;
    void *out;                    /* at a cache line */
    const void *in;               /* aligned for its numbers */
    void *undo;                   /* where the old content is kept while it goes, at a cache line; NULL: it stands elsewhere */
    _Atomic uint64_t *undo_bytes; /* with undo: how far it is kept, 0 at the start */
};

bool gd_overwrite_fits(const struct gd_overwrite *what); /* whether every number of `in` is finite and fits; writes nothing */
/* False when a number does not fit: then an unknown part is overwritten, with undo at most the first *undo_bytes bytes. */
bool gd_overwrite(const struct gd_overwrite *what);

/* memcpy that goes past the caches when the array is long; `out` at a cache line. */
void gd_copy_long(void *out, const void *in, size_t bytes);

#endif
