/*
 * wire/offer: the answer must be that of the plain reading below, which cuts
 * the field into offers and parameters first and looks at them then.
 */

#include "../lib/fuzz_main.h"

#include "../../src/wire/offer.c"


#define PIECE  512


/* Up to one of `ends` outside quotes; what is behind it, or NULL. */

static const char *
piece(const char *s, char end, char out[PIECE])
{
    size_t  n;
    int     quoted;

    quoted = 0;

    for (n = 0; s[n] && (quoted || s[n] != end); n++) {

        if (quoted && s[n] == '\\' && s[n + 1]) {
            out[n] = s[n];
            n++;

        } else if (s[n] == '"') {
            quoted = !quoted;
        }

        out[n] = s[n];
    }

    out[n] = '\0';

    return s[n] ? s + n + 1 : NULL;
}


static char *
trim(char *s)
{
    size_t  n;

    s += strspn(s, " \t");

    for (n = strlen(s); n && strchr(" \t", s[n - 1]); n--) {
        s[n - 1] = '\0';
    }

    return s;
}


/* 8 to 15, or 0; "" and \ are taken off. */

static unsigned
bits(const char *value)
{
    char    plain[PIECE];
    size_t  n, len;

    len = strlen(value);
    n = 0;

    if (value[0] == '"') {

        for (value++; *value && *value != '"'; value++) {

            if (*value == '\\' && value[1]) {
                value++;
            }

            plain[n++] = *value;
        }

        if (value[0] != '"' || value[1]) {
            return 0;
        }

    } else {
        memcpy(plain, value, len);
        n = len;
    }

    plain[n] = '\0';

    if (strcmp(plain, "8") == 0 || strcmp(plain, "9") == 0) {
        return (unsigned) (plain[0] - '0');
    }

    return n == 2 && plain[0] == '1' && plain[1] >= '0' && plain[1] <= '5'
           ? 10 + (unsigned) (plain[1] - '0') : 0;
}


/* 1: this one is accepted. */

static int
one(const char *offer, wscast_offer_t *a)
{
    int          n;
    char        *name, *value, param[PIECE];
    unsigned     server, client, fresh, own, seen;
    const char  *rest;

    server = client = fresh = own = 0;
    rest = offer;

    for (n = 0; rest; n++) {
        rest = piece(rest, ';', param);
        name = trim(param);

        if (n == 0) {

            if (strcmp(name, "permessage-deflate") != 0) {
                return 0;
            }

            continue;
        }

        value = strchr(name, '=');

        if (value) {
            *value = '\0';
            value = trim(value + 1);
            name = trim(name);
        }

        seen = strcmp(name, "server_no_context_takeover") == 0 ? own++
               : strcmp(name, "client_no_context_takeover") == 0 ? fresh++
               : 2;

        if (seen != 2) {

            if (seen || value) {
                return 0;
            }

        } else if (strcmp(name, "server_max_window_bits") == 0) {

            if (server || !value || (server = bits(value)) < 9) {
                return 0;
            }

        } else if (strcmp(name, "client_max_window_bits") == 0) {

            if (client || (client = value ? bits(value) : 15) == 0) {
                return 0;
            }

        } else {
            return 0;
        }
    }

    a->on = 1;
    a->say_bits = server != 0;
    a->bits = server && server < 15 ? 9 : 15;
    a->client_bits = fresh ? 0 : client > 12 ? 12 : client;

    return 1;
}


static int
plain(const char *field, wscast_offer_t *a)
{
    char         offer[PIECE];
    const char  *rest;

    for (rest = field; rest; /* void */ ) {
        rest = piece(rest, ',', offer);

        if (one(offer, a)) {
            return 1;
        }
    }

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char            text[PIECE], out[WSCAST_OFFER_ANSWER];
    wscast_offer_t  got, want;

    /* nginx lets no zero byte into a header field */

    if (len >= PIECE || memchr(data, 0, len)) {
        return 0;
    }

    memcpy(text, data, len);
    text[len] = '\0';

    memset(&want, 0, sizeof(want));

    must(wscast_offer(wscast_str(data, len), &got) == plain(text, &want));
    must(memcmp(&got, &want, sizeof(got)) == 0);

    if (got.on) {
        must(wscast_offer_answer(&got, out) <= sizeof(out));
    }

    return 0;
}
