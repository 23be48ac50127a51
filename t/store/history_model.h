/*
 * history_model.h: what a history must answer, from plain arrays.
 *
 * Audience: history_deeds.h.
 */

#ifndef WSCAST_T_HISTORY_MODEL_H
#define WSCAST_T_HISTORY_MODEL_H


#define CHANNELS  6
#define OBJECTS   1024


typedef struct {
    int          exists;
    uint64_t     epoch, offset, forgotten;
    uint64_t     time;              /* of an idle one */
    uint64_t     seq;               /* order among the idle ones */
    unsigned     count;
    wscast_end_t end;
} channel_t;

typedef struct {
    unsigned     channel, id;
    uint64_t     epoch, offset, time, expires;
    uint32_t     len;
    uint8_t      seed;
} message_t;

typedef struct {
    unsigned     channel, key;
    uint64_t     epoch, offset, time, expires;
} keyed_t;


static channel_t      channels[CHANNELS];
static message_t      messages[OBJECTS];        /* by age */
static unsigned       nmessages, last_id, swept;
static keyed_t        keys[OBJECTS];            /* by age */
static unsigned       nkeys;
static uint64_t       seq, evicted, clock_ms;

static unsigned char    body_bytes[65536 + 300];
static wscast_packed_t  packed;


/* Names of 1, 2, 49, 120, 200 and 300 bytes: with and without more blocks. */

static wscast_str_t
name_of(unsigned channel)
{
    static unsigned char  names[CHANNELS][300];
    static const size_t   len[CHANNELS] = { 1, 2, 49, 120, 200, 300 };

    memset(names[channel], 'A' + (int) channel, len[channel]);

    return wscast_str(names[channel], len[channel]);
}


static wscast_str_t
key_of(unsigned key)
{
    static const unsigned char  text[] = "0123456789abcdef";

    return key ? wscast_str(text, key % 16) : wscast_str(NULL, 0);
}


/* A body is counted up from its seed. */

static wscast_str_t
body_of(uint8_t seed, uint32_t len)
{
    size_t  i;

    if (body_bytes[1] == 0) {
        for (i = 0; i < sizeof(body_bytes); i++) {
            body_bytes[i] = (unsigned char) i;
        }
    }

    return wscast_str(body_bytes + seed, len);
}


static uint32_t
model_blocks(const channel_t *c)
{
    return wscast_heap_blocks(sizeof(wscast_entry_t)
                              + name_of((unsigned) (c - channels)).len);
}


static uint32_t
model_free(void)
{
    unsigned  i;
    uint32_t  n;

    n = nkeys;

    for (i = 0; i < nmessages; i++) {
        n += wscast_heap_blocks(sizeof(wscast_kept_t) + messages[i].len);
    }

    for (i = 0; i < CHANNELS; i++) {
        n += channels[i].exists ? model_blocks(&channels[i]) : 0;
    }

    return wscast_heap_total(&heap) - n;
}


static void
model_touch(channel_t *c)
{
    if (c->exists && c->count == 0) {
        c->time = clock_ms;
        c->seq = ++seq;
    }
}


static void
model_add(unsigned channel, uint64_t epoch, uint64_t offset)
{
    channel_t  *c;

    c = &channels[channel];
    memset(c, 0, sizeof(*c));
    c->exists = 1;
    c->epoch = epoch;
    c->offset = offset;
    model_touch(c);
}


/* Of one epoch the furthest counts, and of one offset who knows the time. */

static void
model_end(channel_t *c, const wscast_end_t *end)
{
    int  known;

    known = c->end.time != 0 || end->time == 0;

    if (c->end.position.epoch == end->position.epoch
        && c->end.position.offset + known > end->position.offset)
    {
        return;
    }

    c->end = *end;
}


static void
model_drop(unsigned i)
{
    channel_t  *c;

    c = &channels[messages[i].channel];
    c->count--;

    if (c->count == 0) {
        c->time = messages[i].time;
        c->seq = ++seq;
    }

    if (swept == messages[i].id) {
        swept = i + 1 < nmessages ? messages[i + 1].id : 0;
    }

    nmessages--;
    memmove(&messages[i], &messages[i + 1],
            (nmessages - i) * sizeof(messages[0]));
}


static void
model_drop_key(unsigned i)
{
    nkeys--;
    memmove(&keys[i], &keys[i + 1], (nkeys - i) * sizeof(keys[0]));
}


static int
model_first(unsigned channel)
{
    unsigned  i;

    for (i = 0; i < nmessages; i++) {
        if (messages[i].channel == channel) {
            return (int) i;
        }
    }

    return -1;
}


/* Throws away until so many blocks are free; 0: there is nothing left. */

static int
model_vacate(uint32_t blocks)
{
    unsigned    i;
    uint64_t    least, t;
    channel_t  *idle;

    while (model_free() < blocks) {
        idle = NULL;

        for (i = 0; i < CHANNELS; i++) {
            if (channels[i].exists && channels[i].count == 0
                && (idle == NULL || channels[i].seq < idle->seq))
            {
                idle = &channels[i];
            }
        }

        least = idle ? idle->time : UINT64_MAX;

        if (nmessages) {
            t = messages[0].expires <= clock_ms ? 0 : messages[0].time;

            if (t < least) {
                least = t;
                idle = NULL;

            } else {
                t = UINT64_MAX;
            }

        } else {
            t = UINT64_MAX;
        }

        if (nkeys && keys[0].time < least) {
            model_drop_key(0);

        } else if (t != UINT64_MAX) {
            evicted += messages[0].expires > clock_ms;
            model_drop(0);

        } else if (idle) {
            idle->exists = 0;

        } else {
            return 0;
        }
    }

    return 1;
}


static void
same(void)
{
    MUST(wscast_heap_free_blocks(&heap) == model_free());
    MUST(history.evicted == evicted);
}


static int
model_too_long(size_t len)
{
    return len / WSCAST_CELL_FIXED >= wscast_heap_total(&heap) / 4;
}


static wscast_status_t
model_room(unsigned channel, unsigned count, size_t len)
{
    int       fits;
    uint32_t  blocks;

    fits = !model_too_long(len);
    blocks = wscast_heap_blocks(sizeof(wscast_entry_t) + name_of(channel).len)
             + 1;

    if (fits && count) {
        blocks += wscast_heap_blocks(sizeof(wscast_kept_t) + len);
    }

    if (model_free() >= blocks) {
        return fits ? WSCAST_OK : WSCAST_MORE;
    }

    model_touch(&channels[channel]);

    return model_vacate(blocks) && fits ? WSCAST_OK : WSCAST_MORE;
}


#endif /* WSCAST_T_HISTORY_MODEL_H */
