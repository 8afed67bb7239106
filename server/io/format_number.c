/* gd_format_fixed of output.h. printf costs about as much as the rest of writing a frame; nearly every coordinate can be
 * split exactly into integer and fraction instead, and the few that are too close to a tie to tell go to printf. */
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "io/output.h"

static size_t by_printf(char *out, double value, int width, int decimals)
{
    char text[GD_FIXED_MAX];
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = plain == (locale_t)0 ? (locale_t)0 : uselocale(plain);
    int n = snprintf(text, sizeof text, "%*.*f", width, decimals, value);
    if (plain != (locale_t)0) {
        uselocale(before);
        freelocale(plain);
    }
    size_t length = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    memcpy(out, text, length);
    return length;
}

/* |value| = whole + fraction exactly; scaled = round(fraction * 10^decimals), ties excluded. False when printf must tell. */
static bool split(double magnitude, int decimals, unsigned long long *whole, unsigned long long *scaled)
{
    static const double power[16] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (!(magnitude < 1e15))
        return false;
    *whole = (unsigned long long)magnitude;
    double fraction = magnitude - (double)*whole;
    double product = fraction * power[decimals];
    double error = fma(fraction, power[decimals], -product); /* product + error is exact */
    *scaled = (unsigned long long)product;
    double rest = (product - (double)*scaled) + error;
    if (rest < 0.0 || fabs(rest - 0.5) < 1e-3 || rest >= 1.0)
        return false;
    if (rest > 0.5)
        (*scaled)++;
    if ((double)*scaled >= power[decimals]) {
        *scaled = 0;
        (*whole)++;
    }
    return true;
}

size_t gd_format_fixed(char out[GD_FIXED_MAX], double value, int width, int decimals)
{
    unsigned long long whole, scaled;
    char text[64];
    if (decimals < 0 || decimals > 15 || width > 40 || !split(fabs(value), decimals, &whole, &scaled))
        return by_printf(out, value, width, decimals < 0 ? 0 : decimals);
    size_t at = sizeof text;
    if (decimals > 0) {
        for (int i = 0; i < decimals; i++, scaled /= 10)
            text[--at] = (char)('0' + scaled % 10);
        text[--at] = '.';
    }
    do
        text[--at] = (char)('0' + whole % 10);
    while ((whole /= 10) != 0);
    if (signbit(value))
        text[--at] = '-';
    while (sizeof text - at < (size_t)(width < 0 ? 0 : width))
        text[--at] = ' ';
    memcpy(out, text + at, sizeof text - at);
    return sizeof text - at;
}
