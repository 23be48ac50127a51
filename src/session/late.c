#include "late.h"


wscast_position_t
wscast_late_position(const wscast_pub_fields_t *f)
{
    wscast_position_t  position;

    position.epoch = 0;
    position.offset = 0;

    if (f->kind == WSCAST_PUB_MESSAGE || f->kind == WSCAST_PUB_BROKEN) {
        position.epoch = f->epoch;
        position.offset = f->offset;
    }

    return position;
}


int
wscast_late_add(wscast_list_t *list, wscast_prepared_t *frame,
    wscast_position_t position)
{
    wscast_late_t  *late;

    late = wscast_alloc(sizeof(wscast_late_t));
    if (late == NULL) {
        return 0;
    }

    late->frame = wscast_prepared_ref(frame);
    late->position = position;

    wscast_list_append(list, &late->link);

    return 1;
}


void
wscast_late_remove(wscast_late_t *late)
{
    wscast_list_remove(&late->link);
    wscast_prepared_release(late->frame);
    wscast_free(late);
}


void
wscast_late_clear(wscast_list_t *list)
{
    while (!wscast_list_empty(list)) {
        wscast_late_remove(wscast_list_first(list, wscast_late_t, link));
    }
}
