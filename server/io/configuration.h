/* GROMOS coordinate files (.cnf, .g96) in and out.
 *
 * Read: TITLE TIMESTEP POSITION POSITIONRED VELOCITY VELOCITYRED GENBOX BOX LATTICESHIFTS STOCHINT REFPOSITION BFACTOR
 * NHCVARIABLES ROTTRANSREFPOS DISRESEXPAVE JVALUERESEXPAVE; plain or gzip. Positions are required. A block that is none
 * of these is kept out and named in the notes; a block given twice, cut, or of the wrong length is an error
 * `file:line: block NAME: ...`. Written: the same blocks in the original's layout, readable by the original's programs.
 * Reentrant. */
#ifndef GD_IO_CONFIGURATION_H
#define GD_IO_CONFIGURATION_H

#include <stddef.h>

#include "core/configuration.h"
#include "io/messages.h"

int gd_io_read_configuration(const char *path, struct gd_configuration **out, struct gd_err *err);

/* As above; notes (may be NULL) receives what was ignored, instead of the log. */
int gd_io_read_configuration_notes(const char *path, struct gd_configuration **out, struct gd_messages *notes, struct gd_err *err);
int gd_io_read_configuration_memory(const char *name, const void *data, size_t size, struct gd_configuration **out,
                                    struct gd_messages *notes, struct gd_err *err);

/* Writes beside the target, syncs, renames: the target is the old file or the complete new one. gzip when the name ends
 * in .gz. Atoms without labels are called by their number ("1 UNK X"). */
int gd_io_write_configuration(const char *path, const struct gd_configuration *conf, struct gd_err *err);

/* Whether it could be written there, by making a file beside the target and taking it away again. */
int gd_io_check_configuration_path(const char *path, struct gd_err *err);

#endif
