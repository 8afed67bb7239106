/* The module gromos._ext: loads NumPy's C interface and adds the parts in order. */
#define GROMOS_EXT_MODULE
#include "ext.h"

static int (*const parts[])(PyObject *module) = {
    gromos_add_vec3, gromos_add_mat3, gromos_add_mapping, gromos_add_request, gromos_add_reply, gromos_add_call,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "gromos._ext",
    .m_doc = "Compiled part of gromos: small vectors and local memory. Use the names of the package gromos.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__ext(void);

PyMODINIT_FUNC PyInit__ext(void)
{
    import_array();
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i](module) < 0) {
            Py_DECREF(module);
            return NULL;
        }
    }
    return module;
}
