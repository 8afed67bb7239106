#include "core/check.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void gd_check_failed(const char *what, const char *file, int line, const char *function)
{
    fprintf(stderr, "gromosd: broken invariant: %s\n  at %s:%d in %s\n", what, file, line, function);
    void *frames[64];
    int depth = backtrace(frames, 64);
    backtrace_symbols_fd(frames, depth, STDERR_FILENO);
    abort();
}
