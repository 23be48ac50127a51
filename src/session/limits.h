/*
 * limits.h: how many messages a second a client may send.
 *
 * Audience: conn (asks, message by message), http (configures).  Pure.
 *
 * The state is one word: the moment at which all that was sent would have been
 * sent at the steady rate (the "virtual scheduling" of the generic cell rate
 * algorithm, ITU-T I.371).  It may run ahead of the clock by the burst.
 */

#ifndef WSCAST_LIMITS_H
#define WSCAST_LIMITS_H


#include "../base/base.h"


typedef struct {
    uint64_t    interval;       /* us between messages; 0: no limit */
    uint64_t    ahead;          /* us that a burst may be ahead */
} wscast_rate_t;


#define WSCAST_RATE_MAX  1000000        /* messages a second */


/* n messages a second, 1 to WSCAST_RATE_MAX; burst: at once, at least 1. */
void wscast_rate_init(wscast_rate_t *rate, uint32_t n, uint32_t burst);

/*
 * 1 if one more message is within the rate; *due (0 at first) is moved then.
 * now: us, of a clock that does not go back.
 */
int wscast_rate_take(const wscast_rate_t *rate, uint64_t *due, uint64_t now);


#endif /* WSCAST_LIMITS_H */
