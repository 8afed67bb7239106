/* The threads that long computations may be divided among: one team for the daemon, made when it is first wanted, and one computation at a
 * time; others, and those beside running jobs that have the processors, go on alone. */
#ifndef GD_SERVICE_TEAM_H
#define GD_SERVICE_TEAM_H

#include "kernels/kernels.h"

struct gd_team {
    int size; /* threads it may have; 1: none */
    struct gd_crew *crew;
    _Atomic int taken;
};

/* Loop thread, at start and end. */
void gd_team_init(struct gd_team *team, int threads);
void gd_team_free(struct gd_team *team);

/* Any thread. The kernel table for one computation: with the team for at most `threads`, if it is free and more than one processor may be
 * used, else as it is. To be ended with gd_team_give_back. */
struct gd_kernels gd_team_take(struct gd_team *team, const struct gd_kernels *kernels, int threads);
void gd_team_give_back(struct gd_team *team, struct gd_kernels *kernels);

#endif
