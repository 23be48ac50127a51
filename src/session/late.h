/*
 * late.h: frames that come later than they were made, in order.
 *
 * Audience: entry.c.
 */

#ifndef WSCAST_SESSION_LATE_H
#define WSCAST_SESSION_LATE_H


#include "../base/list.h"
#include "../base/prepared.h"
#include "../base/publication.h"
#include "../base/query.h"


typedef struct {
    wscast_list_t            link;
    wscast_prepared_t       *frame;
    wscast_position_t        position;      /* epoch 0: it has none */
} wscast_late_t;


/*
 * Where a publication is in its channel's history; epoch 0: nowhere, so that
 * nobody can read it again.
 */
wscast_position_t wscast_late_position(const wscast_pub_fields_t *f);

/* Appends a reference of the frame.  1, or 0: no memory. */
int wscast_late_add(wscast_list_t *list, wscast_prepared_t *frame,
    wscast_position_t position);

/* Takes it out of its list and frees it. */
void wscast_late_remove(wscast_late_t *late);

/* All of them. */
void wscast_late_clear(wscast_list_t *list);


#endif /* WSCAST_SESSION_LATE_H */
