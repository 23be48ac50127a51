/* wire/offer: what is agreed on, RFC 7692, 7.1, and RFC 6455, 9.1. */

#include "../lib/unit.h"

#include "../../src/wire/offer.c"


#define OURS   "permessage-deflate; server_no_context_takeover"
#define FRESH  "; client_no_context_takeover"


/* The answer to a field that ends at an unmapped page; "-": none. */

static const char *
answer(const char *field)
{
    size_t          n;
    unsigned char  *p;
    wscast_offer_t  agreed;
    static char     out[WSCAST_OFFER_ANSWER + 1];

    n = strlen(field);
    p = unit_guard(n);
    memcpy(p, field, n);

    memset(&agreed, 0xff, sizeof(agreed));

    if (!wscast_offer(wscast_str(n ? p : NULL, n), &agreed)) {
        return agreed.on ? "on, though declined" : "-";
    }

    if (!agreed.on) {
        return "off, though accepted";
    }

    memset(out, 0, sizeof(out));
    n = wscast_offer_answer(&agreed, out);

    return out[n] == '\0' && strlen(out) == n ? out : "of a wrong length";
}


#define answers(field, expected, ...)  is_str(answer(field), expected,        \
                                              __VA_ARGS__)
#define declined(field, ...)           answers(field, "-", __VA_ARGS__)

#define D  "permessage-deflate"


static void
test_parameters(void)
{
    answers(D, OURS FRESH,
            "a client that says nothing is asked to take no context over");
    answers(D "; client_max_window_bits", OURS "; client_max_window_bits=12",
            "one whose window can be bounded may take it over");
    answers(D "; client_max_window_bits=15", OURS
            "; client_max_window_bits=12", "also if it names a larger one");
    answers(D "; client_max_window_bits=12", OURS
            "; client_max_window_bits=12", "or this one");
    answers(D "; client_max_window_bits=10", OURS
            "; client_max_window_bits=10", "a smaller one is smaller");
    answers(D "; client_max_window_bits=9", OURS
            "; client_max_window_bits=9", "of one digit, too");
    answers(D "; client_max_window_bits=8", OURS
            "; client_max_window_bits=8", "down to 8");
    answers(D "; client_no_context_takeover", OURS FRESH,
            "who takes no context over is told so");
    answers(D "; client_no_context_takeover; client_max_window_bits",
            OURS FRESH, "and keeps the window that it likes");
    answers(D "; server_no_context_takeover", OURS FRESH,
            "we never take a context over, asked or not");
    answers(D "; server_max_window_bits=15", OURS
            "; server_max_window_bits=15" FRESH, "a window is confirmed");
    answers(D "; server_max_window_bits=14", OURS
            "; server_max_window_bits=9" FRESH, "or a smaller one taken");
    answers(D "; server_max_window_bits=9", OURS
            "; server_max_window_bits=9" FRESH, "down to 9");
    declined(D "; server_max_window_bits=8", "zlib has no window of 8 bits");
    answers(D "; server_max_window_bits=10; client_max_window_bits=11; "
            "server_no_context_takeover", OURS "; server_max_window_bits=9; "
            "client_max_window_bits=11", "all at once, in any order");
}


static void
test_declined(void)
{
    unsigned  n;
    char      field[100];

    for (n = 0; n < 40; n++) {
        snprintf(field, sizeof(field), D "; server_max_window_bits=%u", n);

        if ((strcmp(answer(field), "-") != 0) != (n >= 9 && n <= 15)) {
            break;
        }

        snprintf(field, sizeof(field), D "; client_max_window_bits=%u", n);

        if ((strcmp(answer(field), "-") != 0) != (n >= 8 && n <= 15)) {
            break;
        }
    }

    is_int(n, 40, "windows are of 8 or 9 to 15 bits");

    declined("", "no offer, no answer");
    declined("permessage-bzip2", "another extension");
    declined("permessage-deflat", "nearly the name");
    declined("permessage-deflate2", "more than the name");
    declined("Permessage-Deflate", "the name in another case");
    declined(D "; level=9", "an unknown parameter");
    declined(D "; Server_no_context_takeover", "one in another case");
    declined(D "; server_no_context_takeover=1", "a value where there is none");
    declined(D "; client_no_context_takeover=true", "for the client, too");
    declined(D "; server_no_context_takeover; server_no_context_takeover",
             "a parameter twice");
    declined(D "; client_no_context_takeover; client_no_context_takeover",
             "for the client, too");
    declined(D "; server_max_window_bits=10; server_max_window_bits=10",
             "a window twice");
    declined(D "; client_max_window_bits; client_max_window_bits=10",
             "with and without a value");
    declined(D "; server_max_window_bits", "our window without a value");
    declined(D "; server_max_window_bits=", "with an empty one");
    declined(D "; client_max_window_bits=", "for the client, too");
    declined(D "; server_max_window_bits=010", "a leading zero");
    declined(D "; server_max_window_bits=09", "one before a nine");
    declined(D "; server_max_window_bits=1", "too few bits");
    declined(D "; server_max_window_bits=150", "too many digits");
    declined(D "; server_max_window_bits=+9", "a sign");
    declined(D "; server_max_window_bits=1a", "a letter");
    declined(D "; server_max_window_bits=1:", "the character behind nine");
    declined(D "; server_max_window_bits=-1", "a minus");
    declined(D ";", "a semicolon and nothing");
    declined(D ";;", "two of them");
    declined(D "; =10", "a value of nothing");
    declined(D " server_no_context_takeover", "no semicolon");
    declined(D "; server_max_window_bits 10", "no equals sign");
    declined(D "\x01", "a control character");
    declined("; " D, "a semicolon before it");
    declined("\"" D "\"", "the name in quotes");
    declined(D "; server_max_window_bits=\"1 0\"", "a blank in quotes");
    declined(D "; server_max_window_bits=\"\"", "nothing in quotes");
    declined(D "; server_max_window_bits=\"10", "quotes that do not end");
    declined(D "; server_max_window_bits=\"10\\", "nor after a backslash");
    declined(D "; server_max_window_bits=\"10\"1", "more behind quotes");
}


static void
test_spelling(void)
{
    answers(D ";server_max_window_bits=10", OURS
            "; server_max_window_bits=9" FRESH, "no blanks");
    answers(" \t" D " \t;\t server_max_window_bits \t=\t 10 \t", OURS
            "; server_max_window_bits=9" FRESH, "blanks and tabs");
    answers(D "; server_max_window_bits=\"10\"", OURS
            "; server_max_window_bits=9" FRESH, "a value in quotes");
    answers(D "; server_max_window_bits=\"\\1\\0\"", OURS
            "; server_max_window_bits=9" FRESH, "each character escaped");
    answers(D "; client_max_window_bits=\"10\"; server_no_context_takeover",
            OURS "; client_max_window_bits=10", "and more behind it");
}


static void
test_several(void)
{
    answers("x-webkit-deflate-frame, " D "; client_max_window_bits",
            OURS "; client_max_window_bits=12", "another extension is first");
    answers(D "; server_max_window_bits=8, " D, OURS FRESH,
            "the next one if the first cannot be had");
    answers(D "; client_max_window_bits=10, " D, OURS
            "; client_max_window_bits=10", "the first of two that can");
    answers(D "; unknown=\"a, b; c\\\", \", " D, OURS FRESH,
            "a comma in quotes is none");
    answers("a; b=\"" D "\", " D "; server_no_context_takeover", OURS FRESH,
            "nor is what stands in quotes an offer");
    answers(D "; x; server_max_window_bits=\"10\", " D, OURS FRESH,
            "what is declined is passed over to its end");
    answers(D "; server_max_window_bits=\"10\"1\",\", " D, OURS FRESH,
            "quotes in what is malformed, too");
    answers(",, ,\t," D ",,", OURS FRESH, "empty elements are none");
    answers("@@@, " D, OURS FRESH, "garbage is declined alone");
    declined("a=\"b, " D, "quotes that do not end take all with them");
    declined(",,,", "empty elements alone");
    declined(" ", "a blank");
    answers(D ", " D "; server_max_window_bits=8", OURS FRESH,
            "what comes behind is not looked at");
}


int
main(void)
{
    char            out[WSCAST_OFFER_ANSWER];
    size_t          n;
    wscast_offer_t  longest;

    test_parameters();
    test_declined();
    test_spelling();
    test_several();

    longest = (wscast_offer_t) { 1, WSCAST_WINDOW_BITS, 12, 1 };
    n = wscast_offer_answer(&longest, out);
    ok(n <= sizeof(out), "the longest answer takes %zu bytes", n);

    return done();
}
