/*
 * prepare.h: publication, event or control frame => prepared frame.
 *
 * Audience: session, conn.  Pure.  All return NULL when memory is short.
 */

#ifndef WSCAST_PREPARE_H
#define WSCAST_PREPARE_H


#include "../base/prepared.h"
#include "../base/publication.h"
#include "../dialect/dialect.h"
#include "../wire/deflate.h"
#include "../wire/frame.h"


/*
 * The frame of a publication for this dialect, encoded at the first call and
 * kept in the publication, which owns it: take a reference to keep it.
 * *told is 0, and NULL is returned, if the dialect does not tell such things.
 */
wscast_prepared_t *wscast_prepare_publication(wscast_publication_t *pub,
    const wscast_dialect_t *dialect, unsigned *told);

/*
 * The same message, packed; one reference.  NULL: that would not be smaller, or
 * there is no memory.
 */
wscast_prepared_t *wscast_prepare_packed(const wscast_prepared_t *plain,
    wscast_deflate_t *deflate, unsigned packing, int level);

/* The frame of an event; one reference, the caller's.  *told as above. */
wscast_prepared_t *wscast_prepare_event(const wscast_dialect_t *dialect,
    const wscast_heartbeat_t *hb, const wscast_event_t *e, unsigned *told);

/* A ping, pong or any other frame as it is; one reference. */
wscast_prepared_t *wscast_prepare_frame(unsigned opcode, const void *data,
    size_t len);

/* A close frame; code 1005: without a payload.  text: at most 123 bytes. */
wscast_prepared_t *wscast_prepare_close(unsigned code, const char *text);


#endif /* WSCAST_PREPARE_H */
