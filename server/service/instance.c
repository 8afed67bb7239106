#include "service/instance.h"

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int join(char out[GD_PATH], const char *directory, const char *name, struct gd_err *err)
{
    int n = snprintf(out, GD_PATH, "%s/%s", directory, name);
    if (n < 0 || n >= GD_PATH)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the path %s/%s is too long", directory, name);
    return 0;
}

/* The folder that holds instances; made if it is the default one. */
static int find_runtime_dir(char out[GD_PATH], const struct gd_settings *settings, struct gd_err *err)
{
    const char *given = settings->runtime_dir[0] != '\0' ? settings->runtime_dir : getenv("GROMOSD_RUNTIME_DIR");
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    if (given != NULL && given[0] != '\0') {
        if (snprintf(out, GD_PATH, "%s", given) >= GD_PATH)
            return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the runtime folder's path is too long");
        return 0;
    }
    if (xdg != NULL && xdg[0] == '/')
        return join(out, xdg, "gromosd", err);
    snprintf(out, GD_PATH, "/tmp/gromosd-%u", (unsigned)geteuid());
    return 0;
}

/* A path from here becomes one from the root: clients are told it, and the log names it. */
static int make_absolute(char path[GD_PATH], struct gd_err *err)
{
    char here[GD_PATH], relative[GD_PATH];
    if (path[0] == '/')
        return 0;
    if (getcwd(here, sizeof here) == NULL)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "the present folder has no path, so %s has none", path);
    memcpy(relative, path, GD_PATH);
    return join(path, here, relative, err);
}

/* Makes one folder if it is missing and checks that nobody else can have put anything into it; one with the sockets in it is closed to
 * others. A folder that is there stays as it is: it may be somebody's own, named by mistake. */
static int own_folder(const char *path, int closed, struct gd_err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "cannot make the folder %s; name another with --runtime-dir or $GROMOSD_RUNTIME_DIR",
                            path);
    struct stat st;
    if (lstat(path, &st) != 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "cannot look at the folder %s", path);
    if (!S_ISDIR(st.st_mode))
        return gd_err_set(err, GD_E_FILE_ACCESS,
                          "%s is not a folder (symbolic links are refused); remove it or name another with "
                          "--runtime-dir",
                          path);
    if (st.st_uid != geteuid())
        return gd_err_set(err, GD_E_FILE_ACCESS, "the folder %s belongs to user %u, not to %u; name another with --runtime-dir", path,
                          (unsigned)st.st_uid, (unsigned)geteuid());
    if ((st.st_mode & (closed ? 077 : 022)) != 0)
        return gd_err_set(err, GD_E_FILE_ACCESS, "the folder %s has mode %04o, others may %s it: run chmod 0700 on it, or name another",
                          path, (unsigned)(st.st_mode & 07777), closed ? "enter" : "write to");
    return 0;
}

static int write_pid(int fd)
{
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    return ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n ? -1 : 0;
}

void gd_instance_claim(struct gd_instance *instance)
{
    if (instance->directory[0] != '\0' && instance->lock_fd >= 0)
        (void)write_pid(instance->lock_fd);
}

static int take_lock(struct gd_instance *instance, struct gd_err *err)
{
    char path[GD_PATH];
    int code = join(path, instance->directory, "lock", err);
    if (code != 0)
        return code;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "cannot open the lock %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char pid[32] = "";
        ssize_t n = read(fd, pid, sizeof pid - 1);
        pid[n > 0 ? n : 0] = '\0';
        close(fd);
        return gd_err_set(err, GD_E_ALREADY_RUNNING, "another gromosd (pid %ld) serves %s; use it, stop it, or choose another --instance",
                          strtol(pid, NULL, 10), instance->directory);
    }
    if (write_pid(fd) != 0) {
        gd_err_errno(err, GD_E_FILE_ACCESS, "cannot write the lock %s", path);
        close(fd);
        return GD_E_FILE_ACCESS;
    }
    instance->lock_fd = fd;
    return 0;
}

/* Removes the socket of a daemon that is gone, and counts it; what is something else is not ours to remove. */
static int remove_stale(const char *path, int *removed, struct gd_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return gd_err_set(err, GD_E_FILE_ACCESS, "%s is no socket but stands where one must be: remove it", path);
    *removed += unlink(path) == 0;
    return 0;
}

int gd_instance_open(struct gd_instance *out, const struct gd_settings *settings, int lock_fd, struct gd_err *err)
{
    struct gd_instance instance = {.lock_fd = -1};
    int code = 0;
    if (settings->directory[0] != '\0') {
        snprintf(instance.directory, GD_PATH, "%s", settings->directory);
    } else {
        char runtime[GD_PATH];
        code = find_runtime_dir(runtime, settings, err);
        if (code == 0)
            code = make_absolute(runtime, err);
        if (code == 0)
            code = own_folder(runtime, 0, err);
        if (code == 0)
            code = join(instance.directory, runtime, settings->instance, err);
    }
    if (code == 0)
        code = make_absolute(instance.directory, err);
    if (code == 0)
        code = own_folder(instance.directory, 1, err);
    if (code == 0)
        code = join(instance.door_path, instance.directory, "door", err);
    if (code == 0)
        code = join(instance.zmq_path, instance.directory, "zmq", err);
    if (code != 0)
        return code;
    size_t longest = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(instance.door_path) > longest)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the path %s has %zu bytes, a socket's may have %zu; choose a shorter --runtime-dir",
                          instance.door_path, strlen(instance.door_path), longest);
    instance.lock_fd = lock_fd;
    code = lock_fd >= 0 ? 0 : take_lock(&instance, err);
    if (code != 0)
        return code;
    int removed = 0;
    code = remove_stale(instance.door_path, &removed, err);
    if (code == 0)
        code = remove_stale(instance.zmq_path, &removed, err);
    if (code != 0) {
        close(instance.lock_fd);
        return code;
    }
    if (removed > 0)
        gd_log_info("instance", "removed sockets a daemon that is gone had left in %s", instance.directory);
    *out = instance;
    return 0;
}

void gd_instance_close(struct gd_instance *instance)
{
    if (instance->lock_fd < 0)
        return;
    unlink(instance->door_path);
    unlink(instance->zmq_path);
    close(instance->lock_fd);
    instance->lock_fd = -1;
}
