/* The worker's side of surviving: handing segments to whoever holds descriptors for us, and taking them back.
 *
 * The holder is found as systemd's descriptor store is: a datagram socket in $NOTIFY_SOCKET takes FDSTORE=1 with a name
 * and a descriptor; at the next start the descriptors come back with $LISTEN_FDS and $LISTEN_FDNAMES. `gromosd --keep`
 * (service/keeper.h) speaks the same. Names are short, since all of them must fit one variable: <place>.<role><number>, where places number
 * the States (0: the daemon's own) and numbers are of base 36. What cannot be sent at once waits in a queue; the loop never does.
 * Loop thread only. */
#ifndef GD_SERVICE_KEEP_H
#define GD_SERVICE_KEEP_H

#include "core/err.h"

#include <stdint.h>

struct gd_keep;
struct gd_service;
struct gd_state;

/* Reads the environment and clears it, so that no child inherits it. Without a holder everything below does nothing. */
int gd_keep_create(struct gd_keep **out, struct gd_service *service, struct gd_err *err);
void gd_keep_free(struct gd_keep **keep);

/* A lock the holder took and handed over: its descriptor, or -1. */
#define GD_KEEP_LOCK_NAME "0.o0"
int gd_keep_take_lock(struct gd_keep *keep);

/* Puts every State that survived into the registry. What is incomplete or damaged is set aside with a message. */
void gd_keep_adopt(struct gd_keep *keep);

/* Hands over what is new of a State and takes back what is gone. Cheap when nothing changed. */
void gd_keep_sync(struct gd_keep *keep, struct gd_state *state);
/* Its molecules or labels changed. */
void gd_keep_renew(struct gd_keep *keep, struct gd_state *state);
/* Its name changed. */
void gd_keep_update(struct gd_keep *keep, struct gd_state *state);
/* It ended: the holder drops everything. */
void gd_keep_forget(struct gd_keep *keep, struct gd_state *state);

/* A run ended on it: the engine's complete state, so that the next one goes on bit for bit also under another daemon. */
void gd_keep_run(struct gd_keep *keep, struct gd_state *state);

/* Kept memory of a job (job_keep.h). */
int gd_keep_is_on(const struct gd_keep *keep);
void gd_keep_store_job(struct gd_keep *keep, uint64_t number, int fd);
void gd_keep_store_engine(struct gd_keep *keep, uint64_t number, int fd);
void gd_keep_drop_job(struct gd_keep *keep, uint64_t number, int has_engine);

/* The counters of numbers that must not be used twice: called when one was used. */
void gd_keep_counters(struct gd_keep *keep);

/* READY=1, STOPPING=1. */
void gd_keep_tell(struct gd_keep *keep, const char *line);

void gd_keep_tick(struct gd_keep *keep); /* sends what waits */
/* Looks, once a second, whether the holder is there: it is told nothing as long as nothing changes. */
void gd_keep_look(struct gd_keep *keep, uint64_t now_ns);

/* 1 if there was a holder when the daemon started; what it has may outlive this process. Any thread. */
int gd_keep_used(const struct gd_keep *keep);
/* 1 while a holder is there and has everything. */
int gd_keep_protected(const struct gd_keep *keep);

#endif
