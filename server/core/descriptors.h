/* How many descriptors this process may still open.
 *
 * A State needs about eight, a local session three. libzmq ends the process when it cannot open another one, so what clients
 * cause stops before the last ones: it becomes an error reply, and a connection too many is closed at once (accepting.h). */
#ifndef GD_CORE_DESCRIPTORS_H
#define GD_CORE_DESCRIPTORS_H

#include "core/err.h"

#define GD_DESCRIPTORS_NEEDED 256

/* Raises the soft limit of open files to the hard one. GD_E_OUT_OF_MEMORY if even that is below GD_DESCRIPTORS_NEEDED. To be
 * called once, at the start. */
int gd_descriptors_prepare(struct gd_err *err);

/* Whether a descriptor that was just opened leaves enough to the sockets: 0, or GD_E_OUT_OF_MEMORY. The kernel gives the lowest
 * free number, so the number says how many are open. The caller keeps the descriptor. Reentrant. */
int gd_descriptors_check(int fd, struct gd_err *err);

#endif
