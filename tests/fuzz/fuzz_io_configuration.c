/* Any bytes as a coordinate file: an error, or a configuration that passes its own check and can be written. */
#include <stdint.h>
#include <stdlib.h>

#include "io/configuration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gd_configuration *conf = NULL;
    struct gd_messages notes = {0};
    struct gd_err err;
    gd_err_clear(&err);
    int rc = gd_io_read_configuration_memory("fuzz", data, size, &conf, &notes, &err);
    if (rc == 0 && gd_configuration_check(conf, &err) != 0)
        abort();
    if (rc != 0 && (conf != NULL || err.text[0] == '\0'))
        abort();
    gd_messages_clear(&notes);
    gd_configuration_destroy(&conf);
    return 0;
}
