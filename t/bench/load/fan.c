#include "load.h"


#define LOAD_DRAIN   2000000000ull      /* ns without a delivery: lost */
#define LOAD_TURN    10000000           /* ns at most, of one epoll_wait */
#define LOAD_STUCK   500000000ull       /* then the window is forgiven */
#define LOAD_STRIDE  7919               /* prime: visits streams in turn */
#define LOAD_PAUSE   0.05               /* seconds between bursts */


typedef struct {
    uint64_t   owed;                    /* deliveries */
    uint64_t   forgiven;                /* of them */
    uint64_t   messages;
    uint64_t   each;                    /* deliveries of a message */
    uint64_t   window;                  /* of them, under way at most */
    int       *live;                    /* clients of each group */
} load_flow_t;


static void load_flow_begin(load_flow_t *f, int window);
static int load_publish(load_flow_t *f, uint64_t due);
static void load_publish_window(load_flow_t *f);
static uint64_t load_publish_due(load_flow_t *f, uint64_t began, double gap);
static void load_drain(const load_flow_t *f);
static void load_wait(uint64_t deliveries);
static void load_report(const load_flow_t *f, const load_snap_t *from);


static void
load_flow_begin(load_flow_t *f, int window)
{
    int           i, groups;
    load_conn_t  *c;

    memset(f, 0, sizeof(load_flow_t));

    groups = load.nstreams / load.options.streams;

    f->live = calloc((size_t) groups, sizeof(int));
    if (f->live == NULL) {
        load_fail("no memory");
    }

    for (i = 0; i < load.options.clients; i++) {
        c = &load.clients[i];
        f->live[load_first(c) / (uint32_t) load.options.streams] +=
                                                  c->state == LOAD_READY;
    }

    f->each = (uint64_t) (load.options.fan ? load.options.fan
                                           : load.options.clients);

    f->window = window == LOAD_FLOW ? 2 * f->each - 1
                                    : (uint64_t) window * f->each;
}


/* Returns 0 if the publisher of the next stream cannot take it now. */

static int
load_publish(load_flow_t *f, uint64_t due)
{
    uint32_t      stream;
    load_conn_t  *c;

    stream = (uint32_t) (f->messages * LOAD_STRIDE
                         % (uint64_t) load.nstreams);

    c = &load.publishers[stream % (uint32_t) load.options.publishers];

    if (c->state != LOAD_READY || c->out.len) {
        return 0;
    }

    load_say(c, stream, load.published[stream]++, due);

    f->messages++;
    f->owed += (uint64_t) f->live[stream / (uint32_t) load.options.streams];

    return 1;
}


/*
 * Publishes for so long: with a window, as soon as so many messages at most are
 * not with all of their subscribers; with LOAD_FLOW as soon as somebody has the
 * last one; or else at a fixed rate.  With a rate, latency counts from when a
 * message was due, so that a server that stops the publisher does not look
 * better for it.
 *
 * Whoever sends to a core that sleeps has to wake it, which on a virtual
 * machine takes longer than all else: with spin, nobody has to pay for that.
 */

void
load_run(uint32_t size, int window, double rate, double seconds)
{
    uint64_t     now, began, end, next, delivered, moved;
    load_flow_t  f;
    load_snap_t  from;

    load_phase(size);
    load_flow_begin(&f, window);

    from = load_snap();
    began = load_now();
    end = began + (uint64_t) (seconds * 1e9);
    moved = began;

    while ((now = load_now()) < end) {

        delivered = load.count.delivered;
        next = end;

        if (rate > 0) {
            next = load_publish_due(&f, began, 1e9 / rate);

        } else {
            load_publish_window(&f);
        }

        next = next < end ? next : end;
        load_turn(load.options.spin ? 0 : (int64_t) (next - now));

        if (load.count.delivered != delivered) {
            moved = load_now();

        } else if (load_now() - moved > LOAD_STUCK) {
            f.forgiven = f.owed - load.count.delivered;
            moved = load_now();
        }
    }

    load_drain(&f);

    load_begin("run");
    load_report(&f, &from);
    load_end();

    free(f.live);
}


static void
load_publish_window(load_flow_t *f)
{
    while (f->owed + f->each
           <= load.count.delivered + f->forgiven + f->window)
    {
        if (!load_publish(f, load_now())) {
            return;
        }
    }
}


/* What is due; returns when the next one is. */

static uint64_t
load_publish_due(load_flow_t *f, uint64_t began, double gap)
{
    uint64_t  due;

    for ( ;; ) {
        due = began + (uint64_t) ((double) f->messages * gap);

        if (due > load_now()) {
            return due;
        }

        if (!load_publish(f, due)) {
            return load_now() + 1000000;
        }
    }
}


static void
load_drain(const load_flow_t *f)
{
    load_wait(f->owed);

    /* what comes twice comes soon */

    load_turn(2000000);
}


/*
 * Until so much has been delivered, or nothing comes any more; a machine that
 * stands still meanwhile has not waited.
 */

static void
load_wait(uint64_t deliveries)
{
    uint64_t  last, idle, then, now;

    last = load.count.last;
    then = load_now();
    idle = 0;

    while (load.count.delivered < deliveries && idle <= LOAD_DRAIN) {
        load_turn(LOAD_TURN);

        now = load_now();
        idle += now - then < 2 * LOAD_TURN ? now - then : 2 * LOAD_TURN;
        then = now;

        if (load.count.last != last) {
            last = load.count.last;
            idle = 0;
        }
    }
}


static void
load_report(const load_flow_t *f, const load_snap_t *from)
{
    double       seconds;
    uint64_t     lost;
    load_snap_t  to;

    to = load_snap();
    lost = load_lost();
    seconds = (double) (to.at - from->at) / 1e9;

    load_number("phase", load.phase);
    load_number("size", load.size);
    load_number("seconds", seconds);
    load_number("messages", (double) f->messages);
    load_checked(lost);
    load_number("compressed", (double) load.count.compressed);
    load_number("bytes", (double) load.count.bytes
                / (double) (load.count.delivered ? load.count.delivered : 1));
    load_number("frames", (double) load.count.delivered
                / (double) (load.count.reads ? load.count.reads : 1));
    load_latencies();
    load_cost(from, &to, (double) (load.count.delivered + load.count.own));
}


/*
 * Bursts, each published at once and waited for, then a pause: how late is
 * the last delivery of a burst?
 */

void
load_burst(uint32_t size, int messages, int times)
{
    int          i, k;
    uint64_t     due;
    load_flow_t  f;
    load_snap_t  from;

    load_phase(size);
    load_flow_begin(&f, 0);
    from = load_snap();

    for (i = 0; i < times; i++) {
        due = load_now();

        for (k = 0; k < messages; k++) {
            while (!load_publish(&f, due)) {
                load_turn(1000000);

                if (load.publishers[0].state != LOAD_READY) {
                    load_fail("no publisher: %s", load.error);
                }
            }
        }

        load_wait(f.owed);
        load_pump(LOAD_PAUSE);
    }

    load_begin("burst");
    load_report(&f, &from);
    load_end();

    free(f.live);
}


/* Only receives what another load publishes in this phase, to stream 0. */

void
load_watch(uint32_t phase, uint32_t size, uint32_t messages, double seconds)
{
    uint64_t     end;
    load_flow_t  f;
    load_snap_t  from;

    load.phase = phase - 1;
    load_phase(size);
    load_flow_begin(&f, 0);

    load.published[0] = messages;
    f.messages = messages;
    f.owed = (uint64_t) messages * (uint64_t) f.live[0];

    from = load_snap();
    end = load_now() + (uint64_t) (seconds * 1e9);

    while (load.count.delivered < f.owed && load_now() < end) {
        load_turn(10000000);
    }

    load_begin("watch");
    load_report(&f, &from);
    load_end();

    free(f.live);
}
