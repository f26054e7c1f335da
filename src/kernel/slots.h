/* slots.h: scratch memory in slots. A task takes the first that is free, which the thread has most likely just used: it is still in its cache.
 * What a task computes must not depend on its slot. */
#ifndef ISO_SLOTS_H
#define ISO_SLOTS_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct iso_slots { atomic_uint busy; } iso_slots;      /* a bit each: at most 32 */

/* There must be as many slots as tasks that run at once. */
static inline int64_t iso_slot_take(iso_slots *s)
{
    unsigned busy = atomic_load(&s->busy);
    while (!atomic_compare_exchange_weak(&s->busy, &busy, busy | (busy + 1))) {}
    return __builtin_ctz(~busy);
}

static inline void iso_slot_free(iso_slots *s, int64_t slot) { atomic_fetch_and(&s->busy, ~(1u << slot)); }

#endif
