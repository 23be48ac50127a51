/*
 * list.h: an intrusive, circular, doubly linked list.
 *
 * Audience: all rooms.  A list is a head node; its elements embed a
 * wscast_list_t.  An unlinked element points to itself, so that removing it
 * once more does no harm.  Nothing is allocated.
 */

#ifndef WSCAST_LIST_H
#define WSCAST_LIST_H


#include "base.h"


typedef struct wscast_list_s  wscast_list_t;

struct wscast_list_s {
    wscast_list_t  *prev;
    wscast_list_t  *next;
};


static inline void
wscast_list_init(wscast_list_t *l)
{
    l->prev = l;
    l->next = l;
}


static inline int
wscast_list_empty(const wscast_list_t *l)
{
    return l->next == l;
}


static inline void
wscast_list_append(wscast_list_t *head, wscast_list_t *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}


static inline void
wscast_list_remove(wscast_list_t *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l;
    l->next = l;
}


/* The first element of a list that is not empty, cast to its type. */

#define wscast_list_first(head, type, member)                                 \
    wscast_container((head)->next, type, member)


/* Walks while the element at hand may be removed. */

#define wscast_list_each(l, tmp, head)                                        \
    for ((l) = (head)->next, (tmp) = (l)->next;                               \
         (l) != (head);                                                       \
         (l) = (tmp), (tmp) = (l)->next)


/* 1 if every link is mutual, 0 if the list is damaged.  For tests. */

static inline int
wscast_list_validate(const wscast_list_t *head)
{
    const wscast_list_t  *l;

    for (l = head; /* void */ ; l = l->next) {
        if (l->next->prev != l || l->prev->next != l) {
            return 0;
        }

        if (l->next == head) {
            return 1;
        }
    }
}


#endif /* WSCAST_LIST_H */
