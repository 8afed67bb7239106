/* Any bytes as a checkpoint file: an error with a text, unless they are a whole checkpoint. Any bytes as a packed configuration: an error,
 * or one that packs to something that reads back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/configuration_pack.h"
#include "io/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_file(const uint8_t *data, size_t size)
{
    char path[64];
    struct gd_state *state = NULL;
    struct gd_err err = {0};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (gd_checkpoint_read(&state, path, NULL, 1, 0, &err) != 0 && (state != NULL || err.text[0] == '\0'))
        abort();
    gd_state_unref(&state);
    close(fd);
}

static void as_configuration(const uint8_t *data, size_t size)
{
    struct gd_configuration *conf = NULL, *again = NULL;
    struct gd_err err = {0};
    int code = gd_configuration_unpack(&conf, data, size, &err);
    if (code != 0) {
        if (conf != NULL || err.text[0] == '\0')
            abort();
        return;
    }
    size_t bytes = gd_configuration_packed_bytes(conf);
    void *packed = malloc(bytes);
    if (packed == NULL)
        abort();
    gd_configuration_pack(conf, packed);
    if (gd_configuration_unpack(&again, packed, bytes, &err) != 0 || again->num_atoms != conf->num_atoms)
        abort();
    free(packed);
    gd_configuration_destroy(&again);
    gd_configuration_destroy(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_file(data, size);
    as_configuration(data, size);
    return 0;
}
