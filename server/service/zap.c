#include "service/zap.h"

#include "core/check.h"
#include "core/log.h"
#include "service/service.h"
#include "service/zmq_watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define KEY_TEXT 41
#define MOST_KEYS 4096

struct client_key {
    uint8_t key[32];
    char user_id[80]; /* role:name */
};

struct gd_zap {
    struct gd_service *service;
    char path[GD_PATH];
    struct timespec changed; /* of the file when it was read */
    struct client_key *keys;
    size_t num_keys;
    void *socket;
    struct gd_zmq_watcher watcher;
};

/* ---- the key file ---- */

/* 0 for a key, 1 for a blank line or a comment, -1 for anything else. A comment is a whole line: Z85 has '#' among its
 * characters (a key cannot begin with it: four bytes do not reach that far). */
static int parse_line(char *line, struct client_key *out)
{
    char key[64], role[16], name[64];
    int fields = sscanf(line, " %63s %15s %63s", key, role, name);
    if (fields <= 0 || key[0] == '#')
        return 1;
    if (fields != 3 || strlen(key) != KEY_TEXT - 1 || zmq_z85_decode(out->key, key) == NULL)
        return -1;
    if (strcmp(role, "reader") != 0 && strcmp(role, "writer") != 0 && strcmp(role, "admin") != 0)
        return -1;
    snprintf(out->user_id, sizeof out->user_id, "%s:%s", role, name);
    return 0;
}

static void read_keys(struct gd_zap *zap, FILE *file)
{
    char line[512];
    zap->num_keys = 0;
    for (int number = 1; fgets(line, sizeof line, file) != NULL && zap->num_keys < MOST_KEYS; number++) {
        struct client_key key;
        int code = parse_line(line, &key);
        if (code < 0)
            gd_log_warn("auth", "%s:%d: not of the form `key reader|writer|admin name`; the line lets nobody in", zap->path, number);
        if (code == 0)
            zap->keys[zap->num_keys++] = key;
    }
}

static void refresh(struct gd_zap *zap)
{
    struct stat st;
    if (stat(zap->path, &st) != 0) {
        zap->num_keys = 0;
        zap->changed = (struct timespec){0, 0};
        return;
    }
    if (st.st_mtim.tv_sec == zap->changed.tv_sec && st.st_mtim.tv_nsec == zap->changed.tv_nsec)
        return;
    FILE *file = fopen(zap->path, "re");
    if (file == NULL) {
        gd_log_warn("auth", "cannot read %s: %s", zap->path, strerror(errno));
        return;
    }
    if ((st.st_mode & 022) != 0 || (st.st_uid != geteuid() && st.st_uid != 0)) {
        zap->num_keys = 0;
        gd_log_warn("auth", "%s can be written by others: nobody is let in until it is closed (chmod go-w)", zap->path);
    } else {
        read_keys(zap, file);
        gd_log_info("auth", "%zu client keys in %s", zap->num_keys, zap->path);
    }
    zap->changed = st.st_mtim;
    fclose(file);
}

static const char *find_user(struct gd_zap *zap, const uint8_t key[32])
{
    refresh(zap);
    for (size_t i = 0; i < zap->num_keys; i++) {
        if (memcmp(zap->keys[i].key, key, 32) == 0) /* public keys: nothing secret in the time it takes */
            return zap->keys[i].user_id;
    }
    return NULL;
}

/* ---- the protocol: version, request id, domain, address, identity, mechanism, credentials ---- */

#define ZAP_PARTS 7

static int take_request(void *socket, zmq_msg_t *parts)
{
    int count = 0, more = 1;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            break;
        }
        more = zmq_msg_more(&part);
        if (count < ZAP_PARTS) {
            parts[count] = part;
        } else {
            zmq_msg_close(&part);
        }
        count++;
    }
    return count;
}

static void answer(struct gd_zap *zap, zmq_msg_t *request_id, const char *user)
{
    zmq_send(zap->socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(zap->socket, zmq_msg_data(request_id), zmq_msg_size(request_id), ZMQ_SNDMORE);
    zmq_send(zap->socket, user != NULL ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(zap->socket, user != NULL ? "OK" : "unknown key", user != NULL ? 2 : 11, ZMQ_SNDMORE);
    zmq_send(zap->socket, user != NULL ? user : "", user != NULL ? strlen(user) : 0, ZMQ_SNDMORE);
    zmq_send(zap->socket, "", 0, 0);
}

static void on_ready(struct gd_zmq_watcher *watcher, void *context)
{
    (void)watcher;
    struct gd_zap *zap = context;
    zmq_msg_t parts[ZAP_PARTS];
    int count;
    while ((count = take_request(zap->socket, parts)) > 0) {
        int usable = count >= ZAP_PARTS && zmq_msg_size(&parts[5]) == 5 && memcmp(zmq_msg_data(&parts[5]), "CURVE", 5) == 0 &&
                     zmq_msg_size(&parts[6]) == 32;
        const char *user = usable ? find_user(zap, zmq_msg_data(&parts[6])) : NULL;
        if (count >= 4) {
            gd_log(user != NULL ? GD_LOG_INFO : GD_LOG_WARN, "auth", "%.*s: %s", (int)zmq_msg_size(&parts[3]),
                   (char *)zmq_msg_data(&parts[3]), user != NULL ? user : "unknown key refused");
            answer(zap, &parts[1], user);
        }
        for (int i = 0; i < count && i < ZAP_PARTS; i++)
            zmq_msg_close(&parts[i]);
    }
}

int gd_zap_create(struct gd_zap **out, struct gd_service *service, const char *authorized_keys, struct gd_err *err)
{
    struct gd_zap *zap = calloc(1, sizeof *zap);
    if (zap == NULL || (zap->keys = calloc(MOST_KEYS, sizeof *zap->keys)) == NULL) {
        free(zap);
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "no memory for the key table");
    }
    zap->service = service;
    snprintf(zap->path, sizeof zap->path, "%s", authorized_keys);
    int code = 0;
    zap->socket = zmq_socket(service->zmq, ZMQ_REP);
    if (zap->socket == NULL || zmq_bind(zap->socket, "inproc://zeromq.zap.01") != 0)
        code = gd_err_set(err, GD_E_INTERNAL, "cannot set up authentication: %s", zmq_strerror(errno));
    if (code == 0)
        code = gd_zmq_watcher_start(&zap->watcher, service->loop, zap->socket, on_ready, zap, err);
    if (code != 0) {
        if (zap->socket != NULL)
            zmq_close(zap->socket);
        free(zap->keys);
        free(zap);
        return code;
    }
    refresh(zap);
    *out = zap;
    return 0;
}

void gd_zap_stop(struct gd_zap *zap)
{
    if (zap != NULL)
        gd_zmq_watcher_stop(&zap->watcher);
}

void gd_zap_free(struct gd_zap **pointer)
{
    struct gd_zap *zap = *pointer;
    *pointer = NULL;
    if (zap == NULL)
        return;
    GD_CHECK(zap->watcher.open_handles == 0);
    zmq_close(zap->socket);
    free(zap->keys);
    free(zap);
}

/* ---- the daemon's own key ---- */

static int make_key(const char *path, char secret[KEY_TEXT], struct gd_err *err)
{
    char public_key[KEY_TEXT], public_path[GD_PATH];
    if (zmq_curve_keypair(public_key, secret) != 0)
        return gd_err_set(err, GD_E_UNSUPPORTED, "this libzmq was built without CURVE; remote sessions need it");
    if (snprintf(public_path, sizeof public_path, "%s.public", path) >= (int)sizeof public_path)
        return gd_err_set(err, GD_E_INVALID_ARGUMENT, "the path %s is too long", path);
    const char *const texts[] = {secret, public_key}, *const paths[] = {path, public_path};
    for (int i = 0; i < 2; i++) {
        int fd = open(paths[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, i == 0 ? 0600 : 0644);
        if (fd < 0 && i == 1 && errno == EEXIST && unlink(paths[i]) == 0)
            fd = open(paths[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0 || dprintf(fd, "%s\n", texts[i]) != KEY_TEXT || fsync(fd) != 0) {
            if (fd >= 0)
                close(fd);
            return gd_err_errno(err, GD_E_FILE_ACCESS, "cannot write the key file %s", paths[i]);
        }
        close(fd);
    }
    gd_log_info("auth", "made a server key; clients need the public one in %s", public_path);
    return 0;
}

int gd_zap_server_key(const char *path, char secret[KEY_TEXT], struct gd_err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT)
        return make_key(path, secret, err);
    if (file == NULL)
        return gd_err_errno(err, GD_E_FILE_ACCESS, "cannot read the key file %s", path);
    struct stat st;
    char line[128] = "";
    int readable = fstat(fileno(file), &st) == 0 && fgets(line, sizeof line, file) != NULL;
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    if ((st.st_mode & 077) != 0 || st.st_uid != geteuid())
        return gd_err_set(err, GD_E_FILE_ACCESS, "the key file %s must belong to this user and be closed to others (chmod 600)", path);
    uint8_t decoded[32];
    if (!readable || strlen(line) != KEY_TEXT - 1 || zmq_z85_decode(decoded, line) == NULL)
        return gd_err_set(err, GD_E_FILE_FORMAT, "the key file %s holds no Z85 key of 40 characters", path);
    memcpy(secret, line, KEY_TEXT);
    return 0;
}
