/* gromosd: options, compose, run, tear down. */
#include "core/check.h"
#include "core/descriptors.h"
#include "core/log.h"
#include "service/keeper.h"
#include "service/service.h"
#include "service/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* Tells the starter, who waits for one line, and the log. */
static void report(const struct gd_settings *settings, const char *error)
{
    if (settings->ready_fd >= 0) {
        if (error == NULL)
            dprintf(settings->ready_fd, "ready\n");
        else
            dprintf(settings->ready_fd, "error: %s\n", error);
        close(settings->ready_fd);
    }
    if (error != NULL)
        gd_log_error("main", "%s", error);
}

static int set_up_log(const struct gd_settings *settings, struct gd_err *err)
{
    enum gd_log_level level;
    GD_CHECK(gd_log_level_from_name(settings->log_level, &level) == 0);
    int fd = STDERR_FILENO;
    if (settings->log_file[0] != '\0') {
        fd = open(settings->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
            return gd_err_errno(err, GD_E_FILE_ACCESS, "cannot open the log %s", settings->log_file),
                   gd_settings_blame(settings, GD_SETTING_log_file, err);
    }
    gd_log_setup(fd, level, getenv("JOURNAL_STREAM") != NULL && fd == STDERR_FILENO);
    return 0;
}

static int serve(const struct gd_settings *settings, struct gd_err *err)
{
    uv_loop_t loop;
    struct gd_service *service = NULL;
    int code = uv_loop_init(&loop);
    if (code != 0)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "cannot make an event loop: %s", uv_strerror(code));
    code = gd_service_create(&service, settings, &loop, err);
    if (code == 0) {
        report(settings, NULL);
        gd_service_run(service);
        gd_service_destroy(&service);
    }
    uv_loop_close(&loop);
    return code;
}

int main(int argc, char **argv)
{
    struct gd_settings settings;
    struct gd_err err = {0};
    const int wrong_status = gd_settings_wrong_status(); /* before what says so is taken out of the environment */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow further (ulimit -f) is a fault of whoever writes it, told as any other */
    gd_settings_init(&settings);
    int code = gd_settings_parse(&settings, argc, argv, &err);
    if (code == 0)
        code = set_up_log(&settings, &err);
    if (code == 0)
        code = gd_descriptors_prepare(&err);
    const char *kept_by = getenv(GD_KEEPER_ENVIRONMENT);
    if (kept_by != NULL) {
        settings.ready_fd = atoi(kept_by); /* the keeper moved it */
        settings.keep = 0;
        unsetenv(GD_KEEPER_ENVIRONMENT);
    }
    if (code == 0 && settings.keep) {
        code = gd_keeper_run(&settings, argv, &err);
        if (code >= 0)
            return code;
    } else if (code == 0) {
        code = serve(&settings, &err);
    }
    if (code == 0)
        return EXIT_SUCCESS;
    report(&settings, err.text);
    return code == GD_E_INVALID_ARGUMENT ? wrong_status : EXIT_FAILURE;
}
