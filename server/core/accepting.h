/* Taking connections without running out of descriptors, for libraries too (accepting.c says how). */
#ifndef GD_CORE_ACCEPTING_H
#define GD_CORE_ACCEPTING_H

#include <stdint.h>

/* Descriptors that no connection gets. What is given to clients otherwise stops sooner (core/descriptors.h), so that whoever wants to
 * delete something can still connect. */
#define GD_ACCEPTING_RESERVE 64

/* Puts one aside. Once, at the start. */
void gd_accepting_prepare(void);

/* Connections that were closed at once. Any thread. */
uint64_t gd_accepting_turned_away(void);

#endif
