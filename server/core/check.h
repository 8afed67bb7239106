/* Broken invariants stop the process, in release builds too: GD_CHECK for what costs nothing, GD_DEBUG_CHECK for what is
 * worth checking only in debug builds (-DGD_DEBUG). What a client may cause is never a check but an error reply.
 *
 * Heap objects that travel through callbacks as `void *` start with a magic word: GD_MAGIC_CHECK(object, GD_X_MAGIC). */
#ifndef GD_CORE_CHECK_H
#define GD_CORE_CHECK_H

_Noreturn void gd_check_failed(const char *what, const char *file, int line, const char *function);

#define GD_CHECK(condition)                                            \
    do {                                                               \
        if (__builtin_expect(!(condition), 0))                         \
            gd_check_failed(#condition, __FILE__, __LINE__, __func__); \
    } while (0)

#ifdef GD_DEBUG
#define GD_DEBUG_CHECK(condition) GD_CHECK(condition)
#else
#define GD_DEBUG_CHECK(condition) ((void)0)
#endif

#define GD_MAGIC_CHECK(object, word) GD_CHECK((object) != NULL && (object)->magic == (word))

#endif
