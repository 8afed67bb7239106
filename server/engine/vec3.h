/* Three doubles and what the engine does with them. Everything inline, no state. */
#ifndef GD_ENGINE_VEC3_H
#define GD_ENGINE_VEC3_H

#include <math.h>
#include <string.h>

#define GD_PI 3.14159265358979323846

typedef double gd_vec3[3];
typedef double gd_mat3[3][3];

static inline void gd_vec3_sub(const double a[3], const double b[3], double out[3])
{
    out[0] = a[0] - b[0];
    out[1] = a[1] - b[1];
    out[2] = a[2] - b[2];
}

static inline double gd_vec3_dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static inline double gd_vec3_norm2(const double a[3])
{
    return gd_vec3_dot(a, a);
}

static inline double gd_vec3_norm(const double a[3])
{
    return sqrt(gd_vec3_dot(a, a));
}

static inline void gd_vec3_cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

/* a += s b */
static inline void gd_vec3_add_scaled(double a[3], double s, const double b[3])
{
    a[0] += s * b[0];
    a[1] += s * b[1];
    a[2] += s * b[2];
}

static inline void gd_vec3_copy(double to[3], const double from[3])
{
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
}

/* t[a][b] += s u[a] v[b] */
static inline void gd_mat3_add_outer(double t[3][3], double s, const double u[3], const double v[3])
{
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            t[a][b] += s * u[a] * v[b];
}

static inline void gd_mat3_zero(double t[3][3])
{
    memset(t, 0, sizeof(gd_mat3));
}

static inline double gd_mat3_determinant(const double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* Inverse through the adjugate; the caller has checked the determinant. */
static inline void gd_mat3_inverse(const double m[3][3], double out[3][3])
{
    double d = 1.0 / gd_mat3_determinant(m);
    out[0][0] = d * (m[1][1] * m[2][2] - m[1][2] * m[2][1]);
    out[0][1] = d * (m[0][2] * m[2][1] - m[0][1] * m[2][2]);
    out[0][2] = d * (m[0][1] * m[1][2] - m[0][2] * m[1][1]);
    out[1][0] = d * (m[1][2] * m[2][0] - m[1][0] * m[2][2]);
    out[1][1] = d * (m[0][0] * m[2][2] - m[0][2] * m[2][0]);
    out[1][2] = d * (m[0][2] * m[1][0] - m[0][0] * m[1][2]);
    out[2][0] = d * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    out[2][1] = d * (m[0][1] * m[2][0] - m[0][0] * m[2][1]);
    out[2][2] = d * (m[0][0] * m[1][1] - m[0][1] * m[1][0]);
}

static inline void gd_mat3_mul_vec(const double m[3][3], const double v[3], double out[3])
{
    double r[3];
    for (int a = 0; a < 3; a++)
        r[a] = m[a][0] * v[0] + m[a][1] * v[1] + m[a][2] * v[2];
    gd_vec3_copy(out, r);
}

#endif
