/*
 * ring_case.h: one process; several views of the same ring, a clock of our own.
 *
 * Audience: t/bus/ring*.c.  fresh(n) formats memory and gives n views a slot
 * each; over() closes them and checks that nothing is left.
 */

#ifndef WSCAST_T_RING_CASE_H
#define WSCAST_T_RING_CASE_H


#include "../lib/unit.h"

#include "../../src/base/map.c"
#include "../../src/bus/ring.c"
#include "../../src/bus/ring_leader.c"
#include "../../src/bus/ring_read.c"
#include "../../src/bus/ring_slots.c"


#define ZONE     16384          /* the least log there is: 4096 bytes */
#define VIEWS    4
#define MEMBER(r, field)  (r)->sh->slots[(r)->slot].field


static wscast_ring_sh_t  *sh;
static wscast_ring_t      ring[VIEWS];
static int                locked, misused;
static int                dead[64];         /* by pid */
static uint64_t           clock_ms;
static wscast_slotset_t   targets, wake;
static wscast_record_t    got;


static void
lock(void *ctx)
{
    (void) ctx;

    misused += locked;
    locked = 1;
}


static void
unlock(void *ctx)
{
    (void) ctx;

    misused += !locked;
    locked = 0;
}


static int
alive(void *ctx, uint64_t pid)
{
    (void) ctx;

    return !dead[pid % 64];
}


static uint64_t
now(void *ctx)
{
    (void) ctx;

    return clock_ms;
}


static void
view(wscast_ring_t *r)
{
    memset(r, 0, sizeof(wscast_ring_t));
    r->lock = lock;
    r->unlock = unlock;
    r->alive = alive;
    r->now = now;

    if (wscast_ring_open(r, sh, ZONE) != WSCAST_OK) {
        abort();
    }
}


/* Fresh memory, exactly as large as it must be; n views with a slot each. */

static void
fresh(unsigned n)
{
    unsigned  i;
    void     *p;

    free(sh);

    if (posix_memalign(&p, 64, wscast_ring_size(ZONE)) != 0) {
        abort();
    }

    sh = p;
    memset(sh, 0x5a, wscast_ring_size(ZONE));
    wscast_ring_format(sh, ZONE, 1, 7);

    memset(dead, 0, sizeof(dead));
    clock_ms = 1000;
    locked = 0;

    for (i = 0; i < VIEWS; i++) {
        view(&ring[i]);
    }

    for (i = 0; i < n; i++) {
        if (wscast_ring_claim(&ring[i], 10 + i, 100 + i) != WSCAST_OK) {
            abort();
        }
    }
}


static void
over(void)
{
    unsigned  i;

    for (i = 0; i < VIEWS; i++) {
        wscast_ring_close(&ring[i]);
    }

    is_int(unit_live, 0, "nothing private is left over");
    is_int(misused, 0, "the lock is taken and given back in turn");
}


TAP_UNUSED static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


TAP_UNUSED static wscast_status_t
send_to(unsigned i, unsigned to, const char *channel, const void *body,
    size_t len)
{
    wscast_record_t  rec;

    memset(&rec, 0, sizeof(rec));
    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = to;
    rec.arg = 77;
    rec.channel = s(channel);
    rec.body = wscast_str(body, len);

    return wscast_ring_append(&ring[i], &rec, &targets, &wake);
}


TAP_UNUSED static wscast_status_t
append(unsigned i, const char *channel, const char *body)
{
    return send_to(i, WSCAST_NO_SLOT, channel, body, strlen(body));
}


TAP_UNUSED static wscast_status_t
next(unsigned i)
{
    return wscast_ring_read(&ring[i], &got, &wake);
}


TAP_UNUSED static int
reads(unsigned i, const char *body)
{
    return next(i) == WSCAST_OK && wscast_str_eq(got.body, s(body));
}


/* Records of 1024 bytes, until there is no room; how many there was. */

TAP_UNUSED static unsigned
fill(unsigned i, const char *channel)
{
    unsigned              n;
    static unsigned char  body[1024];

    for (n = 0; n < 100; n++) {
        if (send_to(i, WSCAST_NO_SLOT, channel, body,
                    1024 - sizeof(wscast_record_sh_t) - strlen(channel))
            != WSCAST_OK)
        {
            break;
        }
    }

    return n;
}


#endif /* WSCAST_T_RING_CASE_H */
