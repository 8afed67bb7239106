/* Any bytes as a topology: an error, or a topology that can be expanded and passes its own check. */
#include <stdint.h>
#include <stdlib.h>

#include "io/topology_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gd_topology *top = NULL;
    struct gd_messages faults = {0};
    struct gd_err err;
    gd_err_clear(&err);
    int rc = gd_io_read_topology_memory("fuzz", data, size, &top, &faults, &err);
    if (rc != 0 && (top != NULL || err.text[0] == '\0'))
        abort();
    if (rc == 0 && gd_topology_expand(top, top->num_solute_atoms > 0, top->num_solvent_atoms > 0 ? 2 : 0, &err) == 0)
        gd_topology_check(top, &err); /* may refuse what a file can say (a mass of zero), must not fall over it */
    gd_messages_clear(&faults);
    gd_topology_destroy(&top);
    return 0;
}
