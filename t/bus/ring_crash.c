/* ring: many processes at full speed, and some of them are killed. */

#include "ring_crash.h"


#define WRITERS  3
#define READERS  3
#define VICTIMS  2                  /* readers that may be killed, too */
#define RECORDS  (1024 * 1024)      /* a reader notes at most so many */
#define DOUBTS   1024

#define NUMBER(n)   ((n) & 0xffffffff)
#define WRITER(n)   ((n) >> 32)


typedef struct {
    uint64_t        begun[WRITERS];         /* number of the record at hand */
    uint64_t        taken[WRITERS];         /* of the last that was appended */
    uint64_t        ready;                  /* readers that listen */
    uint64_t        stop;                   /* writers: no more */
    uint64_t        end;                    /* readers: at the tail, exit */
    uint64_t        count[READERS];
    uint64_t        seen[READERS][RECORDS]; /* writer << 32 | number */
} table_t;


typedef struct {
    unsigned        n;
    uint64_t        upto;                   /* writers: 0: until stop */
} role_t;


static table_t  *table;


/* The body says who wrote it, which it is, and fills up with both. */

static size_t
make(unsigned char *body, uint64_t id)
{
    size_t  i, len;

    len = 8 + (id * 2654435761u >> 7) % 300;

    memcpy(body, &id, 8);

    for (i = 8; i < len; i++) {
        body[i] = (unsigned char) (id * 31 + i);
    }

    return len;
}


static void
writer(void *arg)
{
    role_t           *role;
    uint64_t          id;
    unsigned char     body[512];
    wscast_ring_t     r;
    wscast_record_t   rec;
    wscast_slotset_t  targets, wake;
    wscast_status_t   rc;

    role = arg;

    if (enter(&r) != 0) {
        _exit(3);
    }

    memset(&rec, 0, sizeof(rec));
    rec.kind = WSCAST_REC_PUBLICATION;
    rec.to = WSCAST_NO_SLOT;
    rec.channel = wscast_str("c", 1);

    while (!wscast_load(&table->stop)) {
        id = table->begun[role->n] + 1;

        if (role->upto && id > role->upto) {
            break;
        }

        wscast_store(&table->begun[role->n], id);
        id |= (uint64_t) role->n << 32;

        rec.body = wscast_str(body, make(body, id));

        /* nearly always for the readers; else for nobody */
        rec.channel.data = (const unsigned char *) (id % 10 ? "c" : "u");

        while ((rc = wscast_ring_append(&r, &rec, &targets, &wake))
               == WSCAST_AGAIN)
        {
            sched_yield();
        }

        if (rc != WSCAST_OK) {
            _exit(4);
        }

        wscast_store(&table->taken[role->n], NUMBER(id));
    }

    wscast_ring_close(&r);
}


/* n < READERS: notes what it sees.  Others only look whether it is whole. */

static void
reader(void *arg)
{
    role_t           *role;
    uint64_t          id, last[WRITERS];
    unsigned char     body[512];
    wscast_ring_t     r;
    wscast_record_t   rec;
    wscast_slotset_t  wake;
    wscast_status_t   rc;

    role = arg;
    memset(last, 0, sizeof(last));

    if (enter(&r) != 0) {
        _exit(3);
    }

    wscast_ring_listen(&r, wscast_str("c", 1));
    __atomic_add_fetch(&table->ready, 1, __ATOMIC_SEQ_CST);

    for ( ;; ) {
        rc = wscast_load(&table->end) ? WSCAST_MORE : WSCAST_OK;
        wscast_ring_awake(&r);

        if (rc == WSCAST_MORE && !wscast_ring_behind(&r)) {
            break;
        }

        rc = wscast_ring_read(&r, &rec, &wake);

        if (rc == WSCAST_MORE) {
            sched_yield();
            continue;
        }

        if (rc != WSCAST_OK || rec.body.len < 8) {
            _exit(5);
        }

        memcpy(&id, rec.body.data, 8);

        if (WRITER(id) >= WRITERS || rec.body.len != make(body, id)
            || memcmp(body, rec.body.data, rec.body.len) != 0)
        {
            _exit(6);
        }

        if (NUMBER(id) <= last[WRITER(id)]) {
            _exit(7);
        }

        last[WRITER(id)] = NUMBER(id);

        if (role->n < READERS) {
            if (table->count[role->n] == RECORDS) {
                _exit(8);
            }

            table->seen[role->n][table->count[role->n]++] = id;
        }
    }

    wscast_ring_close(&r);
}


static void
begin(size_t size)
{
    fresh(size);

    if (table == NULL) {
        table = shared(sizeof(table_t));
    }

    memset(table, 0, offsetof(table_t, seen));
}


static void
await_readers(unsigned n)
{
    while (wscast_load(&table->ready) < n) {
        usleep(100);
    }
}


/*
 * Every record that append has taken has been seen once, by each reader, in
 * one order; those whose writer died over them may have been.
 */

static unsigned
missing(uint64_t doubt[WRITERS][DOUBTS], const unsigned *ndoubts)
{
    unsigned  n, w, d, bad;
    uint64_t  i, id, next[WRITERS];

    bad = 0;

    for (n = 1; n < READERS; n++) {
        bad += table->count[n] != table->count[0]
               || memcmp(table->seen[n], table->seen[0],
                         table->count[0] * sizeof(uint64_t)) != 0;
    }

    for (w = 0; w < WRITERS; w++) {
        next[w] = 1;
    }

    for (i = 0; i <= table->count[0]; i++) {

        /* past the end: what has been taken, and not been seen? */

        for (w = 0; w < WRITERS; w++) {

            id = table->taken[w] + 1;

            if (i < table->count[0]) {
                if (WRITER(table->seen[0][i]) != w) {
                    continue;
                }

                id = NUMBER(table->seen[0][i]);
            }

            for ( /* void */ ; next[w] < id; next[w]++) {

                if ((next[w] | (uint64_t) w << 32) % 10 == 0) {
                    continue;
                }

                for (d = 0; d < ndoubts[w] && doubt[w][d] != next[w]; d++) {
                    /* void */
                }

                bad += d == ndoubts[w];
            }

            next[w] = id + 1;
        }
    }

    return bad;
}


static void
test_speed(size_t size, unsigned each)
{
    role_t           w[WRITERS], r[READERS];
    pid_t            wpid[WRITERS], rpid[READERS];
    unsigned         i, bad, ndoubts[WRITERS];
    static uint64_t  doubt[WRITERS][DOUBTS];

    begin(size);
    memset(ndoubts, 0, sizeof(ndoubts));
    bad = 0;

    for (i = 0; i < READERS; i++) {
        r[i].n = i;
        rpid[i] = spawn(reader, &r[i]);
    }

    await_readers(READERS);

    for (i = 0; i < WRITERS; i++) {
        w[i].n = i;
        w[i].upto = each;
        wpid[i] = spawn(writer, &w[i]);
    }

    for (i = 0; i < WRITERS; i++) {
        bad += reap(wpid[i]) != 0;
    }

    wscast_store(&table->end, 1);

    for (i = 0; i < READERS; i++) {
        bad += reap(rpid[i]) != 0;
    }

    is_int(bad, 0, "%d writers and %d readers of %u records each end well",
           WRITERS, READERS, each);
    is_int(table->taken[0] + table->taken[1] + table->taken[2], each * WRITERS,
           "all is taken");
    is_int(missing(doubt, ndoubts), 0,
           "all is seen by each, once, in one order");
}


/* A writer is dead: what it was at may have become visible, or not. */

static void
bury(unsigned w, uint64_t doubt[WRITERS][DOUBTS], unsigned *ndoubts)
{
    if (table->begun[w] != table->taken[w]) {
        if (ndoubts[w] == DOUBTS) {
            abort();
        }

        doubt[w][ndoubts[w]++] = table->begun[w];
    }
}


static void
test_kills(size_t size, unsigned kills)
{
    int              status;
    pid_t            pid[WRITERS + VICTIMS], rpid[READERS];
    role_t           role[WRITERS + VICTIMS], r[READERS];
    unsigned         i, n, bad, killed, ndoubts[WRITERS];
    wscast_ring_t    own;
    static uint64_t  doubt[WRITERS][DOUBTS];

    begin(size);
    memset(ndoubts, 0, sizeof(ndoubts));
    bad = killed = 0;

    for (i = 0; i < READERS; i++) {
        r[i].n = i;
        rpid[i] = spawn(reader, &r[i]);
    }

    await_readers(READERS);

    for (i = 0; i < WRITERS + VICTIMS; i++) {
        role[i].n = i < WRITERS ? i : READERS;
        role[i].upto = 0;
        pid[i] = spawn(i < WRITERS ? writer : reader, &role[i]);
    }

    for (n = 0; n < kills; n++) {
        usleep((useconds_t) unit_below(3000));

        i = (unsigned) unit_below(WRITERS + VICTIMS);
        kill(pid[i], SIGKILL);
        status = reap(pid[i]);
        killed += status == -1;
        bad += status != -1;

        if (i < WRITERS) {
            bury(i, doubt, ndoubts);
        }

        pid[i] = spawn(i < WRITERS ? writer : reader, &role[i]);
    }

    wscast_store(&table->stop, 1);

    for (i = 0; i < WRITERS; i++) {
        bad += reap(pid[i]) != 0;
    }

    wscast_store(&table->end, 1);

    for (i = 0; i < VICTIMS; i++) {
        bad += reap(pid[WRITERS + i]) != 0;
    }

    for (i = 0; i < READERS; i++) {
        status = reap(rpid[i]);

        if (status) {
            note("reader %u ended with %d", i, status);
            bad++;
        }
    }

    note("%u kills, %llu records, %u in doubt", killed,
         (unsigned long long) table->count[0],
         ndoubts[0] + ndoubts[1] + ndoubts[2]);

    is_int(bad, 0, "of %u kills at random the survivors notice nothing",
           killed);
    ok(table->count[0] > 10 * kills, "much has been written meanwhile");
    is_int(missing(doubt, ndoubts), 0,
           "all that was taken is seen by each survivor, once, in one order");

    if (enter(&own) != 0) {
        abort();
    }

    is_int(wscast_ring_workers(&own), 1, "no slot is lost to the dead");
    wscast_ring_close(&own);
}


int
main(void)
{
    alarm(120);

    test_speed(WSCAST_RING_MIN, 20000);
    test_speed(16384, 5000);
    test_kills(WSCAST_RING_MIN, 150);
    test_kills(16384, 150);

    is_int(unit_live, 0, "nothing private is left over");

    return done();
}
