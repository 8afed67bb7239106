/* Run parameters as a map of blocks: what input.parse answers. */
#ifndef GD_SERVICE_INPUT_FIELDS_H
#define GD_SERVICE_INPUT_FIELDS_H

#include "core/parameters.h"
#include "service/codec.h"

/* Packs the field `blocks`: block name -> field name -> value. Field names are those of struct gd_parameters; enumerations are
 * their numbers. */
void gd_input_pack(struct gd_reply *reply, const struct gd_parameters *parameters);

#endif
