/* Vec3 and Mat3 as C values, shared by vec3.c, mat3.c and values_convert.c.
 *
 * A Vec3 is one 16-byte register: x, y, z and a fourth lane that is always zero. Components are float32. Sums of products (dot, cross,
 * length, matrix products) and scalings are computed in double, where a product of two float32 is exact, and
 * rounded once to float32 where the result is a vector or a matrix; numbers are returned as doubles. No overflow or underflow happens in between.
 * GCC's vector extension is SSE2 on x86-64 and NEON on arm64.
 *
 * Objects are allocated by Python's allocator, whose blocks are aligned to 16 bytes on every 64-bit platform, and are kept in a free
 * list when they end (not in a free-threaded build). All of this needs the GIL. */
#ifndef GROMOS_VALUES_H
#define GROMOS_VALUES_H

#include "ext.h"

#include <stdbool.h>
#include <stdint.h>

typedef float gromos_f4 __attribute__((vector_size(16)));

struct gromos_vec3 {
    PyObject_HEAD gromos_f4 v;
};

/* Column j of the matrix is column[j]. */
struct gromos_mat3 {
    PyObject_HEAD gromos_f4 column[3];
};

extern PyTypeObject gromos_vec3_type;
extern PyTypeObject gromos_mat3_type;

static inline bool gromos_is_vec3(PyObject *object)
{
    return Py_IS_TYPE(object, &gromos_vec3_type);
}

static inline bool gromos_is_mat3(PyObject *object)
{
    return Py_IS_TYPE(object, &gromos_mat3_type);
}

static inline gromos_f4 gromos_vec3_value(PyObject *object)
{
    return ((struct gromos_vec3 *)object)->v;
}

/* New references, or NULL with MemoryError. The fourth lane of v must be zero. */
PyObject *gromos_vec3_new(gromos_f4 v);
PyObject *gromos_mat3_new(const gromos_f4 column[3]);

/* The one reference to an object taken from a free list. Its type is still set: it is static and was never counted. Debug builds of Python
 * keep a list or a count of all objects and want to be told. */
static inline void gromos_revive(PyObject *self)
{
#if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS)
    _Py_NewReference(self);
#else
    Py_SET_REFCNT(self, 1);
#endif
}

/* The double as a Python float; in vec3.c. */
PyObject *gromos_float_new(double value);

static inline gromos_f4 gromos_f4_from(double x, double y, double z)
{
    return (gromos_f4){(float)x, (float)y, (float)z, 0.0f};
}

static inline double gromos_f4_dot(gromos_f4 a, gromos_f4 b)
{
    return (double)a[0] * (double)b[0] + (double)a[1] * (double)b[1] + (double)a[2] * (double)b[2];
}

static inline gromos_f4 gromos_f4_scale(gromos_f4 a, double factor)
{
    return gromos_f4_from((double)a[0] * factor, (double)a[1] * factor, (double)a[2] * factor);
}

static inline gromos_f4 gromos_f4_divide(gromos_f4 a, double divisor)
{
    return gromos_f4_from((double)a[0] / divisor, (double)a[1] / divisor, (double)a[2] / divisor);
}

static inline bool gromos_f4_equal(gromos_f4 a, gromos_f4 b)
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* --- values_convert.c ---------------------------------------------------------------------------------------- */

/* A real number: float, int, NumPy scalar, anything with __float__ or __index__. `what` names it in the TypeError. */
int gromos_number_slow(PyObject *object, const char *what, double *out);

static inline int gromos_number(PyObject *object, const char *what, double *out)
{
    if (PyFloat_CheckExact(object)) {
        *out = PyFloat_AS_DOUBLE(object);
        return 0;
    }
    return gromos_number_slow(object, what, out);
}

/* 1 and *out if the operand of an operator counts as a number (float, int, NumPy real scalar), 0 if not, -1 on error. */
int gromos_operand(PyObject *object, double *out);

/* Fill out[rows][cols] (rows 1: a vector) from anything np.asarray takes, of exactly this shape and of a real type. `what` names it. */
int gromos_floats_from(PyObject *object, const char *what, int rows, float *out);

/* "1.5": the shortest decimal that reads back as this float32. New reference. */
PyObject *gromos_float_repr(float value);

/* Mix the bits of a float32 into a hash; equal numbers (0.0 and -0.0) mix alike. */
static inline uint64_t gromos_hash_mix(uint64_t hash, float value)
{
    union {
        float f;
        uint32_t u;
    } bits = {.f = value == 0.0f ? 0.0f : value};
    hash = (hash ^ bits.u) * 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 29);
}

static inline Py_hash_t gromos_hash_end(uint64_t hash)
{
    Py_hash_t result = (Py_hash_t)(hash ^ (hash >> 32));
    return result == -1 ? -2 : result;
}

/* When one operand is an ndarray: turn the other (a Vec3 or Mat3) into an array and apply the operator, so that `positions + v`
 * is what NumPy makes of it. Returns NotImplemented when neither is an ndarray. */
PyObject *gromos_with_array(PyObject *left, PyObject *right, PyObject *(*operation)(PyObject *, PyObject *));

/* == and != with an ndarray: NumPy's elementwise answer. NotImplemented for other operands or operators. */
PyObject *gromos_compare_array(PyObject *self, PyObject *other, int operation);

#endif
