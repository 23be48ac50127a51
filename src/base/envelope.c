#include "envelope.h"
#include "utf8.h"


/* bits of a newer build are dropped: they may ask for nothing vital */

#define WSCAST_ENVELOPE_FLAGS                                                 \
    (WSCAST_PUB_BINARY | WSCAST_PUB_JSON | WSCAST_PUB_POSITION                \
     | WSCAST_PUB_NO_ECHO)


static unsigned char *wscast_envelope_copy(unsigned char *p, wscast_str_t s);
static uint64_t wscast_envelope_get(const unsigned char *p, unsigned bytes);
static wscast_str_t wscast_envelope_cut(wscast_str_t *rest, size_t len);


size_t
wscast_envelope_size(const wscast_pub_fields_t *f)
{
    if (f->client.len > 0xff
        || f->exclude.len > 0xff
        || f->user.len > 0xffff
        || f->info.len > 0xffffffff)
    {
        return 0;
    }

    return WSCAST_ENVELOPE_HEADER + f->client.len + f->exclude.len
           + f->user.len + f->info.len + f->data.len;
}


unsigned char *
wscast_envelope_encode(unsigned char *out, const wscast_pub_fields_t *f)
{
    int             position;
    unsigned char  *p;

    position = (f->flags & WSCAST_PUB_POSITION) != 0;

    p = out;

    *p++ = 0;
    *p++ = WSCAST_ENVELOPE_VERSION;
    *p++ = f->kind;
    *p++ = f->flags;

    p = wscast_envelope_put(p, f->time, 8);
    p = wscast_envelope_put(p, position ? f->epoch : 0, 8);
    p = wscast_envelope_put(p, position ? f->offset : 0, 8);

    *p++ = f->client.len;
    *p++ = f->exclude.len;

    p = wscast_envelope_put(p, f->user.len, 2);
    p = wscast_envelope_put(p, f->info.len, 4);

    p = wscast_envelope_copy(p, f->client);
    p = wscast_envelope_copy(p, f->exclude);
    p = wscast_envelope_copy(p, f->user);
    p = wscast_envelope_copy(p, f->info);

    return wscast_envelope_copy(p, f->data);
}


unsigned char *
wscast_envelope_put(unsigned char *p, uint64_t n, unsigned bytes)
{
    while (bytes--) {
        *p++ = n >> (8 * bytes);
    }

    return p;
}


static unsigned char *
wscast_envelope_copy(unsigned char *p, wscast_str_t s)
{
    if (s.len) {
        memcpy(p, s.data, s.len);
    }

    return p + s.len;
}


void
wscast_envelope_stamp(unsigned char *envelope, uint64_t epoch,
    uint64_t offset)
{
    if (epoch) {
        envelope[3] |= WSCAST_PUB_POSITION;

    } else {
        envelope[3] &= ~WSCAST_PUB_POSITION;
        offset = 0;
    }

    (void) wscast_envelope_put(envelope + 12, epoch, 8);
    (void) wscast_envelope_put(envelope + 20, offset, 8);
}


uint64_t
wscast_envelope_time(const unsigned char *envelope)
{
    return wscast_envelope_get(envelope + 4, 8);
}


wscast_status_t
wscast_envelope_decode(wscast_str_t channel, wscast_str_t bytes, uint64_t now,
    wscast_pub_fields_t *f)
{
    size_t                client, exclude, user, info;
    wscast_str_t          rest;
    const unsigned char  *p;

    memset(f, 0, sizeof(wscast_pub_fields_t));

    f->channel = channel;

    if (bytes.len == 0 || bytes.data[0] != 0) {
        f->flags = wscast_utf8_valid(bytes) ? 0 : WSCAST_PUB_BINARY;
        f->time = now;
        f->data = bytes;
        return WSCAST_OK;
    }

    p = bytes.data;

    if (bytes.len > 1 && p[1] != WSCAST_ENVELOPE_VERSION) {
        return WSCAST_MORE;
    }

    if (bytes.len < WSCAST_ENVELOPE_HEADER) {
        return WSCAST_ERROR;
    }

    if (p[2] >= WSCAST_PUB_KINDS) {
        return WSCAST_MORE;
    }

    client = p[28];
    exclude = p[29];
    user = wscast_envelope_get(p + 30, 2);
    info = wscast_envelope_get(p + 32, 4);

    rest = wscast_str(p + WSCAST_ENVELOPE_HEADER,
                      bytes.len - WSCAST_ENVELOPE_HEADER);

    if (rest.len < client + exclude + user
        || rest.len - (client + exclude + user) < info)
    {
        return WSCAST_ERROR;
    }

    f->kind = p[2];
    f->flags = p[3] & WSCAST_ENVELOPE_FLAGS;
    f->time = wscast_envelope_get(p + 4, 8);

    if (f->flags & WSCAST_PUB_POSITION) {
        f->epoch = wscast_envelope_get(p + 12, 8);
        f->offset = wscast_envelope_get(p + 20, 8);
    }

    f->client = wscast_envelope_cut(&rest, client);
    f->exclude = wscast_envelope_cut(&rest, exclude);
    f->user = wscast_envelope_cut(&rest, user);
    f->info = wscast_envelope_cut(&rest, info);
    f->data = rest;

    return WSCAST_OK;
}


static uint64_t
wscast_envelope_get(const unsigned char *p, unsigned bytes)
{
    uint64_t  n;

    n = 0;

    while (bytes--) {
        n = n << 8 | *p++;
    }

    return n;
}


static wscast_str_t
wscast_envelope_cut(wscast_str_t *rest, size_t len)
{
    wscast_str_t  s;

    s = wscast_str(rest->data, len);
    *rest = wscast_str(rest->data + len, rest->len - len);

    return s;
}
