#include "grant.h"


static const struct {
    wscast_str_t    word;
    unsigned        ops;
} wscast_grant_words[] = {
    { wscast_string("subscribe"), WSCAST_MAY_SUBSCRIBE },
    { wscast_string("publish"),   WSCAST_MAY_PUBLISH },
    { wscast_string("presence"),  WSCAST_MAY_PRESENCE },
    { wscast_string("history"),   WSCAST_MAY_HISTORY },
    { wscast_string("all"),       WSCAST_MAY_ALL }
};


unsigned
wscast_grant_op(wscast_str_t word)
{
    size_t  i;

    for (i = 0;
         i < sizeof(wscast_grant_words) / sizeof(wscast_grant_words[0]);
         i++)
    {
        if (wscast_str_eq(word, wscast_grant_words[i].word)) {
            return wscast_grant_words[i].ops;
        }
    }

    return 0;
}


wscast_grants_t *
wscast_grants_create(const wscast_grant_t *g, size_t n)
{
    size_t            i, len;
    unsigned char    *p;
    wscast_grants_t  *grants;

    if (n > SIZE_MAX / 2 / sizeof(wscast_grant_t)) {
        return NULL;
    }

    len = sizeof(wscast_grants_t) + n * sizeof(wscast_grant_t);

    for (i = 0; i < n; i++) {
        len += g[i].pattern.len;
    }

    grants = wscast_alloc(len);

    if (grants == NULL) {
        return NULL;
    }

    grants->n = n;
    p = (unsigned char *) &grants->grant[n];

    for (i = 0; i < n; i++) {
        len = g[i].pattern.len;

        if (len) {
            memcpy(p, g[i].pattern.data, len);
        }

        grants->grant[i].ops = g[i].ops;
        grants->grant[i].pattern = wscast_str(p, len);
        p += len;
    }

    return grants;
}


void
wscast_grants_free(wscast_grants_t *g)
{
    wscast_free(g);
}


int
wscast_granted(const wscast_grants_t *g, unsigned op, wscast_str_t channel)
{
    size_t                 i;
    const wscast_grant_t  *grant;

    if (g == NULL || op == 0) {
        return 0;
    }

    for (i = 0; i < g->n; i++) {
        grant = &g->grant[i];

        if ((grant->ops & op) == op
            && wscast_pattern_match(grant->pattern, channel))
        {
            return 1;
        }
    }

    return 0;
}
