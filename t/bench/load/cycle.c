#include "load.h"


static load_conn_t  *load_cyclers;
static uint64_t      load_cycles;
static uint64_t      load_cycles_most;
static int           load_cycling;


static const load_url_t *load_cycle_url(const load_conn_t *c);
static int load_cycle_open(int conns);


/*
 * Connects, shakes hands, closes by a close frame, awaits the server's, and
 * again: on so many connections, for so long, or as often as most (0: no end).
 */

void
load_cycle(int conns, double seconds, uint64_t most)
{
    int          i, left;
    double       elapsed;
    int64_t      ns;
    uint64_t     end;
    load_snap_t  from, to;

    free(load_cyclers);
    load_cyclers = load_conns(conns, LOAD_CYCLER);
    load_latency_reset();
    load_cycles = 0;
    load_cycles_most = most;
    load.failed = 0;
    load_cycling = 1;

    from = load_snap();
    end = load_now() + (uint64_t) (seconds * 1e9);

    for (i = 0; i < conns; i++) {
        load_connect(&load_cyclers[i], load_cycle_url(&load_cyclers[i]));
    }

    while (load_cycling && (ns = (int64_t) (end - load_now())) > 0) {
        load_turn(ns < 100000000 ? ns : 100000000);
    }

    to = load_snap();
    elapsed = (double) (to.at - from.at) / 1e9;

    load_begin("cycle");
    load_number("seconds", elapsed);
    load_number("cycles", (double) load_cycles);
    load_latencies();
    load_cost(&from, &to, (double) load_cycles);

    load_cycling = 0;
    end = load_now() + 2000000000ull;

    while ((left = load_cycle_open(conns)) > 0 && load_now() < end) {
        load_turn(10000000);
    }

    load_number("failed", (double) load.failed + left);
    load_end();
}


static const load_url_t *
load_cycle_url(const load_conn_t *c)
{
    return &load.options.urls[c->index % (uint32_t) load.options.nurls];
}


static int
load_cycle_open(int conns)
{
    int  i, n;

    n = 0;

    for (i = 0; i < conns; i++) {
        n += load_cyclers[i].state != LOAD_DEAD;
    }

    return n;
}


void
load_cycle_step(load_conn_t *c)
{
    if (c->state == LOAD_JOINING) {
        load_latency_add(load_now() - c->began);
        load_frame(c, 8, (const uint8_t *) "\x03\xe8", 2);

        if (c->state != LOAD_DEAD) {
            c->state = LOAD_CLOSING;
        }
    }

    /* the end of the stream may have come with the close frame */

    if (c->close_seen) {
        c->close_seen = 0;
        load_close(c, "closed");
        load_cycles++;

        if (load_cycles == load_cycles_most) {
            load_cycling = 0;
        }
    }

    if (c->state == LOAD_DEAD && load_cycling) {
        load_connect(c, load_cycle_url(c));
    }
}
