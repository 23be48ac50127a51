/*
 * receipts.h: the publishes that an engine has not answered yet.
 *
 * Audience: session_case.h and session.fuzz.c, whose engines are not real.
 * Before its first receipt a test makes the list empty.
 */

#ifndef WSCAST_T_RECEIPTS_H
#define WSCAST_T_RECEIPTS_H


#include "../../src/base/receipt.h"


typedef struct {
    wscast_list_t        link;          /* of receipts */
    wscast_receipt_t    *receipt;
} outstanding_t;


static wscast_list_t  receipts;         /* the oldest first */


static void
outstanding(wscast_receipt_t *receipt)
{
    outstanding_t  *o;

    o = malloc(sizeof(outstanding_t));
    if (o == NULL) {
        abort();
    }

    o->receipt = receipt;
    wscast_list_append(&receipts, &o->link);
}


/* The oldest receipt is answered. */

static void
receive(wscast_status_t status)
{
    outstanding_t     *o;
    wscast_receipt_t  *receipt;

    if (wscast_list_empty(&receipts)) {
        return;
    }

    o = wscast_list_first(&receipts, outstanding_t, link);
    receipt = o->receipt;

    wscast_list_remove(&o->link);
    free(o);

    receipt->done(receipt, status);
}


#endif /* WSCAST_T_RECEIPTS_H */
