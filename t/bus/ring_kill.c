/* ring: a process is killed between any two steps of whatever it does. */

#include "ring_crash.h"


#define ZONE  16384         /* the least log there is: 4096 bytes */


typedef struct {
    const char   *name;
    void        (*prepare)(void);           /* the parent */
    void        (*act)(wscast_ring_t *r);   /* the child, who dies */
} deed_t;


/* Other memory: two words that must agree, and what undoes half a change. */

typedef struct {
    uint64_t      records;
    uint64_t      bytes;
    uint64_t      old[2];
    uint64_t      commit;
    uint64_t      open;
} ledger_t;


static wscast_ring_t  own;              /* the parent's: it survives */
static wscast_ring_t  view;             /* the child's */
static unsigned       steps_left;
static unsigned       before;           /* records that must be read */
static const deed_t  *deed;
static ledger_t       *ledger;          /* shared */


static void
die(void)
{
    if (--steps_left == 0) {
        kill(getpid(), SIGKILL);
    }
}


static wscast_str_t
s(const char *text)
{
    return wscast_str(text, strlen(text));
}


static wscast_status_t
put(wscast_ring_t *r, const char *channel, int byte, size_t len,
    wscast_stamp_t *stamp)
{
    wscast_record_t       rec;
    wscast_slotset_t      targets, wake;
    static unsigned char  body[4096];

    memset(body, byte, sizeof(body));
    memset(&rec, 0, sizeof(rec));
    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = WSCAST_NO_SLOT;
    rec.channel = s(channel);
    rec.body = wscast_str(body, len);

    return wscast_ring_append_stamped(r, &rec, stamp, &targets, &wake);
}


static wscast_status_t
append(wscast_ring_t *r, const char *channel, size_t len)
{
    return put(r, channel, 'b', len, NULL);
}


static wscast_status_t
enter_it(wscast_stamp_t *stamp, unsigned char *body, size_t len,
    uint64_t commit)
{
    (void) stamp;

    ledger->old[0] = ledger->records;
    wscast_step();
    ledger->old[1] = ledger->bytes;
    wscast_step();
    ledger->commit = commit;
    wscast_step();
    wscast_store(&ledger->open, 1);
    wscast_step();
    ledger->records++;
    wscast_step();
    memset(body, 'b', len / 2);
    wscast_step();
    memset(body, 'b', len);
    ledger->bytes += len;

    return WSCAST_OK;
}


static void
close_it(wscast_stamp_t *stamp)
{
    (void) stamp;

    wscast_store(&ledger->open, 0);
}


/* Says no when all is written, and takes it back. */

static wscast_status_t
enter_not(wscast_stamp_t *stamp, unsigned char *body, size_t len,
    uint64_t commit)
{
    (void) enter_it(stamp, body, len, commit);

    ledger->records = ledger->old[0];
    wscast_step();
    ledger->bytes = ledger->old[1];
    wscast_step();
    close_it(stamp);

    return WSCAST_ERROR;
}


/* Under the lock: the record counts if it became visible. */

static void
mend(void)
{
    if (wscast_load(&ledger->open)) {

        if (wscast_load(&sh->tail) < ledger->commit) {
            ledger->records = ledger->old[0];
            ledger->bytes = ledger->old[1];
        }

        wscast_store(&ledger->open, 0);
    }
}


/* How many whole records there are to read; -1: one was not whole. */

static int
drain(wscast_ring_t *r)
{
    int               n;
    size_t            i;
    wscast_status_t   rc;
    wscast_record_t   rec;
    wscast_slotset_t  wake;

    for (n = 0; ; n++) {
        rc = wscast_ring_read(r, &rec, &wake);

        if (rc == WSCAST_MORE) {
            return n;
        }

        if (rc != WSCAST_OK || rec.channel.len != 1) {
            return -1;
        }

        for (i = 0; i < rec.body.len; i++) {
            if (rec.body.data[i] != 'b') {
                return -1;
            }
        }
    }
}


static void
fill(wscast_ring_t *r)
{
    while (append(r, "c", 983) == WSCAST_OK) {
        before++;
    }
}


static void
nothing(void)
{
}


static void
near_end(void)
{
    unsigned  i;

    /* 3600 bytes are used and read, so that the next one needs a pad */

    for (i = 0; i < 4; i++) {
        append(&own, "c", 859);
    }

    drain(&own);
}


static void
full(void)
{
    fill(&own);
}


/* Another leads, stands a whole log behind the tail, and dies. */

static void
nap(void *arg)
{
    wscast_ring_t  r;

    (void) arg;

    if (enter(&r) != 0) {
        _exit(3);
    }

    wscast_ring_listen(&r, s("c"));
    wscast_ring_own_counters(&r)[WSCAST_COUNT_MSG_IN] = 1000;
    sh->leader = r.slot + 1;
    sh->redis_up = 1;
    sh->floor = sh->tail - sh->log_size;
    sh->slots[r.slot].cursor = sh->floor;
}


static void
dead_in_the_way(void)
{
    near_end();
    near_end();
}


static void
survivor_leads(void)
{
    wscast_slotset_t  wake;

    (void) wscast_ring_lead(&own, &wake);
    sh->redis_up = 1;
}


static void
append_short(wscast_ring_t *r)
{
    append(r, "c", 10);
}


static void
append_long(wscast_ring_t *r)
{
    append(r, "c", 1500);
}


static void
append_stamped(wscast_ring_t *r)
{
    wscast_stamp_t  stamp = { enter_it, close_it };

    put(r, "c", 'x', 1500, &stamp);
}


static void
append_refused(wscast_ring_t *r)
{
    wscast_stamp_t  stamp = { enter_not, close_it };

    if (put(r, "c", 'x', 1500, &stamp) != WSCAST_ERROR) {
        _exit(4);
    }
}


static void
append_unheard(wscast_ring_t *r)
{
    append(r, "u", 1500);
}


static void
read_all(wscast_ring_t *r)
{
    drain(r);
}


static void
lost(wscast_ring_t *r)
{
    wscast_record_t   rec;
    wscast_slotset_t  wake;

    sh->slots[r->slot].state = WSCAST_SLOT_CUT;
    wscast_ring_read(r, &rec, &wake);
}


static void
leave(wscast_ring_t *r)
{
    wscast_ring_leave(r);
}


static void
come_and_go(wscast_ring_t *r)
{
    wscast_ring_leave(r);
    wscast_ring_claim(r, getpid(), 1);
    wscast_ring_own_counters(r)[WSCAST_COUNT_MSG_IN] += 5;
    wscast_ring_listen(r, s("c"));
    wscast_ring_unlisten(r, s("c"));
}


static void
lead(wscast_ring_t *r)
{
    wscast_slotset_t  wake;

    wscast_ring_lead(r, &wake);
    wscast_ring_resign(r, &wake);
    wscast_ring_lead(r, &wake);
}


/* The heir is the survivor: nobody else is there. */

static void
bequeath(wscast_ring_t *r)
{
    wscast_slotset_t  wake;

    wscast_ring_lead(r, &wake);
    wscast_ring_bequeath(r, &wake);
    wscast_ring_pass(r, sh->leader_epoch, &wake);
}


/* The survivor leads, and hangs; it is asked whether it does by its clock. */

static void
depose(wscast_ring_t *r)
{
    wscast_slotset_t  wake;

    r->beaten = r->now(r->ctx);
    r->steady = r->beaten - WSCAST_RING_SILENT - 1;
    sh->slots[own.slot].beat = r->steady;

    (void) wscast_ring_depose(r, &wake);
}


static void
reap_dead(wscast_ring_t *r)
{
    wscast_ring_reap(r);
}


static const deed_t  deeds[] = {
    { "appending", nothing, append_short },
    { "appending around the end", near_end, append_long },
    { "appending with a stamp", nothing, append_stamped },
    { "appending with a stamp around the end", near_end, append_stamped },
    { "a stamp that says no", near_end, append_refused },
    { "appending what nobody wants", nothing, append_unheard },
    { "appending to a full log", full, append_short },
    { "appending past a dead one", dead_in_the_way, append_long },
    { "reading", full, read_all },
    { "noticing that it was cut", full, lost },
    { "leaving", nothing, leave },
    { "leaving and coming back", nothing, come_and_go },
    { "leading", nothing, lead },
    { "handing the lead over", nothing, bequeath },
    { "deposing a leader", survivor_leads, depose },
    { "reaping", dead_in_the_way, reap_dead }
};


static void
child(void *arg)
{
    unsigned  at;

    at = *(unsigned *) arg;

    if (enter(&view) != 0) {
        _exit(3);
    }

    wscast_ring_listen(&view, s("c"));
    wscast_ring_own_counters(&view)[WSCAST_COUNT_MSG_IN] = 10;

    if (deed->prepare == full) {
        /* what the parent has appended is behind this slot's cursor */
        wscast_store(&sh->slots[view.slot].cursor, 0);
    }

    if (deed->prepare == dead_in_the_way && reap(spawn(nap, NULL)) != 0) {
        _exit(3);
    }

    steps_left = at;
    wscast_ring_hook = die;
    deed->act(&view);
}


/* What must hold whatever happened; NULL, or what did not. */

static const char *
wrong(void)
{
    int               n, i, inherited;
    uint64_t          sum[WSCAST_COUNTERS], epoch, at_least;
    wscast_slotset_t  wake;

    n = drain(&own);

    if (n != (int) before && n != (int) before + 1) {
        return "a survivor misses a record";
    }

    own.lock(own.ctx);
    own.unlock(own.ctx);

    if (deed->act == append_stamped
        ? (ledger->records != n - before
           || ledger->bytes != 1500 * (n - before))
        : (ledger->records != 0 || ledger->bytes != 0))
    {
        return "a stamp and its record disagree";
    }

    if (deed->act == append_refused && n != (int) before) {
        return "what was refused is there";
    }

    epoch = sh->leader_epoch;
    wscast_ring_reap(&own);

    if (wscast_ring_workers(&own) != 1) {
        return "a slot is lost";
    }

    inherited = (deed->act == bequeath || deed->act == depose)
                && sh->leader == own.slot + 1;

    if ((sh->leader != 0 && !inherited)
        || (sh->redis_up && !(deed->act == depose && inherited))
        || sh->leader_epoch < epoch)
    {
        return "the dead lead";
    }

    if (sh->heir != 0 && !inherited) {
        return "there is an heir to nobody";
    }

    if (!wscast_ring_lead(&own, &wake)
        || (sh->leader_epoch <= epoch && !inherited))
    {
        return "there is no new epoch";
    }

    at_least = deed->prepare == dead_in_the_way ? 1010 : 10;
    wscast_ring_counters(&own, sum);

    if (sum[WSCAST_COUNT_MSG_IN] != at_least
        && sum[WSCAST_COUNT_MSG_IN] != at_least + 5)
    {
        return "what was counted is lost or counted twice";
    }

    for (i = 0; i < (int) (sh->buckets * WSCAST_SLOT_WORDS); i++) {
        if (own.interest[i] & ~(uint64_t) (i % 2 ? 0 : 1)) {
            return "the dead are interested";
        }
    }

    /* several times around the log */

    for (i = 0; i < 30; i++) {
        if (append(&own, "c", 700) != WSCAST_OK || drain(&own) != 1) {
            return "the log is not usable any more";
        }
    }

    return NULL;
}


static void
test_deed(void)
{
    int          status;
    pid_t        pid;
    unsigned     at, bad;
    const char  *why;

    bad = 0;

    for (at = 1; at < 1000; at++) {
        fresh(ZONE);
        before = 0;
        memset(ledger, 0, sizeof(ledger_t));

        if (enter(&own) != 0) {
            abort();
        }

        wscast_ring_listen(&own, s("c"));
        deed->prepare();

        pid = spawn(child, &at);
        status = reap(pid);
        why = status == -1 || status == 0 ? wrong() : "it failed";

        if (why && bad++ == 0) {
            note("killed at step %u of %s: %s", at, deed->name, why);
        }

        wscast_ring_close(&own);

        if (status != -1) {
            break;
        }
    }

    is_int(bad, 0, "%s: killed at each of %u steps, nothing is lost",
           deed->name, at - 1);
    ok(at > 1 && at < 1000, "%s: there are steps", deed->name);
}


int
main(void)
{
    unsigned  i;

    alarm(60);

    ledger = shared(sizeof(ledger_t));
    recover = mend;

    for (i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        deed = &deeds[i];
        test_deed();
    }

    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
