#include "core/descriptors.h"

#include "core/accepting.h"

#include <limits.h>
#include <sys/resource.h>

/* For sockets of libzmq and the door, files that are being read or written, and a restart's double ones. */
#define RESERVE 128

static rlim_t soft_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= INT_MAX ? limit.rlim_cur : INT_MAX;
}

int gd_descriptors_prepare(struct gd_err *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (soft_limit() < GD_DESCRIPTORS_NEEDED)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY,
                          "this process may open %llu descriptors and gromosd needs at least %d: raise the limit (ulimit -n, or "
                          "LimitNOFILE= of the unit)",
                          (unsigned long long)soft_limit(), GD_DESCRIPTORS_NEEDED);
    gd_accepting_prepare();
    return 0;
}

int gd_descriptors_check(int fd, struct gd_err *err)
{
    rlim_t limit = soft_limit();
    if ((rlim_t)fd + RESERVE < limit)
        return 0;
    return gd_err_set(err, GD_E_OUT_OF_MEMORY,
                      "the daemon has %d of %llu descriptors open and keeps %d for connections: close or delete States, or raise "
                      "its limit (ulimit -n, or LimitNOFILE= of the unit)",
                      fd, (unsigned long long)limit, RESERVE);
}
