/* The inner loops over pair rows in double precision: the reference for every faster variant. */
#define REAL double
#define ROOT sqrt
#define ATOM_ROWS gd_inner_atom_rows
#define SOLVENT_ROWS gd_inner_solvent_rows
#include "engine/nonbonded_inner_body.h"
