/* GROMOS topologies (.top, .topo).
 *
 * Read: TITLE TOPVERSION PHYSICALCONSTANTS ATOMTYPENAME RESNAME SOLUTEATOM BONDSTRETCHTYPE BOND(H) BONDANGLEBENDTYPE
 * BONDANGLE(H) IMPDIHEDRALTYPE IMPDIHEDRAL(H) TORSDIHEDRALTYPE DIHEDRAL(H) CROSSDIHEDRAL(H) LJPARAMETERS CGPARAMETERS
 * LJEXCEPTIONS SOLUTEMOLECULES TEMPERATUREGROUPS PRESSUREGROUPS SOLVENTATOM SOLVENTCONSTR; plain or gzip. Blocks of force
 * terms must be there, with a count of 0 when there are none: a cut file must not pass for a smaller molecule. Any other
 * block asks for something not done here and is an error. The result is not expanded: see core/topology.h. Reentrant. */
#ifndef GD_IO_TOPOLOGY_FILE_H
#define GD_IO_TOPOLOGY_FILE_H

#include <stddef.h>

#include "core/topology.h"
#include "io/messages.h"

int gd_io_read_topology(const char *path, struct gd_topology **out, struct gd_err *err);

/* All faults of the file, one message each, are added to faults (may be NULL); err tells the first and their number. */
int gd_io_read_topology_faults(const char *path, struct gd_topology **out, struct gd_messages *faults, struct gd_err *err);
int gd_io_read_topology_memory(const char *name, const void *data, size_t size, struct gd_topology **out, struct gd_messages *faults,
                               struct gd_err *err);

#endif
