#include "offer.h"
#include "field.h"


/* What is still to be read of a field. */

typedef struct {
    const unsigned char   *p;
    const unsigned char   *end;
} wscast_offer_rest_t;


typedef struct {
    wscast_str_t           name;
    size_t                 len;         /* of its value */
    char                   value[2];    /* the beginning of it */
    unsigned               valued;      /* 1: it has one */
} wscast_offer_param_t;


/* What an offer says; bits: 0: nothing, ANY: without a value. */

typedef struct {
    unsigned               server_fresh;
    unsigned               client_fresh;
    unsigned               server_bits;
    unsigned               client_bits;
} wscast_offer_said_t;


#define WSCAST_OFFER_ANY       16
#define WSCAST_OFFER_LEAST     8
#define WSCAST_OFFER_MOST      15


static int wscast_offer_one(wscast_offer_rest_t *r, wscast_offer_said_t *said);
static int wscast_offer_param(wscast_offer_rest_t *r, wscast_offer_param_t *p);
static int wscast_offer_quoted(wscast_offer_rest_t *r,
    wscast_offer_param_t *p);
static int wscast_offer_say(wscast_offer_said_t *said,
    const wscast_offer_param_t *p);
static unsigned wscast_offer_bits(const wscast_offer_param_t *p);
static int wscast_offer_agree(const wscast_offer_said_t *said,
    wscast_offer_t *agreed);
static wscast_str_t wscast_offer_token(wscast_offer_rest_t *r);
static void wscast_offer_space(wscast_offer_rest_t *r);
static int wscast_offer_char(wscast_offer_rest_t *r, unsigned char c);
static void wscast_offer_skip(wscast_offer_rest_t *r);
static size_t wscast_offer_put(char *out, size_t at, const char *s);


#define wscast_offer_is(s, lit)                                               \
    wscast_str_eq(s, wscast_str(lit, sizeof(lit) - 1))


int
wscast_offer(wscast_str_t field, wscast_offer_t *agreed)
{
    wscast_offer_rest_t  r;
    wscast_offer_said_t  said;

    memset(agreed, 0, sizeof(wscast_offer_t));

    r.p = field.data;
    r.end = field.len ? field.data + field.len : field.data;

    for ( ;; ) {

        do {
            wscast_offer_space(&r);
        } while (wscast_offer_char(&r, ','));

        if (r.p == r.end) {
            return 0;
        }

        memset(&said, 0, sizeof(wscast_offer_said_t));

        if (wscast_offer_one(&r, &said)
            && wscast_offer_agree(&said, agreed))
        {
            return 1;
        }

        wscast_offer_skip(&r);
    }
}


/* 1: an offer of ours has been read, and every word of it is understood. */

static int
wscast_offer_one(wscast_offer_rest_t *r, wscast_offer_said_t *said)
{
    wscast_offer_param_t  param;

    if (!wscast_offer_is(wscast_offer_token(r), "permessage-deflate")) {
        return 0;
    }

    for ( ;; ) {
        wscast_offer_space(r);

        if (r->p == r->end || *r->p == ',') {
            return 1;
        }

        if (!wscast_offer_char(r, ';')
            || !wscast_offer_param(r, &param)
            || !wscast_offer_say(said, &param))
        {
            return 0;
        }
    }
}


/* token [ "=" ( token / quoted-string ) ] */

static int
wscast_offer_param(wscast_offer_rest_t *r, wscast_offer_param_t *p)
{
    wscast_str_t  value;

    memset(p, 0, sizeof(wscast_offer_param_t));

    wscast_offer_space(r);
    p->name = wscast_offer_token(r);
    wscast_offer_space(r);

    if (p->name.len == 0 || !wscast_offer_char(r, '=')) {
        return p->name.len != 0;
    }

    p->valued = 1;
    wscast_offer_space(r);

    if (wscast_offer_char(r, '"')) {
        return wscast_offer_quoted(r, p);
    }

    value = wscast_offer_token(r);

    if (value.len) {
        memcpy(p->value, value.data, value.len == 1 ? 1 : 2);
    }

    p->len = value.len;

    return value.len != 0;
}


/*
 * "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
 * (RFC 6455, 9.1).  It is read to its end first, so that what follows is found.
 */

static int
wscast_offer_quoted(wscast_offer_rest_t *r, wscast_offer_param_t *p)
{
    int            token;
    unsigned char  c;

    token = 1;

    while (r->p < r->end) {
        c = *r->p++;

        if (c == '"') {
            return token && p->len;
        }

        if (c == '\\') {

            if (r->p == r->end) {
                return 0;
            }

            c = *r->p++;
        }

        token = token && wscast_field_tchar(c);

        if (p->len < sizeof(p->value)) {
            p->value[p->len] = (char) c;
        }

        p->len++;
    }

    return 0;
}


/* RFC 7692, 7.1: 0 if the parameter makes the offer one to decline. */

static int
wscast_offer_say(wscast_offer_said_t *said, const wscast_offer_param_t *p)
{
    unsigned  *to, value;

    value = 1;

    if (wscast_offer_is(p->name, "server_no_context_takeover")) {
        to = &said->server_fresh;

    } else if (wscast_offer_is(p->name, "client_no_context_takeover")) {
        to = &said->client_fresh;

    } else if (wscast_offer_is(p->name, "server_max_window_bits")) {
        to = &said->server_bits;
        value = wscast_offer_bits(p);

    } else if (wscast_offer_is(p->name, "client_max_window_bits")) {
        to = &said->client_bits;
        value = p->valued ? wscast_offer_bits(p) : WSCAST_OFFER_ANY;

    } else {
        return 0;
    }

    if (*to || value == 0 || (value == 1 && p->valued)) {
        return 0;
    }

    *to = value;

    return 1;
}


/* "a decimal integer value without leading zeroes between 8 to 15"; or 0 */

static unsigned
wscast_offer_bits(const wscast_offer_param_t *p)
{
    unsigned  n;

    if (p->len == 1 && p->value[0] >= '0' && p->value[0] <= '9') {
        n = (unsigned) (p->value[0] - '0');

    } else if (p->len == 2 && p->value[0] == '1'
               && p->value[1] >= '0' && p->value[1] <= '9')
    {
        n = 10 + (unsigned) (p->value[1] - '0');

    } else {
        return 0;
    }

    return n < WSCAST_OFFER_LEAST || n > WSCAST_OFFER_MOST ? 0 : n;
}


static int
wscast_offer_agree(const wscast_offer_said_t *said, wscast_offer_t *agreed)
{
    if (said->server_bits && said->server_bits < WSCAST_WINDOW_SMALL) {
        return 0;
    }

    agreed->on = 1;
    agreed->say_bits = said->server_bits != 0;
    agreed->bits = said->server_bits && said->server_bits < WSCAST_WINDOW_BITS
                   ? WSCAST_WINDOW_SMALL : WSCAST_WINDOW_BITS;

    if (said->client_bits && !said->client_fresh) {
        agreed->client_bits = said->client_bits < WSCAST_WINDOW_CLIENT
                              ? said->client_bits : WSCAST_WINDOW_CLIENT;
    }

    return 1;
}


size_t
wscast_offer_answer(const wscast_offer_t *agreed,
    char out[WSCAST_OFFER_ANSWER])
{
    char    digits[3];
    size_t  n;

    n = wscast_offer_put(out, 0, "permessage-deflate"
                                 "; server_no_context_takeover");

    if (agreed->say_bits) {
        n = wscast_offer_put(out, n, agreed->bits == WSCAST_WINDOW_BITS
                                     ? "; server_max_window_bits=15"
                                     : "; server_max_window_bits=9");
    }

    if (agreed->client_bits == 0) {
        return wscast_offer_put(out, n, "; client_no_context_takeover");
    }

    n = wscast_offer_put(out, n, "; client_max_window_bits=");

    digits[0] = '1';
    digits[1] = (char) ('0' + agreed->client_bits % 10);
    digits[2] = '\0';

    return wscast_offer_put(out, n, agreed->client_bits < 10 ? digits + 1
                                                             : digits);
}


static size_t
wscast_offer_put(char *out, size_t at, const char *s)
{
    size_t  len;

    len = strlen(s);
    memcpy(out + at, s, len);

    return at + len;
}


/* Up to the comma behind this offer. */

static void
wscast_offer_skip(wscast_offer_rest_t *r)
{
    wscast_offer_param_t  quoted;

    while (r->p < r->end && *r->p != ',') {

        if (wscast_offer_char(r, '"')) {
            quoted.len = 0;
            (void) wscast_offer_quoted(r, &quoted);

        } else {
            r->p++;
        }
    }
}


/* Empty if there is none. */

static wscast_str_t
wscast_offer_token(wscast_offer_rest_t *r)
{
    const unsigned char  *p;

    p = r->p;

    while (r->p < r->end && wscast_field_tchar(*r->p)) {
        r->p++;
    }

    return wscast_str(p, (size_t) (r->p - p));
}


static void
wscast_offer_space(wscast_offer_rest_t *r)
{
    while (r->p < r->end && wscast_field_ows(*r->p)) {
        r->p++;
    }
}


static int
wscast_offer_char(wscast_offer_rest_t *r, unsigned char c)
{
    if (r->p == r->end || *r->p != c) {
        return 0;
    }

    r->p++;

    return 1;
}
