/* What is at work on some thread now, for saying so when it holds up a stop. Any thread; no locks. */
#ifndef GD_SERVICE_RUNNING_H
#define GD_SERVICE_RUNNING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GD_RUNNING_SLOTS 64

struct gd_running {
    struct {
        _Atomic(const char *) what; /* a literal; NULL: free */
        _Atomic(const char *) of;
        _Atomic uint64_t number, since_ns;
    } slot[GD_RUNNING_SLOTS];
};

/* "what of number" begins, as in ("rdf", "of session", 5), ("job", "", 3); its slot, or -1 when all are taken: then it is not told. */
int gd_running_begin(struct gd_running *running, const char *what, const char *of, uint64_t number);
void gd_running_end(struct gd_running *running, int slot);

/* All of it in words into text; returns how many. */
size_t gd_running_text(struct gd_running *running, char *text, size_t room);

#endif
