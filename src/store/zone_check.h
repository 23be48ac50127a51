/*
 * zone_check.h: whether all that outlives a message is consistent.
 *
 * Audience: store in debug builds, tests.  Pure; under the lock, outside of a
 * transaction.
 */

#ifndef WSCAST_ZONE_CHECK_H
#define WSCAST_ZONE_CHECK_H


#include "heap.h"
#include "history.h"
#include "presence.h"


/* NULL, or which of them is not. */
const char *wscast_zone_wrong(const wscast_heap_t *heap,
    const wscast_history_t *history, const wscast_presence_t *presence);


#endif /* WSCAST_ZONE_CHECK_H */
