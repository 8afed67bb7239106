#include "service/running.h"

#include "service/service.h"

#include <stdio.h>

int gd_running_begin(struct gd_running *running, const char *what, const char *of, uint64_t number)
{
    for (int i = 0; i < GD_RUNNING_SLOTS; i++) {
        const char *none = NULL;
        if (atomic_load_explicit(&running->slot[i].what, memory_order_relaxed) != NULL ||
            !atomic_compare_exchange_strong(&running->slot[i].what, &none, what))
            continue;
        atomic_store(&running->slot[i].of, of);
        atomic_store(&running->slot[i].number, number);
        atomic_store(&running->slot[i].since_ns, gd_now_ns());
        return i;
    }
    return -1;
}

void gd_running_end(struct gd_running *running, int slot)
{
    if (slot >= 0)
        atomic_store(&running->slot[slot].what, NULL);
}

size_t gd_running_text(struct gd_running *running, char *text, size_t room)
{
    size_t count = 0, used = 0;
    uint64_t now = gd_now_ns();
    text[0] = '\0';
    for (int i = 0; i < GD_RUNNING_SLOTS; i++) {
        const char *what = atomic_load(&running->slot[i].what), *of = atomic_load(&running->slot[i].of);
        uint64_t since = atomic_load(&running->slot[i].since_ns);
        if (what == NULL || of == NULL)
            continue;
        int n = snprintf(text + used, room - used, "%s%s %s%s%llu (for %.1f s)", count > 0 ? ", " : "", what, of, of[0] != '\0' ? " " : "",
                         (unsigned long long)atomic_load(&running->slot[i].number), since < now ? (double)(now - since) * 1e-9 : 0.0);
        if (n > 0)
            used = used + (size_t)n < room ? used + (size_t)n : room - 1;
        count++;
    }
    return count;
}
