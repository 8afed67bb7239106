/* Calls a kernel of the set that fits a dtype. The array comes first, as it does in every kernel. */
#ifndef GD_KERNELS_DISPATCH_H
#define GD_KERNELS_DISPATCH_H

#define GD_CALL(k, dtype, kernel, array, ...) \
    ((dtype) == GD_FLOAT32 ? (k)->f32.kernel((float *)(array), __VA_ARGS__) : (k)->f64.kernel((double *)(array), __VA_ARGS__))

/* The same for kernels with two arrays in front. */
#define GD_CALL2(k, dtype, kernel, array, other, ...)                                         \
    ((dtype) == GD_FLOAT32 ? (k)->f32.kernel((float *)(array), (float *)(other), __VA_ARGS__) \
                           : (k)->f64.kernel((double *)(array), (double *)(other), __VA_ARGS__))

#endif
