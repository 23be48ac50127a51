#include "prepare.h"


#define WSCAST_EVENT_HINT  128
#define WSCAST_REASON_MAX  (WSCAST_CONTROL_MAX - 2)


static wscast_prepared_t *wscast_prepare_finish(wscast_builder_t *b,
    unsigned bits, unsigned opcode);


wscast_prepared_t *
wscast_prepare_publication(wscast_publication_t *pub,
    const wscast_dialect_t *dialect, unsigned *told)
{
    wscast_event_t       e;
    wscast_prepared_t  **slot;

    *told = 1;
    slot = &pub->prepared[wscast_variant(dialect->variant, WSCAST_PLAIN)];

    if (*slot == NULL) {
        memset(&e, 0, sizeof(wscast_event_t));
        e.type = WSCAST_EVENT_MESSAGE;
        e.channel = pub->f.channel;
        e.pub = &pub->f;

        *slot = wscast_prepare_event(dialect, NULL, &e, told);
    }

    return *slot;
}


wscast_prepared_t *
wscast_prepare_packed(const wscast_prepared_t *plain,
    wscast_deflate_t *deflate, unsigned packing, int level)
{
    unsigned          opcode;
    wscast_str_t      packed;
    wscast_builder_t  b;

    packed = wscast_deflate(deflate, packing == WSCAST_PACKED
                                     ? WSCAST_WINDOW_BITS
                                     : WSCAST_WINDOW_SMALL,
                            level, wscast_prepared_payload(plain));

    if (packed.len == 0) {
        return NULL;
    }

    opcode = plain->bytes[plain->offset] & 0x0f;

    wscast_builder_init(&b, packed.len);
    wscast_builder_str(&b, packed);

    return wscast_prepare_finish(&b, WSCAST_FRAME_RSV1, opcode);
}


wscast_prepared_t *
wscast_prepare_event(const wscast_dialect_t *dialect,
    const wscast_heartbeat_t *hb, const wscast_event_t *e, unsigned *told)
{
    size_t            hint;
    unsigned          opcode;
    wscast_builder_t  b;

    hint = WSCAST_EVENT_HINT;

    if (e->pub) {
        hint += e->pub->data.len + e->pub->channel.len;
    }

    wscast_builder_init(&b, hint);

    opcode = dialect->encode(hb, e, &b);
    *told = (opcode != 0);

    if (opcode == 0) {
        wscast_builder_drop(&b);
        return NULL;
    }

    return wscast_prepare_finish(&b, 0, opcode);
}


wscast_prepared_t *
wscast_prepare_frame(unsigned opcode, const void *data, size_t len)
{
    wscast_builder_t  b;

    wscast_builder_init(&b, len);
    wscast_builder_put(&b, data, len);

    return wscast_prepare_finish(&b, 0, opcode);
}


wscast_prepared_t *
wscast_prepare_close(unsigned code, const char *text)
{
    size_t         len;
    unsigned char  payload[WSCAST_CONTROL_MAX];

    if (code == 1005) {
        return wscast_prepare_frame(WSCAST_OP_CLOSE, NULL, 0);
    }

    len = text ? strlen(text) : 0;

    if (len > WSCAST_REASON_MAX) {
        len = WSCAST_REASON_MAX;
    }

    payload[0] = (unsigned char) (code >> 8);
    payload[1] = (unsigned char) code;

    if (len) {
        memcpy(payload + 2, text, len);
    }

    return wscast_prepare_frame(WSCAST_OP_CLOSE, payload, 2 + len);
}


static wscast_prepared_t *
wscast_prepare_finish(wscast_builder_t *b, unsigned bits, unsigned opcode)
{
    size_t         len;
    unsigned char  header[WSCAST_FRAME_HEADER];

    len = wscast_frame_header(header, WSCAST_FRAME_FIN | bits, opcode,
                              wscast_builder_payload(b).len);

    return wscast_builder_finish(b, header, len);
}
