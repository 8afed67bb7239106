/* The HDF5 library for several writers in one process: one lock around all of it, its own messages silenced, and the few shapes of
 * attribute and dataset our files use. Only for files of io/ that are built with HDF5 (GD_HAVE_HDF5).
 *
 * Between gd_hdf5_enter and gd_hdf5_leave one thread is inside. The put functions return 0 or -1; the get functions 0, or -1 when the
 * object is missing or not of that shape. */
#ifndef GD_IO_HDF5_STORE_H
#define GD_IO_HDF5_STORE_H

#ifdef GD_HAVE_HDF5

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

void gd_hdf5_enter(void);
void gd_hdf5_leave(void);

/* GD_E_FILE_ACCESS with what and the library's innermost reason. */
int gd_hdf5_fault(const char *path, const char *what, struct gd_err *err);

hid_t gd_hdf5_group(hid_t parent, const char *name); /* new */

/* Attributes. Text is UTF-8 of variable length, which h5py and most readers take for text. n 0: a scalar. */
int gd_hdf5_put_texts(hid_t object, const char *name, const char *const *texts, hsize_t n);
int gd_hdf5_put_text(hid_t object, const char *name, const char *text);
int gd_hdf5_put_int32s(hid_t object, const char *name, const int32_t *values, hsize_t n);
int gd_hdf5_put_int(hid_t object, const char *name, int64_t value);
int gd_hdf5_put_real(hid_t object, const char *name, double value);
int gd_hdf5_get_int(hid_t object, const char *name, int64_t *value);
int gd_hdf5_get_real(hid_t object, const char *name, double *value);
int gd_hdf5_get_text(hid_t object, const char *name, char *out, size_t bytes); /* -1 also when it does not fit */

/* Datasets of fixed size, contiguous. unit NULL: none. */
int gd_hdf5_put_data(hid_t parent, const char *name, hid_t file_type, hid_t memory_type, int rank, const hsize_t *dims, const void *data,
                     const char *unit);
/* Of exactly these dimensions. */
int gd_hdf5_get_data(hid_t parent, const char *name, hid_t memory_type, int rank, const hsize_t *dims, void *out);
/* Length of a dataset of one dimension; -1 when there is none. */
int64_t gd_hdf5_length(hid_t parent, const char *name);

#endif
#endif
