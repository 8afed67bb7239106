/* Any bytes as an input file: an error, or parameters that pass their own check. */
#include <stdint.h>
#include <stdlib.h>

#include "io/parameters_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gd_parameters p;
    struct gd_messages faults = {0};
    struct gd_err err;
    gd_err_clear(&err);
    int rc = gd_io_read_parameters_memory("fuzz", data, size, &p, &faults, &err);
    if (rc == 0 ? gd_parameters_check(&p, &err) != 0 : faults.count == 0 && err.text[0] == '\0')
        abort();
    gd_messages_clear(&faults);
    return 0;
}
