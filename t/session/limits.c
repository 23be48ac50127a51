/* limits: a client's rate, against one that remembers every message. */

#include "../lib/unit.h"

#include "../../src/session/limits.c"


static void
test_clauses(void)
{
    unsigned       i, n;
    uint64_t       due;
    wscast_rate_t  r;

    memset(&r, 0, sizeof(r));
    due = 0;
    n = 0;

    for (i = 0; i < 1000; i++) {
        n += wscast_rate_take(&r, &due, 5);
    }

    is_int(n, 1000, "without a rate everything is taken");

    wscast_rate_init(&r, 10, 3);
    due = 0;
    n = 0;

    for (i = 0; i < 10; i++) {
        n += wscast_rate_take(&r, &due, 1000000);
    }

    is_int(n, 3, "a burst is taken at once, and no more");
    ok(!wscast_rate_take(&r, &due, 1099999), "nor until its time has come");
    ok(wscast_rate_take(&r, &due, 1100000), "then one is");
    ok(!wscast_rate_take(&r, &due, 1100000), "one");

    n = 0;

    for (i = 0; i < 10; i++) {
        n += wscast_rate_take(&r, &due, 900000000);
    }

    is_int(n, 3, "silence does not save up more than a burst");

    wscast_rate_init(&r, WSCAST_RATE_MAX, 1);
    due = 0;
    ok(wscast_rate_take(&r, &due, 7) && !wscast_rate_take(&r, &due, 7)
       && wscast_rate_take(&r, &due, 8), "the highest rate is one a us");
}


/*
 * The reference: a bucket of burst x interval us, which time fills and each
 * message empties by interval.
 */

static void
test_random(void)
{
    unsigned       i, j, wrong, n, burst;
    uint64_t       due, now, full, level, last;
    wscast_rate_t  r;

    srand(7);
    wrong = 0;

    for (i = 0; i < 500; i++) {
        n = 1 + rand() % 2000;
        burst = 1 + rand() % 50;

        wscast_rate_init(&r, n, burst);
        full = r.interval * burst;
        level = full;
        now = last = 1 + rand();
        due = 0;

        for (j = 0; j < 300; j++) {
            now += rand() % (rand() % 4 ? r.interval + 1 : 4 * r.interval + 1);

            level += now - last;
            level = level > full ? full : level;
            last = now;

            if (wscast_rate_take(&r, &due, now) != (level >= r.interval)) {
                wrong++;
            }

            if (level >= r.interval) {
                level -= r.interval;
            }
        }
    }

    is_int(wrong, 0, "150,000 messages are judged as by a bucket");
}


int
main(void)
{
    test_clauses();
    test_random();

    return done();
}
