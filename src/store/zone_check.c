#include "zone_check.h"


const char *
wscast_zone_wrong(const wscast_heap_t *heap, const wscast_history_t *history,
    const wscast_presence_t *presence)
{
    if (!wscast_heap_validate(heap)) {
        return "the heap";
    }

    if (!wscast_history_validate(history)) {
        return "history";
    }

    return wscast_presence_validate(presence) ? NULL : "presence";
}
