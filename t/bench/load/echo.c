#include "load.h"


/*
 * Each client alone with what it says: the next when the last has come back.
 * Its stream is its index (--fan 1), so that it knows the echo of another.
 */

void
load_echo(uint32_t size, double seconds)
{
    int          i;
    int64_t      left;
    uint64_t     end;
    load_snap_t  from, to;

    load_phase(size);
    load.echoing = 1;

    from = load_snap();
    end = load_now() + (uint64_t) (seconds * 1e9);

    for (i = 0; i < load.options.clients; i++) {
        load.clients[i].seq = 0;
        load_echo_next(&load.clients[i]);
    }

    while ((left = (int64_t) (end - load_now())) > 0) {
        load_turn(load.options.spin ? 0 : left);
    }

    load.echoing = 0;
    to = load_snap();

    load_begin("echo");
    load_number("size", load.size);
    load_number("seconds", (double) (to.at - from.at) / 1e9);
    load_latencies();
    load_cost(&from, &to, (double) load.count.delivered);

    /* the last of each is still under way */

    end = load_now() + 2000000000ull;

    while (load_lost() && load_now() < end) {
        load_turn(10000000);
    }

    load_checked(load_lost());
    load_end();
}


void
load_echo_next(load_conn_t *c)
{
    uint32_t  stream;

    stream = load_first(c);

    load_say(c, stream, c->seq++, load_now());
    load.published[stream] = c->seq;
}
