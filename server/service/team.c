#include "service/team.h"

#include "core/crew.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

void gd_team_init(struct gd_team *team, int threads)
{
    team->size = threads;
    team->crew = NULL;
    atomic_init(&team->taken, 0);
}

void gd_team_free(struct gd_team *team)
{
    gd_crew_destroy(&team->crew);
}

/* Asked each time: somebody may have moved the daemon to fewer. */
static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

struct gd_kernels gd_team_take(struct gd_team *team, const struct gd_kernels *kernels, int threads)
{
    struct gd_kernels mine = *kernels;
    int present = threads > 1 && team->size > 1 ? processors() : 1;
    threads = threads < present ? threads : present;
    if (threads < 2 || atomic_exchange(&team->taken, 1))
        return mine;
    if (team->crew == NULL)
        gd_crew_create(&team->crew, team->size, NULL); /* without it one goes on alone */
    if (team->crew == NULL)
        atomic_store(&team->taken, 0);
    mine.crew = team->crew;
    mine.threads = threads;
    return mine;
}

void gd_team_give_back(struct gd_team *team, struct gd_kernels *kernels)
{
    if (kernels->crew != NULL)
        atomic_store(&team->taken, 0);
    kernels->crew = NULL;
}
