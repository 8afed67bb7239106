/* Any bytes as a restraint file; the first byte says of which kind. */
#include <stdint.h>
#include <stdlib.h>

#include "io/restraints_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gd_restraints *res = NULL;
    struct gd_messages faults = {0};
    struct gd_err err;
    gd_err_clear(&err);
    if (size == 0 || gd_restraints_create(&res, &err) != 0)
        return 0;
    enum gd_restraints_kind kind = (enum gd_restraints_kind)(data[0] % GD_RESTRAINTS_KINDS);
    int rc = gd_io_read_restraints_memory("fuzz", data + 1, size - 1, kind, res, &faults, &err);
    if (rc == 0)
        gd_restraints_check(res, 1000, &err);
    else if (err.text[0] == '\0')
        abort();
    gd_messages_clear(&faults);
    gd_restraints_destroy(&res);
    return 0;
}
