/* The factor of stochastic velocity rescaling. Source: Bussi, Donadio and Parrinello, J. Chem. Phys. 126 (2007) 014101,
 * equation A7; the sum of squared normal numbers is drawn as a gamma variate (Marsaglia and Tsang 2000). */
#include "engine/md_internal.h"

/* Gamma variate of shape a >= 1/2 and scale 1. */
static double gamma_variate(struct gd_random *random, double a)
{
    if (a < 1.0) {
        double u = gd_random_uniform(random);
        while (u == 0.0)
            u = gd_random_uniform(random);
        return gamma_variate(random, a + 1.0) * pow(u, 1.0 / a);
    }
    double d = a - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = gd_random_gauss(random, 1.0), v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        double u = gd_random_uniform(random);
        if (u > 0.0 && log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

double gd_bussi_factor(struct gd_random *random, double kinetic, double reference, double dof, double ratio)
{
    if (kinetic <= 0.0)
        return 1.0;
    double c = exp(-ratio);
    double r = gd_random_gauss(random, 1.0);
    double others = dof > 1.0 ? 2.0 * gamma_variate(random, 0.5 * (dof - 1.0)) : 0.0;
    double a = reference / (dof * kinetic) * (1.0 - c);
    double square = c + a * (r * r + others) + 2.0 * r * sqrt(c * a);
    double factor = sqrt(square > 0.0 ? square : 0.0);
    return r + sqrt(c / a) < 0.0 ? -factor : factor;
}
