/* Where the small example files of the io tests lie (tests/unit/data), and a
 * scratch folder. */
#ifndef GD_TESTS_IO_DATA_H
#define GD_TESTS_IO_DATA_H

#include <stddef.h>

/* Path of an example file; static storage, overwritten by the next call. It follows from where this was compiled: the test
 * program is started where it was built. */
const char *io_data_path(const char *name);

/* The whole file, terminated; to be freed. Ends the test when it cannot be read. */
char *io_data_read(const char *path, size_t *size);
void io_data_write(const char *path, const void *data, size_t size);

/* A path in a fresh folder of this process, removed at exit; static storage, one per slot 0 to 3. */
const char *io_scratch(int slot, const char *name);

#endif
