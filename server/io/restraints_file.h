/* Restraint specifications of GROMOS: one file per kind, each named after the argument of md++ that takes it.
 *
 *   posresspec  POSRESSPEC: a line per atom, 17 characters ignored, then the atom's number
 *   refpos      REFPOSITION (24-character label, three numbers), optionally BFACTOR, of all atoms
 *   distrest    DISTANCERESSPEC: DISH DISC, then per line i j k l type  i j k l type  r0 w0 rah
 *   angrest     ANGRESSPEC: i j k w0 angle
 *   dihrest     DIHEDRALRESSPEC: i j k l w0 angle delta
 *   jval        JVALRESSPEC: i j k l w0 j0 phase A B C H
 *
 * Plain or gzip; atom numbers become 0-based. All faults of a file are told at once. Reentrant. */
#ifndef GD_IO_RESTRAINTS_FILE_H
#define GD_IO_RESTRAINTS_FILE_H

#include <stddef.h>

#include "core/restraints.h"
#include "io/messages.h"

enum gd_restraints_kind {
    GD_RESTRAINTS_POSRESSPEC,
    GD_RESTRAINTS_REFPOS,
    GD_RESTRAINTS_DISTREST,
    GD_RESTRAINTS_ANGREST,
    GD_RESTRAINTS_DIHREST,
    GD_RESTRAINTS_JVAL,
    GD_RESTRAINTS_KINDS,
};

/* The argument's name ("posresspec", with or without a leading @) to its kind; 0, or -1. */
int gd_restraints_kind_from_name(const char *name, enum gd_restraints_kind *out);

/* Replaces what res holds of this kind; on failure res is unchanged. faults may be NULL. */
int gd_io_read_restraints(const char *path, enum gd_restraints_kind kind, struct gd_restraints *res, struct gd_messages *faults,
                          struct gd_err *err);
int gd_io_read_restraints_memory(const char *name, const void *data, size_t size, enum gd_restraints_kind kind, struct gd_restraints *res,
                                 struct gd_messages *faults, struct gd_err *err);

#endif
