/* libs: -lz */
/* wire/message: text as it arrives, close frames and their codes. */

#include "message_case.h"


/* A bad text fails in the piece that holds its first impossible byte. */

static void
test_utf8(void)
{
    int            i, good;
    char           what[4];
    size_t         at, most, split;
    feed_t         got;
    feed_conf_t    conf;
    unsigned       bits;
    unsigned char  key[4];

    static const struct {
        const char  *text;
        size_t       at;            /* of the first impossible byte */
    } bad[] = {
        { "\xff", 0 },
        { "abc\x80", 3 },
        { "abcdefghijklmnopqrstuvwxyz\xc0\xaf and more", 26 },
        { "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80 edited",
          12 },
        { "\xf4\x8f\xbf\xbf \xf4\x90\x80\x80", 6 },
        { "\xe2\x82 ", 2 },
        { "\xf0\x80\x80\x80", 1 },
        { "\xe0\x9f\xbf", 1 },
        { "\xf5\x80", 0 },
    };

    for (i = 0; i < (int) (sizeof(bad) / sizeof(bad[0])); i++) {
        fresh();
        text(FIN, TEXT, bad[i].text);
        fails(WSCAST_CLOSE_UTF8, 1, "bad text %d fails in one frame", i);

        fresh();
        text(0, TEXT, "");
        frame(0, CONT, bad[i].text, 1);
        if (bad[i].at) {
            text(FIN, PING, "between");
            expect_text(PING, "between");
        }
        frame(FIN, CONT, bad[i].text + 1, strlen(bad[i].text) - 1);
        fails(WSCAST_CLOSE_UTF8, 1, "bad text %d fails in fragments", i);

        /* announced 1000 bytes, never finished */

        good = 1;

        for (bits = 0; bits <= FIN; bits += FIN) {
            in_len = wscast_frame_header(in, bits, TEXT, 1000);
            in[1] |= 0x80;
            unit_fill(key, 4);
            memcpy(in + in_len, key, 4);
            in_len += 4;
            at = in_len + bad[i].at;
            raw(bad[i].text, strlen(bad[i].text));
            raw("tail", 4);
            wscast_mask_plain(in + 8, in_len - 8, key, 0);

            memset(&conf, 0, sizeof(conf));
            conf.limit = 65536;

            feed(&got, &conf, in, in_len, feed_bytes, NULL);
            good &= got.rc == WSCAST_CLOSE_UTF8 && got.given == at + 1;
            feed_free(&got);

            for (split = 0; split < 100; split++) {
                most = 1 + unit_below(9);
                feed(&got, &conf, in, in_len, random_cut, &most);
                good &= got.rc == WSCAST_CLOSE_UTF8 && got.before <= at
                        && got.given > at;
                feed_free(&got);
            }
        }

        ok(good, "bad text %d fails at its byte %zu, before the frame ends", i,
           bad[i].at);
    }

    for (i = 1; i < 4; i++) {
        memcpy(what, "\xf0\x9f\x98\x80", 4);

        fresh();
        frame(FIN, TEXT, what, (size_t) i);
        fails(WSCAST_CLOSE_UTF8, 0,
              "a text that ends after %d of a character's 4 bytes fails", i);

        fresh();
        frame(0, TEXT, what, (size_t) i);
        frame(FIN, CONT, "", 0);
        fails(WSCAST_CLOSE_UTF8, 0, "also with an empty last fragment (%d)", i);

        fresh();
        frame(0, TEXT, what, (size_t) i);
        frame(0, CONT, "", 0);
        frame(FIN, CONT, what + i, (size_t) (4 - i));
        expect(TEXT, what, 4);
        text(FIN, TEXT, "clean");
        expect_text(TEXT, "clean");
        same("a character cut after %d bytes by fragments is fine", i);
    }
}


/* RFC 6455, 7.4 and the IANA registry, written as a list, not as ranges. */

static int
code_allowed(unsigned code)
{
    size_t                 i;
    static const unsigned  defined[] = { 1000, 1001, 1002, 1003, 1007, 1008,
                                         1009, 1010, 1011, 1012, 1013, 1014 };

    for (i = 0; i < sizeof(defined) / sizeof(defined[0]); i++) {
        if (code == defined[i]) {
            return 1;
        }
    }

    return code / 1000 == 3 || code / 1000 == 4;
}


static void
test_close(void)
{
    int            good;
    char           reason[126];
    unsigned       code;
    unsigned char  payload[2];

    fresh();
    text(FIN, CLOSE, "");
    feed_record(&want, CLOSE, 1005, "", 0);
    want.rc = WSCAST_OK;
    same("a close frame without payload has code 1005");

    fresh();
    frame(FIN, CLOSE, "\x03", 1);
    fails(WSCAST_CLOSE_CLOSE_PAYLOAD, 0, "a close frame of one byte fails");

    memset(reason, 'r', sizeof(reason));
    memcpy(reason, "\x0f\xa0", 2);

    fresh();
    frame(FIN, CLOSE, reason, 125);
    feed_record(&want, CLOSE, 4000, reason + 2, 123);
    want.rc = WSCAST_OK;
    same("a reason of 123 bytes is taken");

    fresh();
    frame(FIN, CLOSE, "\x03\xe8\xe2\x82\xac", 5);
    feed_record(&want, CLOSE, 1000, "\xe2\x82\xac", 3);
    want.rc = WSCAST_OK;
    same("a reason in UTF-8 is taken");

    fresh();
    frame(FIN, CLOSE, "\x03\xe8\xed\xa0\x80", 5);
    fails(WSCAST_CLOSE_UTF8, 0, "a reason with a surrogate fails");

    fresh();
    frame(FIN, CLOSE, "\x03\xe8\xe2\x82", 4);
    fails(WSCAST_CLOSE_UTF8, 0, "a reason that ends inside a character fails");

    fresh();
    text(0, TEXT, "\xe2\x82");
    frame(FIN, CLOSE, "\x03\xe8ok", 4);
    feed_record(&want, CLOSE, 1000, "ok", 2);
    want.rc = WSCAST_OK;
    want.busy = 1;
    same("a reason is not mixed up with a text that is in progress");

    good = 1;

    for (code = 0; code <= 5000; code++) {
        payload[0] = (unsigned char) (code >> 8);
        payload[1] = (unsigned char) code;

        fresh();
        frame(FIN, CLOSE, payload, 2);

        if (code_allowed(code)) {
            feed_record(&want, CLOSE, code, "", 0);
            want.rc = WSCAST_OK;

        } else {
            want.rc = WSCAST_CLOSE_CLOSE_CODE;
        }

        good &= wscast_close_code_valid(code) == code_allowed(code);
        good &= run(&(feed_conf_t) { .limit = 1 }, feed_whole, NULL, "whole");
        good &= run(&(feed_conf_t) { .limit = 1 }, feed_bytes, NULL, "bytes");

        if (!good) {
            note("code %u", code);
            break;
        }
    }

    ok(good, "close codes 0 to 5000 are taken as RFC 6455, 7.4 and IANA say");
    ok(!wscast_close_code_valid(65535), "code 65535 is refused");
}


int
main(void)
{
    test_utf8();
    test_close();

    feed_free(&want);

    return done();
}
