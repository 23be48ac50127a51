#include "token.h"
#include "base64url.h"
#include "../base/scan.h"


/* RFC 7515, 4.1 and RFC 7516, 4.1 */

typedef enum {
    HEADER_ALG = 0,
    HEADER_KID,
    HEADER_CRIT,
    HEADER_B64,
    HEADER_ZIP,
    HEADER_ENC,
    HEADER_MEMBERS
} wscast_token_header_e;


/* RFC 7519, 4.1, and ours */

typedef enum {
    CLAIM_SUB = 0,
    CLAIM_EXP,
    CLAIM_NBF,
    CLAIM_INFO,
    CLAIM_WSCAST,
    CLAIM_MEMBERS
} wscast_token_claim_e;


/* A token in its parts: views of what came, and of what was decoded. */

typedef struct {
    wscast_str_t        input;          /* what is signed */
    wscast_str_t        part[3];        /* header, payload, signature */
    unsigned char      *scratch;        /* where they were decoded to */
} wscast_token_t;


static wscast_status_t wscast_token_read(const wscast_keys_t *keys,
    wscast_token_t *t, uint64_t now, unsigned leeway,
    wscast_claims_t **claims, const char **reason);
static wscast_status_t wscast_token_split(wscast_token_t *t,
    wscast_str_t token);
static wscast_status_t wscast_token_decode(wscast_token_t *t);
static wscast_status_t wscast_token_members(wscast_str_t json,
    const wscast_str_t *names, wscast_json_member_t *m, size_t n);
static wscast_status_t wscast_token_header(wscast_str_t json,
    wscast_str_t *alg, wscast_str_t *kid, const char **reason);
static wscast_status_t wscast_token_claims(wscast_str_t json,
    wscast_claims_t **claims, const char **reason);
static wscast_status_t wscast_token_string(wscast_str_t raw,
    wscast_str_t *out);
static wscast_status_t wscast_token_fill(const wscast_json_member_t *m,
    wscast_claims_t *claims, const char **reason);
static wscast_status_t wscast_token_seconds(wscast_str_t raw,
    uint64_t *seconds);
static int wscast_token_exponent(const unsigned char *p,
    const unsigned char *end);
static wscast_status_t wscast_token_grants(wscast_str_t json,
    wscast_grants_t **grants);
static wscast_status_t wscast_token_patterns(wscast_str_t array,
    unsigned ops, wscast_grant_t *g, size_t *n);


static const wscast_str_t  wscast_token_header_names[HEADER_MEMBERS] = {
    wscast_string("alg"), wscast_string("kid"), wscast_string("crit"),
    wscast_string("b64"), wscast_string("zip"), wscast_string("enc")
};


static const wscast_str_t  wscast_token_claim_names[CLAIM_MEMBERS] = {
    wscast_string("sub"), wscast_string("exp"), wscast_string("nbf"),
    wscast_string("info"), wscast_string("wscast")
};


/* As in wscast_allow. */

static const wscast_str_t  wscast_token_ops[] = {
    wscast_string("subscribe"), wscast_string("publish"),
    wscast_string("presence"), wscast_string("history"), wscast_string("all")
};

#define WSCAST_TOKEN_OPS                                                      \
    (sizeof(wscast_token_ops) / sizeof(wscast_token_ops[0]))


wscast_status_t
wscast_token_verify(const wscast_keys_t *keys, wscast_str_t token,
    uint64_t now, unsigned leeway, wscast_claims_t **claims,
    const char **reason)
{
    wscast_token_t   t;
    wscast_status_t  rc;

    *claims = NULL;

    if (token.len > WSCAST_TOKEN_MAX) {
        *reason = "token is longer than 16 KB";
        return WSCAST_ERROR;
    }

    if (wscast_token_split(&t, token) != WSCAST_OK) {
        *reason = "token is malformed: it needs three parts";
        return WSCAST_ERROR;
    }

    t.scratch = wscast_alloc(token.len);

    if (t.scratch == NULL) {
        return WSCAST_NOMEM;
    }

    rc = wscast_token_read(keys, &t, now, leeway, claims, reason);

    wscast_free(t.scratch);

    if (rc != WSCAST_OK) {
        wscast_claims_free(*claims);
        *claims = NULL;
    }

    return rc;
}


void
wscast_claims_free(wscast_claims_t *claims)
{
    if (claims) {
        wscast_grants_free(claims->grants);
        wscast_free(claims);
    }
}


static wscast_status_t
wscast_token_read(const wscast_keys_t *keys, wscast_token_t *t, uint64_t now,
    unsigned leeway, wscast_claims_t **claims, const char **reason)
{
    wscast_str_t     alg, kid;
    wscast_status_t  rc;

    if (wscast_token_decode(t) != WSCAST_OK) {
        *reason = "token is malformed: its parts are not base64url";
        return WSCAST_ERROR;
    }

    if (wscast_token_header(t->part[0], &alg, &kid, reason) != WSCAST_OK
        || wscast_keys_verify(keys, alg, kid, t->input, t->part[2], reason)
           != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    rc = wscast_token_claims(t->part[1], claims, reason);

    if (rc != WSCAST_OK) {
        return rc;
    }

    if ((*claims)->has_exp && now >= (*claims)->exp + leeway) {
        *reason = "token has expired";
        return WSCAST_ERROR;
    }

    if ((*claims)->has_nbf && now + leeway < (*claims)->nbf) {
        *reason = "token is not valid yet";
        return WSCAST_ERROR;
    }

    return WSCAST_OK;
}


/* RFC 7515, 7.1: three parts; a JWE has five. */

static wscast_status_t
wscast_token_split(wscast_token_t *t, wscast_str_t token)
{
    size_t                i;
    const unsigned char  *p, *end, *dot;

    p = token.data;
    end = p + token.len;

    for (i = 0; i < 3; i++) {
        dot = (p < end) ? memchr(p, '.', end - p) : NULL;

        if ((dot == NULL) != (i == 2)) {
            return WSCAST_ERROR;
        }

        t->part[i] = wscast_str(p, (dot ? dot : end) - p);

        if (t->part[i].len == 0) {
            return WSCAST_ERROR;
        }

        if (i == 2) {
            t->input = wscast_str(token.data, p - 1 - token.data);

        } else {
            p = dot + 1;
        }
    }

    return WSCAST_OK;
}


static wscast_status_t
wscast_token_decode(wscast_token_t *t)
{
    size_t          i, len;
    unsigned char  *p;

    p = t->scratch;

    for (i = 0; i < 3; i++) {
        if (wscast_base64url_decode(t->part[i], p, &len) != WSCAST_OK) {
            return WSCAST_ERROR;
        }

        t->part[i] = wscast_str(p, len);
        p += len;
    }

    return WSCAST_OK;
}


/* Finds members, of which none may be there twice (RFC 7515, 4). */

static wscast_status_t
wscast_token_members(wscast_str_t json, const wscast_str_t *names,
    wscast_json_member_t *m, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        m[i].name = names[i];
    }

    if (wscast_json_members(json, m, n) != WSCAST_OK) {
        return WSCAST_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (m[i].times > 1) {
            return WSCAST_ERROR;
        }
    }

    return WSCAST_OK;
}


static wscast_status_t
wscast_token_header(wscast_str_t json, wscast_str_t *alg, wscast_str_t *kid,
    const char **reason)
{
    wscast_json_member_t  m[HEADER_MEMBERS];

    if (wscast_token_members(json, wscast_token_header_names, m,
                             HEADER_MEMBERS)
        != WSCAST_OK)
    {
        *reason = "token is malformed: its header is no good JSON object";
        return WSCAST_ERROR;
    }

    if (m[HEADER_CRIT].times || m[HEADER_B64].times || m[HEADER_ZIP].times
        || m[HEADER_ENC].times)
    {
        *reason = "token has a header that is not understood here";
        return WSCAST_ERROR;
    }

    *kid = wscast_str(NULL, 0);

    if (wscast_token_string(m[HEADER_ALG].value, alg) != WSCAST_OK
        || (m[HEADER_KID].times
            && wscast_token_string(m[HEADER_KID].value, kid) != WSCAST_OK))
    {
        *reason = "token is malformed: its header needs strings for alg and "
                  "kid";
        return WSCAST_ERROR;
    }

    return WSCAST_OK;
}


/* Decodes in place: raw is a part of the scratch. */

static wscast_status_t
wscast_token_string(wscast_str_t raw, wscast_str_t *out)
{
    if (!wscast_json_is_string(raw)) {
        return WSCAST_ERROR;
    }

    return wscast_json_decode((unsigned char *) raw.data, raw.len, out);
}


static wscast_status_t
wscast_token_claims(wscast_str_t json, wscast_claims_t **claims,
    const char **reason)
{
    unsigned char         *p;
    wscast_str_t           sub;
    wscast_claims_t       *c;
    wscast_json_member_t   m[CLAIM_MEMBERS];

    if (wscast_token_members(json, wscast_token_claim_names, m, CLAIM_MEMBERS)
        != WSCAST_OK)
    {
        *reason = "token is malformed: its claims are no good JSON object";
        return WSCAST_ERROR;
    }

    sub = wscast_str(NULL, 0);

    if (m[CLAIM_SUB].times
        && (wscast_token_string(m[CLAIM_SUB].value, &sub) != WSCAST_OK
            || (sub.len && !wscast_channel_valid(sub, WSCAST_SUB_MAX))))
    {
        *reason = "claim sub of the token is no string of up to 1024 bytes "
                  "without control characters";
        return WSCAST_ERROR;
    }

    if (m[CLAIM_INFO].value.len > WSCAST_INFO_MAX) {
        *reason = "claim info of the token is longer than 4 KB";
        return WSCAST_ERROR;
    }

    c = wscast_zalloc(sizeof(wscast_claims_t) + sub.len
                      + m[CLAIM_INFO].value.len);

    if (c == NULL) {
        return WSCAST_NOMEM;
    }

    *claims = c;
    p = (unsigned char *) (c + 1);

    if (sub.len) {
        memcpy(p, sub.data, sub.len);
        c->sub = wscast_str(p, sub.len);
        p += sub.len;
    }

    if (m[CLAIM_INFO].times) {
        memcpy(p, m[CLAIM_INFO].value.data, m[CLAIM_INFO].value.len);
        c->info = wscast_str(p, m[CLAIM_INFO].value.len);
    }

    return wscast_token_fill(m, c, reason);
}


static wscast_status_t
wscast_token_fill(const wscast_json_member_t *m, wscast_claims_t *claims,
    const char **reason)
{
    wscast_status_t  rc;

    claims->has_exp = (m[CLAIM_EXP].times != 0);
    claims->has_nbf = (m[CLAIM_NBF].times != 0);

    if ((claims->has_exp
         && wscast_token_seconds(m[CLAIM_EXP].value, &claims->exp)
            != WSCAST_OK)
        || (claims->has_nbf
            && wscast_token_seconds(m[CLAIM_NBF].value, &claims->nbf)
               != WSCAST_OK))
    {
        *reason = "claims exp and nbf of the token must be numbers";
        return WSCAST_ERROR;
    }

    if (m[CLAIM_WSCAST].times == 0) {
        return WSCAST_OK;
    }

    rc = wscast_token_grants(m[CLAIM_WSCAST].value, &claims->grants);

    if (rc == WSCAST_ERROR) {
        *reason = "claim wscast of the token is no object of arrays of "
                  "patterns";
    }

    return rc;
}


/*
 * A NumericDate (RFC 7519, 2), which may have a fraction and an exponent, in
 * whole seconds; what is before 1970 is 0, what is absurd is 2^53.  Not by
 * strtod(), which takes the point from the locale.
 */

static wscast_status_t
wscast_token_seconds(wscast_str_t raw, uint64_t *seconds)
{
    int                   exponent, n;
    double                value;
    const unsigned char  *p, *end;

    if (!wscast_json_is_number(raw)) {
        return WSCAST_ERROR;
    }

    p = raw.data;
    end = p + raw.len;
    value = 0;
    exponent = 0;

    if (*p == '-') {
        *seconds = 0;
        return WSCAST_OK;
    }

    for ( /* void */ ; p < end && *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (*p - '0');
    }

    if (p < end && *p == '.') {
        for (p++; p < end && *p >= '0' && *p <= '9'; p++) {

            if (value < 1e15) {             /* else it makes no second more */
                value = value * 10 + (*p - '0');
                exponent--;
            }
        }
    }

    exponent += wscast_token_exponent(p, end);

    /* both ends are far beyond what a double can hold */

    for (n = 0; exponent > 0 && n < 400; n++, exponent--) {
        value *= 10;
    }

    for (n = 0; exponent < 0 && n < 20000; n++, exponent++) {
        value /= 10;
    }

    *seconds = value < 9007199254740992.0 ? (uint64_t) value
                                          : (uint64_t) 1 << 53;

    return WSCAST_OK;
}


/* What is from the "e" on, if there is one; bounded. */

static int
wscast_token_exponent(const unsigned char *p, const unsigned char *end)
{
    int  n, negative;

    negative = (end - p > 1 && p[1] == '-');
    n = 0;

    for ( /* void */ ; p < end; p++) {
        if (*p >= '0' && *p <= '9' && n < 100000) {
            n = n * 10 + (*p - '0');
        }
    }

    return negative ? -n : n;
}


/* Each pattern takes three bytes of the claim: that bounds their number. */

static wscast_status_t
wscast_token_grants(wscast_str_t json, wscast_grants_t **grants)
{
    size_t                 i, n;
    wscast_grant_t        *g;
    wscast_status_t        rc;
    wscast_json_member_t   m[WSCAST_TOKEN_OPS];

    if (wscast_token_members(json, wscast_token_ops, m, WSCAST_TOKEN_OPS)
        != WSCAST_OK)
    {
        return WSCAST_ERROR;
    }

    g = wscast_alloc((json.len / 3 + 1) * sizeof(wscast_grant_t));

    if (g == NULL) {
        return WSCAST_NOMEM;
    }

    rc = WSCAST_OK;
    n = 0;

    for (i = 0; i < WSCAST_TOKEN_OPS && rc == WSCAST_OK; i++) {
        if (m[i].times) {
            rc = wscast_token_patterns(m[i].value,
                                       wscast_grant_op(wscast_token_ops[i]),
                                       g, &n);
        }
    }

    if (rc == WSCAST_OK) {
        *grants = wscast_grants_create(g, n);
        rc = *grants ? WSCAST_OK : WSCAST_NOMEM;
    }

    wscast_free(g);

    return rc;
}


static wscast_status_t
wscast_token_patterns(wscast_str_t array, unsigned ops, wscast_grant_t *g,
    size_t *n)
{
    wscast_str_t  raw, pattern;

    if (array.data[0] != '[') {
        return WSCAST_ERROR;
    }

    while (wscast_json_element(&array, &raw)) {

        if (wscast_token_string(raw, &pattern) != WSCAST_OK
            || !wscast_channel_valid(pattern, WSCAST_TOKEN_MAX))
        {
            return WSCAST_ERROR;
        }

        (void) wscast_pattern_compile((unsigned char *) pattern.data,
                                      pattern.len);

        g[*n].ops = ops;
        g[*n].pattern = pattern;
        (*n)++;
    }

    return WSCAST_OK;
}
