/*
 * ring: the input is a script for three views of one ring.  Each pair of bytes
 * is a deed: append (with a stamp or without), read, listen, leave, die, reap,
 * let time pass, lead; and, if the first byte says so, damage of the log.
 *
 * Undamaged, a plain list says what each must read: all that was appended while
 * it listened, in order, or an error after which it begins at the tail.
 * Damaged, nothing is promised but to stay inside of the memory, to end, and to
 * be whole again after all have read.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/map.c"
#include "../../src/bus/ring.c"
#include "../../src/bus/ring_leader.c"
#include "../../src/bus/ring_read.c"
#include "../../src/bus/ring_slots.c"


#define ZONE      16384             /* the least log there is: 4096 bytes */
#define VIEWS     3
#define CHANNELS  2
#define PAST      1024              /* records of a script */


typedef struct {
    wscast_ring_t       r;
    uint64_t            pid;
    unsigned            in;                 /* it has a slot */
    unsigned            listens[CHANNELS];
    unsigned            due[PAST];          /* records to be read */
    unsigned            first;
    unsigned            last;
} view_t;


static wscast_ring_sh_t  *sh;
static view_t             views[VIEWS];
static unsigned           locked, appended;
static uint64_t           clock_ms, pids;
static int                damaged;
static int                refuse, finished;     /* a stamp */
static uint64_t           due;                  /* the tail it awaits */


static void
lock(void *ctx)
{
    must(ctx == &views && !locked);
    locked = 1;
}


static void
unlock(void *ctx)
{
    must(ctx == &views && locked);
    locked = 0;
}


static int
alive(void *ctx, uint64_t pid)
{
    unsigned  i;

    must(ctx == &views);

    for (i = 0; i < VIEWS; i++) {
        if (views[i].in && views[i].pid == pid) {
            return 1;
        }
    }

    return 0;
}


static uint64_t
now(void *ctx)
{
    must(ctx == &views);

    return clock_ms;
}


static wscast_str_t
name(unsigned n)
{
    return wscast_str(&"cd"[n % CHANNELS], 1);
}


static void
enter(view_t *v)
{
    memset(v, 0, sizeof(view_t));
    v->r.lock = lock;
    v->r.unlock = unlock;
    v->r.alive = alive;
    v->r.now = now;
    v->r.ctx = &views;

    must(wscast_ring_open(&v->r, sh, ZONE) == WSCAST_OK);

    v->pid = ++pids;
    must(wscast_ring_claim(&v->r, v->pid, v->pid) == WSCAST_OK);
    v->in = 1;
}


static void
go(view_t *v, int dies)
{
    if (dies) {
        v->r.slot = WSCAST_NO_SLOT;
    }

    wscast_ring_close(&v->r);
    v->in = 0;
}


/* Ends the number that the body begins with, or says no. */

static wscast_status_t
apply(wscast_stamp_t *stamp, unsigned char *body, size_t len, uint64_t commit)
{
    (void) stamp;

    must(locked && !finished && commit > sh->tail);
    memset(body, (int) appended, len);
    memcpy(body, &appended, sizeof(appended));
    due = commit;

    return refuse ? WSCAST_NOMEM : WSCAST_OK;
}


static void
finish(wscast_stamp_t *stamp)
{
    (void) stamp;

    must(locked && sh->tail == due);
    finished = 1;
}


static size_t
size_of(unsigned n)
{
    return 4 + n * 97 % 1700;
}


static void
append(view_t *v, unsigned n)
{
    unsigned          i;
    unsigned char     body[2048];
    wscast_record_t   rec;
    wscast_status_t   rc;
    wscast_stamp_t    stamp;
    wscast_slotset_t  targets, wake;

    stamp.apply = apply;
    stamp.finish = finish;
    refuse = (n & 0x80) != 0;
    finished = 0;

    memset(&rec, 0, sizeof(rec));
    memset(body, (int) appended, sizeof(body));

    if (n & 0x40) {
        memset(body, 0xee, sizeof(appended));

    } else {
        memcpy(body, &appended, sizeof(appended));
    }

    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = n & 0x20 ? n % VIEWS : WSCAST_NO_SLOT;
    rec.channel = name(n);
    rec.body = wscast_str(body, size_of(appended));

    rc = wscast_ring_append_stamped(&v->r, &rec, n & 0x40 ? &stamp : NULL,
                                    &targets, &wake);
    must(rc == WSCAST_OK || rc == WSCAST_AGAIN
         || (rc == WSCAST_NOMEM && (n & 0xc0) == 0xc0));
    must(!wscast_slotset_has(&wake, v->r.slot));
    must(finished == (rc == WSCAST_OK && (n & 0x40) != 0));

    if (rc == WSCAST_NOMEM) {
        must(wscast_slotset_empty(&targets));
        return;
    }

    if (rc == WSCAST_AGAIN) {
        must(wscast_slotset_empty(&targets));
        must(sh->slots[v->r.slot].waiting);
        return;
    }

    for (i = 0; i < VIEWS; i++) {
        v = &views[i];

        if (v->in && (rec.to == WSCAST_NO_SLOT ? v->listens[n % CHANNELS]
                                               : v->r.slot == rec.to))
        {
            must(wscast_slotset_has(&targets, v->r.slot));
            v->due[v->last++] = appended;
        }
    }

    appended++;
}


static void
check_record(view_t *v, const wscast_record_t *rec)
{
    size_t    i;
    unsigned  n;

    must(rec->body.len >= sizeof(n));
    memcpy(&n, rec->body.data, sizeof(n));

    must(v->first < v->last && v->due[v->first] == n);
    v->first++;

    must(rec->body.len == size_of(n));

    for (i = sizeof(n); i < rec->body.len; i++) {
        must(rec->body.data[i] == (unsigned char) n);
    }
}


static wscast_status_t
read_one(view_t *v)
{
    wscast_record_t   rec;
    wscast_status_t   rc;
    wscast_slotset_t  wake;

    wscast_ring_awake(&v->r);
    rc = wscast_ring_read(&v->r, &rec, &wake);
    must(rc == WSCAST_OK || rc == WSCAST_MORE || rc == WSCAST_ERROR);

    if (rc == WSCAST_ERROR) {
        must(damaged || clock_ms > WSCAST_RING_STALL);
        v->first = v->last;
    }

    if (!damaged && rc == WSCAST_OK) {
        check_record(v, &rec);
    }

    if (!damaged && rc == WSCAST_MORE) {
        must(v->first == v->last && !wscast_ring_behind(&v->r));
    }

    return rc;
}


static void
read_all(view_t *v)
{
    unsigned  n;

    for (n = 0; read_one(v) != WSCAST_MORE; n++) {
        must(n < 1000);
    }
}


/* Its interest changes with nothing on its way, so that the list is exact. */

static void
listen_or_not(view_t *v, unsigned n)
{
    read_all(v);

    n %= CHANNELS;
    v->listens[n] = !v->listens[n];

    if (v->listens[n]) {
        wscast_ring_listen(&v->r, name(n));

    } else {
        wscast_ring_unlisten(&v->r, name(n));
    }
}


static void
deed(unsigned what, unsigned n)
{
    view_t            *v;
    wscast_slotset_t   wake;

    v = &views[what / 16 % VIEWS];

    if (!v->in) {
        enter(v);
        return;
    }

    switch (what % 16) {

    case 0:
        go(v, n & 1);
        break;

    case 1:
        listen_or_not(v, n);
        break;

    case 2:
        read_all(v);
        break;

    case 3:
        (void) wscast_ring_reap(&v->r);
        must(wscast_ring_workers(&v->r) <= VIEWS);
        break;

    case 4:
        clock_ms += n * 40;
        break;

    case 5:
        if (!wscast_ring_lead(&v->r, &wake)) {
            must(sh->leader && sh->leader != v->r.slot + 1);
        }

        break;

    case 6:
        wscast_ring_resign(&v->r, &wake);
        must(sh->leader != v->r.slot + 1);
        break;

    case 7:
        if (damaged) {
            v->r.log[n * 16 % 4096 + what % 7 * 2] ^= n;
        }

        break;

    case 8:
    case 9:
    case 10:
        (void) read_one(v);
        break;

    default:
        if (appended < PAST) {
            append(v, n);
        }
    }

    must(!locked);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    void      *p;
    size_t     i;
    unsigned   n, before;

    if (len < 1) {
        return 0;
    }

    must(posix_memalign(&p, 64, wscast_ring_size(ZONE)) == 0);
    sh = p;
    memset(p, 0, wscast_ring_size(ZONE));
    wscast_ring_format(sh, ZONE, 1, 7);

    memset(views, 0, sizeof(views));
    appended = 0;
    clock_ms = 1;
    pids = 0;
    damaged = data[0] & 1;

    for (i = 1; i + 1 < len; i += 2) {
        deed(data[i], data[i + 1]);
    }

    /* after all have read, the ring is whole, whatever there was */

    for (n = 0; n < VIEWS; n++) {
        if (views[n].in) {
            read_all(&views[n]);
            views[n].first = views[n].last;
        }
    }

    damaged = 0;

    if (!views[0].in) {
        enter(&views[0]);
    }

    if (!views[0].listens[0]) {
        listen_or_not(&views[0], 0);
    }

    for (n = 0; n < 20 && appended < PAST; n++) {
        before = appended;
        append(&views[0], 0);
        must(appended == before + 1);

        for (i = 0; i < VIEWS; i++) {
            if (views[i].in) {
                read_all(&views[i]);
            }
        }
    }

    for (n = 0; n < VIEWS; n++) {
        if (views[n].in) {
            go(&views[n], 0);
        }
    }

    free(sh);

    return 0;
}
