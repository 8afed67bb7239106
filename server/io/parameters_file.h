/* GROMOS input files (.imd, .in): run parameters.
 *
 * Read: TITLE SYSTEM INITIALISE STEP BOUNDCOND MULTIBATH PRESSURESCALE COMTRANSROT PRINTOUT WRITETRAJ CONSTRAINT FORCE
 * COVALENTFORM PAIRLIST NONBONDED POSITIONRES DISTANCERES ANGLERES DIHEDRALRES JVALUERES STOCHDYN ENERGYMIN ROTTRANS CGRAIN
 * RANDOMNUMBERS, with keywords as words (any case) or as their numbers, and GROMOSD, which holds what the original has no
 * block for, as pairs of a keyword and a value:
 *
 *     GROMOSD
 *     scheme verlet            # or chargegroup
 *     buffer 0.1               # nm, of the verlet scheme; negative: chosen
 *     integrator velocity-verlet  # or leap-frog
 *     precision float32        # or float64
 *     barostat stochastic-cell # or berendsen, parrinello-rahman (TAUP: the period of its oscillation)
 *     END
 *
 * The thermostat of MULTIBATH may also be `bussi`. A block or value that asks for something not done here is a fault that
 * names both; a block of the original that is switched off (its first value 0) is none. Reentrant. */
#ifndef GD_IO_PARAMETERS_FILE_H
#define GD_IO_PARAMETERS_FILE_H

#include <stddef.h>

#include "core/parameters.h"
#include "io/messages.h"

int gd_io_read_parameters(const char *path, struct gd_parameters *out, struct gd_err *err);

/* All faults of the file, one message each, are added to faults (may be NULL); err tells the first and their number. */
int gd_io_read_parameters_faults(const char *path, struct gd_parameters *out, struct gd_messages *faults, struct gd_err *err);
int gd_io_read_parameters_memory(const char *name, const void *data, size_t size, struct gd_parameters *out, struct gd_messages *faults,
                                 struct gd_err *err);

#endif
