#include "io/hdf5_store.h"

#ifdef GD_HAVE_HDF5

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* HDF5 keeps global state; Debian's build locks it, others do not. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

/* At the process's end the library would close what is still open, among it files that could not be closed because the disk was full, and
 * fall over them. What matters is closed by us. */
static void begin(void)
{
    H5dont_atexit();
}

void gd_hdf5_enter(void)
{
    static pthread_once_t begun = PTHREAD_ONCE_INIT;
    pthread_once(&begun, begin);
    pthread_mutex_lock(&library_lock);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* faults are reported by us, not printed by the library */
}

void gd_hdf5_leave(void)
{
    pthread_mutex_unlock(&library_lock);
}

#define WHY_BYTES 200

/* The innermost entry. Where the system refused, the library's words are a line of its own with time, path and number: the number says it. */
static herr_t keep_first(unsigned n, const H5E_error2_t *entry, void *out)
{
    const char *words = entry->desc == NULL ? "" : entry->desc, *number = strstr(words, "errno = ");
    if (n == 0)
        snprintf(out, WHY_BYTES, "%s", number == NULL ? words : strerror(atoi(number + strlen("errno = "))));
    return 0;
}

int gd_hdf5_fault(const char *path, const char *what, struct gd_err *err)
{
    char why[WHY_BYTES] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, why);
    return gd_err_set(err, GD_E_FILE_ACCESS, "%s: %s (%s)", path, what, why);
}

hid_t gd_hdf5_group(hid_t parent, const char *name)
{
    return H5Gcreate2(parent, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
}

/* ---- attributes ---- */

static int put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *data, hsize_t n)
{
    hid_t space = n == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, NULL);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    int ok = attribute >= 0 && H5Awrite(attribute, memory_type, data) >= 0;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return ok ? 0 : -1;
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

int gd_hdf5_put_texts(hid_t object, const char *name, const char *const *texts, hsize_t n)
{
    hid_t type = text_type();
    int code = put_attribute(object, name, type, type, texts, n);
    H5Tclose(type);
    return code;
}

int gd_hdf5_put_text(hid_t object, const char *name, const char *text)
{
    return gd_hdf5_put_texts(object, name, &text, 0);
}

int gd_hdf5_put_int32s(hid_t object, const char *name, const int32_t *values, hsize_t n)
{
    return put_attribute(object, name, H5T_STD_I32LE, H5T_NATIVE_INT32, values, n);
}

int gd_hdf5_put_int(hid_t object, const char *name, int64_t value)
{
    return put_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, 0);
}

int gd_hdf5_put_real(hid_t object, const char *name, double value)
{
    return put_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, 0);
}

/* An open scalar attribute of this class, or -1. */
static hid_t open_scalar(hid_t object, const char *name, H5T_class_t wanted)
{
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return -1;
    hid_t space = H5Aget_space(attribute), type = H5Aget_type(attribute);
    int fits = H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(type) == wanted;
    H5Tclose(type);
    H5Sclose(space);
    if (fits)
        return attribute;
    H5Aclose(attribute);
    return -1;
}

static int get_attribute(hid_t object, const char *name, H5T_class_t wanted, hid_t memory_type, void *out)
{
    hid_t attribute = open_scalar(object, name, wanted);
    if (attribute < 0)
        return -1;
    int ok = H5Aread(attribute, memory_type, out) >= 0;
    H5Aclose(attribute);
    return ok ? 0 : -1;
}

int gd_hdf5_get_int(hid_t object, const char *name, int64_t *value)
{
    return get_attribute(object, name, H5T_INTEGER, H5T_NATIVE_INT64, value);
}

int gd_hdf5_get_real(hid_t object, const char *name, double *value)
{
    return get_attribute(object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, value);
}

int gd_hdf5_get_text(hid_t object, const char *name, char *out, size_t bytes)
{
    char *text = NULL;
    hid_t attribute = open_scalar(object, name, H5T_STRING);
    if (attribute < 0)
        return -1;
    hid_t stored = H5Aget_type(attribute), type = text_type();
    int ok = H5Tis_variable_str(stored) > 0 && H5Aread(attribute, type, &text) >= 0 && text != NULL && strlen(text) < bytes;
    if (ok)
        memcpy(out, text, strlen(text) + 1);
    if (text != NULL)
        H5free_memory(text);
    H5Tclose(type);
    H5Tclose(stored);
    H5Aclose(attribute);
    return ok ? 0 : -1;
}

/* ---- datasets ---- */

int gd_hdf5_put_data(hid_t parent, const char *name, hid_t file_type, hid_t memory_type, int rank, const hsize_t *dims, const void *data,
                     const char *unit)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = space < 0 ? -1 : H5Dcreate2(parent, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int ok = set >= 0 && H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0 &&
             (unit == NULL || gd_hdf5_put_text(set, "unit", unit) == 0);
    if (set >= 0)
        H5Dclose(set);
    if (space >= 0)
        H5Sclose(space);
    return ok ? 0 : -1;
}

static int has_dims(hid_t set, int rank, const hsize_t *dims)
{
    hsize_t found[4] = {0};
    hid_t space = H5Dget_space(set);
    int same = space >= 0 && H5Sget_simple_extent_ndims(space) == rank && H5Sget_simple_extent_dims(space, found, NULL) == rank;
    for (int k = 0; same && k < rank; k++)
        same = found[k] == dims[k];
    if (space >= 0)
        H5Sclose(space);
    return same;
}

int gd_hdf5_get_data(hid_t parent, const char *name, hid_t memory_type, int rank, const hsize_t *dims, void *out)
{
    hid_t set = H5Dopen2(parent, name, H5P_DEFAULT);
    if (set < 0)
        return -1;
    int ok = has_dims(set, rank, dims) && H5Dread(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
    H5Dclose(set);
    return ok ? 0 : -1;
}

int64_t gd_hdf5_length(hid_t parent, const char *name)
{
    hsize_t length = 0;
    if (H5Lexists(parent, name, H5P_DEFAULT) <= 0)
        return -1;
    hid_t set = H5Dopen2(parent, name, H5P_DEFAULT);
    if (set < 0)
        return -1;
    hid_t space = H5Dget_space(set);
    int one = space >= 0 && H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &length, NULL) == 1;
    if (space >= 0)
        H5Sclose(space);
    H5Dclose(set);
    return one && length <= (hsize_t)INT64_MAX ? (int64_t)length : -1;
}

#endif

typedef int gd_hdf5_store_is_not_empty; /* without HDF5 the file would be */
