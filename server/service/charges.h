/* Who is charged for memory.
 *
 * A charge is the memory of one generation of a State: live arrays, undo copy, ring of frames, each from its first byte. It is its
 * maker's for as long as the State stands in that generation or a session that was given it has not closed its handle, so also after the
 * State was deleted. Once the maker's session has ended it is nobody's; the daemon's own sum counts it all the same.
 *
 * A job's memory (the engine's, its output's, what is kept of it for a successor) is a charge too: of the session that started it, counted with
 * the State it is about, as it is reckoned before the job is made, from then until it has ended. What the end of a run leaves
 * in the State for the next one is the State's.
 *
 * Results of computations are the asker's (gd_session_bytes). Loop thread only, but gd_charge_check. */
#ifndef GD_SERVICE_CHARGES_H
#define GD_SERVICE_CHARGES_H

#include "core/err.h"

#include <stddef.h>

struct gd_charge;
struct gd_handle;
struct gd_service;
struct gd_session;
struct gd_state;

/* Whether `bytes` more fit into the session's quota (NULL: nobody's) and under the daemon's limit. `what` names them in the error:
 * GD_E_QUOTA_EXCEEDED (session_bytes), GD_E_OUT_OF_MEMORY (max_bytes). */
int gd_charge_check(const struct gd_service *service, struct gd_session *session, size_t bytes, const char *what, struct gd_err *err);

/* Whether `bytes` more fit into one State that has `held`: GD_E_QUOTA_EXCEEDED (state_bytes). */
int gd_charge_check_state(const struct gd_service *service, size_t held, size_t bytes, const char *what, struct gd_err *err);
/* Both, for memory that becomes this State's: it goes to whoever is charged for the State. */
int gd_charge_check_more(const struct gd_service *service, const struct gd_state *state, size_t bytes, const char *what,
                         struct gd_err *err);

/* A State begins, or has moved to a new generation: from now on what it holds is charged to `session` (NULL: nobody). GD_E_OUT_OF_MEMORY. */
int gd_charge_begin(struct gd_service *service, struct gd_state *state, struct gd_session *session, struct gd_err *err);
/* It is gone; what handles share stays charged. */
void gd_charge_end(struct gd_service *service, struct gd_state *state);
/* Whom a State is charged to; NULL: nobody. */
struct gd_session *gd_charge_payer(const struct gd_state *state);
/* Segments were made or slots allocated: brings the charge up to date. */
void gd_charge_settle(struct gd_service *service, struct gd_state *state);
/* Bytes that may be allocated for this State. */
size_t gd_charge_room(const struct gd_service *service, const struct gd_state *state);

/* The handle's session was given the State's present generation; and: the handle is closed. */
int gd_charge_share(struct gd_handle *handle, struct gd_err *err);
void gd_charge_unshare(struct gd_service *service, struct gd_handle *handle);

/* A job on this State begins: `bytes` are `session`'s (NULL: nobody's) until gd_charge_job_end. gd_charge_job checks before: the State's
 * and the session's limits, the daemon's, and what the machine has left (GD_E_QUOTA_EXCEEDED, GD_E_OUT_OF_MEMORY); gd_charge_job_adopted
 * takes what is there already. */
int gd_charge_job(struct gd_service *service, struct gd_state *state, struct gd_session *session, size_t bytes, struct gd_charge **out,
                  struct gd_err *err);
int gd_charge_job_adopted(struct gd_service *service, struct gd_state *state, size_t bytes, struct gd_charge **out, struct gd_err *err);
void gd_charge_job_end(struct gd_service *service, struct gd_state *state, struct gd_charge **charge);

/* What a run left in the State is charged with it from now on; if there is no room for that it is given up (logged), and the next run
 * starts from positions and velocities. copies: 2 when a holder of our memory gets it too. */
void gd_charge_run_state(struct gd_service *service, struct gd_state *state, int copies);

/* The session ended. */
void gd_charges_forget(struct gd_session *session);

#endif
