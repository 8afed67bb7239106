/* What every source file of the extension gromos._ext begins with, and the list of its parts.
 *
 * The module is initialised once per process (single phase), its types are static, and it relies on the GIL: a free-threaded
 * interpreter switches the GIL on when it loads it. Each part adds its types to the module in one function listed
 * below; to add a part, declare its function here and name it in module.c. */
#ifndef GROMOS_EXT_H
#define GROMOS_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL gromos_ext_numpy_api
#ifndef GROMOS_EXT_MODULE /* module.c alone loads NumPy's table */
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

/* Each returns 0, or -1 with a Python exception set. */
int gromos_add_vec3(PyObject *module);
int gromos_add_mat3(PyObject *module);
int gromos_add_mapping(PyObject *module);
int gromos_add_request(PyObject *module);
int gromos_add_reply(PyObject *module);
int gromos_add_call(PyObject *module);

#endif
