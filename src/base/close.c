#include "close.h"


#define WSCAST_FAULT_PEER  0
#define WSCAST_FAULT_OURS  1


static const wscast_close_t  wscast_close_rows[] = {
    { 0, 0, "none", "open" },
#define X(name, code, fault, counter, text)                                   \
    { code, WSCAST_FAULT_##fault, counter, text },
    WSCAST_CLOSE_TABLE(X)
#undef X
};


const wscast_close_t *
wscast_close_row(wscast_status_t reason)
{
    if (reason < 0 || reason >= WSCAST_CLOSE_MAX) {
        reason = WSCAST_CLOSE_INTERNAL;
    }

    return &wscast_close_rows[reason];
}
