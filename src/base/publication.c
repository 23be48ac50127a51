#include "publication.h"


static wscast_str_t wscast_publication_copy(unsigned char **p, wscast_str_t s);


wscast_publication_t *
wscast_publication_create(const wscast_pub_fields_t *f)
{
    unsigned char         *p;
    wscast_publication_t  *pub;

    pub = wscast_alloc(sizeof(wscast_publication_t) + f->channel.len
                       + f->client.len + f->user.len + f->exclude.len
                       + f->info.len + f->key.len + f->data.len);

    if (pub == NULL) {
        return NULL;
    }

    memset(pub, 0, sizeof(wscast_publication_t));

    pub->refs = 1;
    pub->f = *f;

    p = (unsigned char *) (pub + 1);

    pub->f.channel = wscast_publication_copy(&p, f->channel);
    pub->f.client = wscast_publication_copy(&p, f->client);
    pub->f.user = wscast_publication_copy(&p, f->user);
    pub->f.exclude = wscast_publication_copy(&p, f->exclude);
    pub->f.info = wscast_publication_copy(&p, f->info);
    pub->f.key = wscast_publication_copy(&p, f->key);
    pub->f.data = wscast_publication_copy(&p, f->data);

    return pub;
}


static wscast_str_t
wscast_publication_copy(unsigned char **p, wscast_str_t s)
{
    unsigned char  *start;

    start = *p;

    if (s.len) {
        memcpy(start, s.data, s.len);
        *p += s.len;
    }

    return wscast_str(start, s.len);
}


void
wscast_publication_release(wscast_publication_t *p)
{
    unsigned  i;

    if (p == NULL || --p->refs) {
        return;
    }

    for (i = 0; i < WSCAST_VARIANTS; i++) {
        wscast_prepared_release(p->prepared[i]);
    }

    wscast_free(p);
}
