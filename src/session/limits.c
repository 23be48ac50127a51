#include "limits.h"


void
wscast_rate_init(wscast_rate_t *rate, uint32_t n, uint32_t burst)
{
    rate->interval = 1000000 / n;

    if (rate->interval == 0) {
        rate->interval = 1;
    }

    rate->ahead = rate->interval * (burst - 1);
}


int
wscast_rate_take(const wscast_rate_t *rate, uint64_t *due, uint64_t now)
{
    if (rate->interval == 0) {
        return 1;
    }

    if (*due < now) {
        *due = now;
    }

    if (*due - now > rate->ahead) {
        return 0;
    }

    *due += rate->interval;

    return 1;
}
