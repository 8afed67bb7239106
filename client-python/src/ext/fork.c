/* What fork() does to doors and mappings.
 *
 * A child inherits descriptors and memory that belong to its parent's session. Before it runs anything else, this handler closes its
 * copies of the door sockets and of the connections for calls (so that the child does not keep a dead parent's session alive), unmaps the control blocks, and makes writable arrays of
 * an open edit private. Arrays stay readable, those of large results too: what both processes have is not given back to the daemon. Objects made before the fork carry the old epoch: what they do when they are freed ends
 * at the process's own memory. The handler does system calls only. */
#include "mapping.h"

#include <sys/mman.h>
#include <unistd.h>

unsigned gd_fork_epoch;

static struct gd_link doors = {&doors, &doors};
static struct gd_link mappings = {&mappings, &mappings};
static struct gd_link results = {&results, &results};
static struct gd_link calls = {&calls, &calls};
/* Held while a list changes and across fork(), so that the child finds whole lists whichever thread forked. */
static pthread_mutex_t lists = PTHREAD_MUTEX_INITIALIZER;

static void add(struct gd_link *head, struct gd_link *link)
{
    pthread_mutex_lock(&lists);
    link->next = head->next;
    link->prev = head;
    head->next->prev = link;
    head->next = link;
    pthread_mutex_unlock(&lists);
}

void gd_fork_add_door(struct gd_link *link)
{
    add(&doors, link);
}

void gd_fork_add_mapping(struct gd_link *link)
{
    add(&mappings, link);
}

void gd_fork_add_result(struct gd_link *link)
{
    add(&results, link);
}

void gd_fork_add_call(struct gd_link *link)
{
    add(&calls, link);
}

void gd_fork_leave_door(const struct gd_door *door)
{
    pthread_mutex_lock(&lists);
    for (struct gd_link *link = results.next; link != &results; link = link->next)
        gd_result_leave_door(link, door);
    pthread_mutex_unlock(&lists);
}

void gd_fork_remove(struct gd_link *link)
{
    if (link->next == NULL)
        return;
    pthread_mutex_lock(&lists);
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
    pthread_mutex_unlock(&lists);
}

static void before_fork(void)
{
    pthread_mutex_lock(&lists);
    for (struct gd_link *link = results.next; link != &results; link = link->next)
        gd_result_forked(link);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lists);
}

static void forget_door(struct gd_door *door)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    if (door->fd >= 0)
        close(door->fd);
    if (door->control != NULL)
        munmap(door->control, gd_round_up(sizeof(struct gd_control_block), GD_PAGE));
    gd_results_drop_kept(door);
    gd_arguments_drop(door);
    door->arguments.busy = false;
    door->fd = -1;
    door->control = NULL;
    door->dead = true;
    door->users = 0;
    door->opening = 0;
    door->held_leases = 0;
    door->num_pins = 0;
    door->mutex = fresh; /* a thread that does not exist here may have held it */
}

static void after_fork_child(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    gd_fork_epoch++;
    for (struct gd_link *link = doors.next; link != &doors; link = link->next)
        forget_door(GD_DOOR_OF(link));
    for (struct gd_link *link = calls.next; link != &calls; link = link->next)
        gd_call_forked(link);
    for (struct gd_link *link = mappings.next; link != &mappings; link = link->next)
        gd_lease_forked(GD_MAPPING_OF(link));
    lists = fresh;
}

int gd_fork_init(void)
{
    int code = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    if (code != 0) {
        errno = code;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}
