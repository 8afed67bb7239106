/* Levelled log: one line per event, to a file descriptor, `time level area: text`. Control characters in what clients
 * sent are escaped, so that a line of the log is always one event. Any thread. The level is the only mutable global
 * besides the kernel table. */
#ifndef GD_CORE_LOG_H
#define GD_CORE_LOG_H

enum gd_log_level { GD_LOG_ERROR = 0, GD_LOG_WARN, GD_LOG_INFO, GD_LOG_DEBUG };

/* fd stays the caller's. journal != 0 writes the <N> priority prefix systemd reads instead of a time stamp. */
void gd_log_setup(int fd, enum gd_log_level level, int journal);
int gd_log_level_from_name(const char *name, enum gd_log_level *out); /* 0, or -1 for an unknown name */
void gd_log(enum gd_log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define gd_log_error(area, ...) gd_log(GD_LOG_ERROR, area, __VA_ARGS__)
#define gd_log_warn(area, ...) gd_log(GD_LOG_WARN, area, __VA_ARGS__)
#define gd_log_info(area, ...) gd_log(GD_LOG_INFO, area, __VA_ARGS__)
#define gd_log_debug(area, ...) gd_log(GD_LOG_DEBUG, area, __VA_ARGS__)

#endif
