#include <cjson/cJSON.h>

#include "dialect.h"
#include "../base/scan.h"


static const wscast_dialect_t  *wscast_dialects[] = {
    &wscast_dialect_text,
    &wscast_dialect_json
};


const wscast_dialect_t *
wscast_dialect_find(wscast_str_t name)
{
    size_t       i;
    const char  *known;

    for (i = 0; i < sizeof(wscast_dialects) / sizeof(wscast_dialects[0]); i++) {
        known = wscast_dialects[i]->name;

        if (wscast_str_eq(name, wscast_str(known, strlen(known)))) {
            return wscast_dialects[i];
        }
    }

    return NULL;
}


wscast_status_t
wscast_heartbeat_init(wscast_heartbeat_t *hb, wscast_str_t in,
    wscast_str_t out)
{
    hb->on = 1;
    hb->in = in;
    hb->out = out;
    hb->in_json = NULL;

    if (!wscast_json_valid(in)) {
        return WSCAST_OK;
    }

    hb->in_json = cJSON_ParseWithLength((const char *) in.data, in.len);

    if (hb->in_json == NULL) {
        hb->on = 0;
        return WSCAST_NOMEM;
    }

    return WSCAST_OK;
}


void
wscast_heartbeat_done(wscast_heartbeat_t *hb)
{
    cJSON_Delete((cJSON *) hb->in_json);
    hb->in_json = NULL;
    hb->on = 0;
}
