/* One instance of the daemon on this machine: its folder, its lock, its socket paths. */
#ifndef GD_SERVICE_INSTANCE_H
#define GD_SERVICE_INSTANCE_H

#include "core/err.h"
#include "service/settings.h"

#define GD_PATH 1024

struct gd_instance {
    char directory[GD_PATH];
    char door_path[GD_PATH]; /* <directory>/door */
    char zmq_path[GD_PATH];  /* <directory>/zmq */
    int lock_fd;
};

/* Makes the folder (mode 0700, owned by this user, no symbolic link), takes the lock, removes sockets a dead daemon left.
 * lock_fd: the lock if a keeper took it already, else -1. Errors: GD_E_ALREADY_RUNNING with the other's pid; GD_E_FILE_ACCESS for a folder that is missing, foreign or open to
 * others; GD_E_INVALID_ARGUMENT for a path too long for a socket. */
int gd_instance_open(struct gd_instance *out, const struct gd_settings *settings, int lock_fd, struct gd_err *err);

/* This process answers for the instance from now on: its number is written into the lock, for others to be told. */
void gd_instance_claim(struct gd_instance *instance);

/* Removes the sockets and lets the lock go. */
void gd_instance_close(struct gd_instance *instance);

#endif
