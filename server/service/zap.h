/* Who may come in over tcp: CURVE keys, checked by libzmq's authentication protocol (RFC 27/ZAP).
 *
 * The key file has one client a line: the public key (Z85, 40 characters), a role (reader, writer, admin), a name. It is read
 * again whenever it has changed, so that a key can be added or taken away while the daemon runs; a line that cannot be read
 * lets nobody in and is logged. Loop thread only. */
#ifndef GD_SERVICE_ZAP_H
#define GD_SERVICE_ZAP_H

#include "core/err.h"

struct gd_service;
struct gd_zap;

int gd_zap_create(struct gd_zap **out, struct gd_service *service, const char *authorized_keys, struct gd_err *err);
void gd_zap_stop(struct gd_zap *zap);
void gd_zap_free(struct gd_zap **zap);

/* The daemon's secret key as Z85 text (41 bytes) from its file; made, with a file <path>.public beside it, if there is none. The file must
 * belong to this user and be closed to others. */
int gd_zap_server_key(const char *path, char secret[41], struct gd_err *err);

#endif
