/* The inner loops over pair rows with pair functions in single precision. */
#define REAL float
#define ROOT sqrtf
#define ATOM_ROWS gd_inner_atom_rows_f32
#define SOLVENT_ROWS gd_inner_solvent_rows_f32
#include "engine/nonbonded_inner_body.h"
