/* Any bytes as a trajectory; the first byte says of which kind. */
#include <stdint.h>
#include <stdlib.h>

#include "io/trajectory_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gd_err err;
    gd_err_clear(&err);
    if (size == 0)
        return 0;
    if (gd_io_check_trajectory_memory("efx"[data[0] % 3], "fuzz", data + 1, size - 1, &err) != 0 && err.text[0] == '\0')
        abort();
    return 0;
}
