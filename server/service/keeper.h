/* `gromosd --keep`: a small parent that outlives its worker.
 *
 * It takes the instance's lock, starts the worker, stores the descriptors the worker hands it (the sd_notify FDSTORE
 * protocol) and starts a new worker with them when the old one dies: at once if it had been healthy for a second, else with a
 * delay that doubles up to ten seconds; so it does when that one cannot start. It parses nothing that comes from clients. SIGTERM and
 * SIGINT go on to the worker; when it ends in order, or the first one cannot start, the keeper ends with its exit status. */
#ifndef GD_SERVICE_KEEPER_H
#define GD_SERVICE_KEEPER_H

#include "core/err.h"
#include "service/settings.h"

/* Returns the exit status of the whole. argv is what the worker is started with. */
int gd_keeper_run(const struct gd_settings *settings, char **argv, struct gd_err *err);

/* Set in the worker's environment, so that --keep on its command line means nothing there. */
#define GD_KEEPER_ENVIRONMENT "GROMOSD_KEPT_BY"

#endif
