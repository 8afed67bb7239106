#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Bits of XCR0: the operating system saves SSE and AVX registers; AVX-512 needs mask and upper registers too. */
#define XCR0_AVX 0x06u
#define XCR0_AVX512 0xe6u

static unsigned saved_registers(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

unsigned gd_cpu_detect(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX) || !(c & bit_FMA))
        return 0;
    unsigned saved = saved_registers();
    if ((saved & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
        return 0;
    unsigned needed = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    if ((saved & XCR0_AVX512) != XCR0_AVX512 || (b & needed) != needed)
        return GD_CPU_AVX2;
    return GD_CPU_AVX2 | GD_CPU_AVX512;
}
#else
unsigned gd_cpu_detect(void)
{
    return 0;
}
#endif

int gd_cpu_parse_mask(const char *text, unsigned *mask, struct gd_err *err)
{
    if (text == NULL || *text == '\0' || strcmp(text, "auto") == 0)
        *mask = ~0u;
    else if (strcmp(text, "scalar") == 0)
        *mask = 0;
    else if (strcmp(text, "avx2") == 0)
        *mask = GD_CPU_AVX2;
    else if (strcmp(text, "avx512") == 0)
        *mask = GD_CPU_AVX2 | GD_CPU_AVX512;
    else
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "cpu is \"%.64s\"; it can be auto, scalar, avx2 or avx512", text);
    return 0;
}

const char *gd_cpu_name(unsigned flags)
{
    if (flags & GD_CPU_AVX512)
        return "avx512";
    return flags & GD_CPU_AVX2 ? "avx2" : "scalar";
}

int gd_cpu_allowed(unsigned *flags, struct gd_err *err)
{
    unsigned mask = 0;
    int code = gd_cpu_parse_mask(getenv("GROMOSD_CPU"), &mask, err);
    *flags = gd_cpu_detect() & mask;
    return code;
}
