/*
 * json_inner.h: the two halves of the json dialect.
 *
 * Audience: json.c (message => command), json_events.c (event => message).
 */

#ifndef WSCAST_JSON_INNER_H
#define WSCAST_JSON_INNER_H


#include "dialect.h"


/* As wscast_dialect_t.encode(). */
unsigned wscast_json_write(const wscast_heartbeat_t *hb,
    const wscast_event_t *e, wscast_builder_t *b);


#endif /* WSCAST_JSON_INNER_H */
