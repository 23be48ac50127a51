#include "load.h"


#define LOAD_LOOK    256        /* bytes in which a payload must begin */
#define LOAD_WINDOW  64         /* numbers that a track remembers */


/*
 * A payload:  #W stream(4) phase(4) number(8) due(16) size(6) ; text $
 * in hexadecimal digits, so that any dialect passes it through.
 */

static const uint8_t *load_find(const uint8_t *data, size_t len);
static void load_mark(load_conn_t *c, const uint8_t *m, size_t len,
    uint64_t now);
static void load_track(load_conn_t *c, uint32_t stream, uint32_t seq);
static char *load_wrap(const char *wrap, const char *payload,
    uint32_t stream, size_t *len);
static uint64_t load_hex(const uint8_t *p, int n);
static void load_unhex(uint8_t *p, uint64_t v, int n);


static uint8_t   load_reference[LOAD_SIZE_MAX + 1];
static char     *load_said;             /* a message; its payload at said_at */
static size_t    load_said_len;
static size_t    load_said_at;
static size_t    load_said_channel;     /* 0: it names none */
static size_t    load_hint;


void
load_phase(uint32_t size)
{
    size_t             i, text;
    uint8_t           *mark;
    uint32_t           random;
    static const char  pad[] = "{'user':'u####','text':'the quick ### fox',"
                               "'at':17634#####.###,'ok':true},";

    if (size < LOAD_SIZE_MIN || size > LOAD_SIZE_MAX) {
        load_fail("a payload of %u bytes", size);
    }

    text = sizeof(pad) - 1;
    load.phase++;
    load.size = size;
    memset(&load.count, 0, sizeof(load.count));
    memset(load.published, 0, sizeof(uint32_t) * (size_t) load.nstreams);
    memset(load.tracks, 0, sizeof(load_track_t)
           * (size_t) load.options.clients * (size_t) load.options.streams);
    load_latency_reset();

    memset(load_reference, '0', LOAD_MARK);
    memcpy(load_reference, "#W", 2);
    load_unhex(load_reference + 34, size, 6);
    load_reference[LOAD_MARK - 1] = ';';

    for (random = size, i = LOAD_MARK; i < size; i++) {
        load_reference[i] = (uint8_t) pad[i % text];

        /* digits, so that it does not compress better than JSON does */

        if (load_reference[i] == '#') {
            random = random * 1103515245 + 12345;
            load_reference[i] = (uint8_t) ('0' + (random >> 16) % 10);
        }
    }

    load_reference[size - 1] = '$';
    load_reference[size] = '\0';

    free(load_said);
    load_said = load_wrap(load.options.say ? load.options.say : "%s",
                          (char *) load_reference, 0, &load_said_len);

    mark = memmem(load_said, load_said_len, "#W", 2);
    if (mark == NULL) {
        load_fail("--say without %%s");
    }

    load_said_at = (size_t) (mark - (uint8_t *) load_said);
    load_said_channel = 0;

    if (load.options.say && strstr(load.options.say, "%c")) {
        load_said_channel = (size_t) (strstr(load.options.say, "%c")
                                      - load.options.say);
    }
}


/* A template with its %s and %c filled in; %c comes first, if at all. */

static char *
load_wrap(const char *wrap, const char *payload, uint32_t stream, size_t *len)
{
    char        *text;
    size_t       n;
    const char  *p;

    text = malloc(strlen(wrap) + strlen(payload) + 32);
    if (text == NULL) {
        load_fail("no memory");
    }

    for (n = 0, p = wrap; *p; p++) {

        if (p[0] == '%' && p[1] == 's') {
            memcpy(text + n, payload, strlen(payload));
            n += strlen(payload);
            p++;

        } else if (p[0] == '%' && p[1] == 'c') {
            load_unhex((uint8_t *) text + n, stream, 4);
            n += 4;
            p++;

        } else {
            text[n++] = *p;
        }
    }

    *len = n;

    return text;
}


void
load_say(load_conn_t *c, uint32_t stream, uint32_t seq, uint64_t due)
{
    uint8_t  *m;

    m = (uint8_t *) load_said + load_said_at;

    load_unhex(m + 2, stream, 4);
    load_unhex(m + 6, load.phase & 0xffff, 4);
    load_unhex(m + 10, seq, 8);
    load_unhex(m + 18, due, 16);

    if (load_said_channel) {
        load_unhex((uint8_t *) load_said + load_said_channel, stream, 4);
    }

    load_frame(c, 1, (uint8_t *) load_said, load_said_len);
}


/* The first stream that a client is given. */

uint32_t
load_first(const load_conn_t *c)
{
    if (load.options.fan == 0) {
        return 0;
    }

    return c->index / (uint32_t) load.options.fan
           * (uint32_t) load.options.streams;
}


/* Asks for all streams of the client; without --join that is not needed. */

void
load_join(load_conn_t *c)
{
    int       i;
    char     *text;
    size_t    len;

    if (c->role == LOAD_SUBSCRIBER && load.options.join) {

        for (i = 0; i < load.options.streams; i++) {
            text = load_wrap(load.options.join, "",
                             load_first(c) + (uint32_t) i, &len);
            load_frame(c, 1, (uint8_t *) text, len);
            free(text);
        }

        if (load.options.ack) {
            return;
        }
    }

    if (c->state == LOAD_JOINING && c->role != LOAD_CYCLER) {
        c->state = LOAD_READY;
        load.ready++;
    }
}


void
load_message(load_conn_t *c, const uint8_t *data, size_t len, uint64_t now)
{
    const char     *ack;
    const uint8_t  *m;

    ack = load.options.ack;

    if (c->state == LOAD_JOINING && ack) {

        if (memmem(data, len, ack, strlen(ack))
            && ++c->acks == (uint32_t) load.options.streams)
        {
            c->state = LOAD_READY;
            load.ready++;
        }

        return;
    }

    m = load_find(data, len);

    if (m == NULL) {
        load.count.foreign++;
        return;
    }

    load_mark(c, m, len - (size_t) (m - data), now);
}


/* Where the last payload began, the next one begins, as a rule. */

static const uint8_t *
load_find(const uint8_t *data, size_t len)
{
    const uint8_t  *m;

    if (len >= load_hint + LOAD_MARK && data[load_hint] == '#'
        && data[load_hint + 1] == 'W')
    {
        return data + load_hint;
    }

    m = memmem(data, len < LOAD_LOOK ? len : LOAD_LOOK, "#W", 2);

    if (m == NULL || len - (size_t) (m - data) < LOAD_MARK) {
        return NULL;
    }

    load_hint = (size_t) (m - data);

    return m;
}


static void
load_mark(load_conn_t *c, const uint8_t *m, size_t len, uint64_t now)
{
    uint32_t  stream, seq;

    if (load_hex(m + 6, 4) != (load.phase & 0xffff)) {

        /* nobody waits for what publishers get of their own */

        load.count.stale += (c->role == LOAD_SUBSCRIBER);
        return;
    }

    stream = (uint32_t) load_hex(m + 2, 4);
    seq = (uint32_t) load_hex(m + 10, 8);

    if (len < load.size
        || (load.options.say == NULL && len > load.size)
        || memcmp(m + 34, load_reference + 34, load.size - 34) != 0)
    {
        load.count.corrupt++;
        load_error("client %u: number %u is corrupt", c->index, seq);
        return;
    }

    if (c->role == LOAD_PUBLISHER) {
        load.count.own++;
        return;
    }

    load_track(c, stream, seq);

    load.count.last = now;
    load_latency_add(now - load_hex(m + 18, 16));

    if (load.echoing) {
        load_echo_next(c);
    }
}


static void
load_track(load_conn_t *c, uint32_t stream, uint32_t seq)
{
    uint32_t       ahead, back;
    load_track_t  *t;

    stream -= load_first(c);

    if (stream >= (uint32_t) load.options.streams) {
        load.count.corrupt++;
        load_error("client %u: not its stream", c->index);
        return;
    }

    t = &load.tracks[(size_t) c->index * (size_t) load.options.streams
                     + stream];

    if (seq >= t->next) {
        ahead = seq - t->next + 1;
        t->seen = ahead < LOAD_WINDOW ? t->seen << ahead | 1 : 1;
        t->next = seq + 1;

    } else {
        back = t->next - 1 - seq;

        if (back >= LOAD_WINDOW || t->seen >> back & 1) {
            load.count.duplicates++;
            return;
        }

        t->seen |= (uint64_t) 1 << back;
        load.count.disordered++;
    }

    t->got++;
    load.count.delivered++;
}


/* What has been published and not been got, over all clients and streams. */

uint64_t
load_lost(void)
{
    int            i, k;
    uint32_t       published;
    uint64_t       lost;
    load_track_t  *t;

    lost = 0;

    for (i = 0; i < load.options.clients; i++) {
        for (k = 0; k < load.options.streams; k++) {
            t = &load.tracks[(size_t) i * (size_t) load.options.streams
                             + (size_t) k];
            published = load.published[load_first(&load.clients[i])
                                       + (uint32_t) k];
            lost += published > t->got ? published - t->got : 0;
        }
    }

    return lost;
}


static uint64_t
load_hex(const uint8_t *p, int n)
{
    int       i;
    uint64_t  v;

    v = 0;

    for (i = 0; i < n; i++) {
        v = v << 4 | (uint64_t) ((p[i] & 15) + (p[i] >> 6) * 9);
    }

    return v;
}


static void
load_unhex(uint8_t *p, uint64_t v, int n)
{
    while (n--) {
        p[n] = (uint8_t) "0123456789abcdef"[v & 15];
        v >>= 4;
    }
}
