/* session: what is delivered is packed once, for all who agreed on it. */
/* libs: -lcjson -lcrypto -lz */

#include "session_case.h"


#define OTHERS  4


static wscast_session_t  others[OTHERS];
static unsigned          times;
static size_t            bytes_in, bytes_out;


static void
was_packed(void *ctx, size_t before, size_t after)
{
    confused += ctx != &engine;

    times++;
    bytes_in += before;
    bytes_out += after;
}


/* Two who agreed on the large window, one on the small one, one on nothing. */

static int
join(void)
{
    unsigned                 i;
    wscast_str_t             channel;
    wscast_status_t          rc;
    wscast_session_params_t  p;

    channel = s("room:1");
    rc = WSCAST_OK;

    for (i = 0; i < OTHERS; i++) {
        memset(&p, 0, sizeof(p));
        memset(p.id, 'a' + (int) i, WSCAST_CLIENT_ID);
        p.channels = &channel;
        p.nchannels = 1;
        p.deflate.on = i < 3;
        p.deflate.bits = i < 2 ? WSCAST_WINDOW_BITS : WSCAST_WINDOW_SMALL;

        rc |= wscast_session_open(&others[i], &conf, &engine, &handler,
                                  &session, &p);
    }

    nsent = 0;
    times = 0;
    bytes_in = 0;
    bytes_out = 0;

    return rc == WSCAST_OK;
}


static void
leave(void)
{
    unsigned  i;

    for (i = 0; i < OTHERS; i++) {
        wscast_session_close(&others[i]);
    }

    wscast_fanout_done(&fanout);
}


static void
begin_packed(const wscast_dialect_t *dialect)
{
    fresh(dialect);
    conf.deflate_level = 1;
    conf.deflate_min = 100;
    engine.deflate = wscast_deflate_create();
    engine.packed = was_packed;
}


/* How many of the frames are packed. */

static unsigned
packed(void)
{
    unsigned  i, n;

    for (i = 0, n = 0; i < nsent; i++) {
        n += (sent_opcode[i] & WSCAST_FRAME_RSV1) != 0;
    }

    return n;
}


static void
test_shared(void)
{
    char  text[301];

    begin_packed(&wscast_dialect_text);
    ok(join(), "four clients are on a channel");

    memset(text, 'x', 300);
    text[300] = '\0';
    deliver("room:1", text, 0, "", "");

    is_int(nsent, 4, "a message goes to all of them");
    is_int(packed(), 3, "packed to the three who agreed on it");
    is_int(times, 2, "it was packed once for each window");
    is_int(bytes_in, 600, "bytes before are counted");
    ok(bytes_out < 40, "bytes after, too: %zu", bytes_out);

    nsent = times = 0;
    text[99] = '\0';
    deliver("room:1", text, 0, "", "");
    is_int(packed(), 0, "what is too short is sent as it is");
    is_int(times, 0, "and not tried");

    nsent = 0;
    text[99] = 'x';
    text[100] = '\0';
    deliver("room:1", text, 0, "", "");
    is_int(packed(), 3, "what is just long enough is not");

    nsent = times = 0;
    bytes_in = bytes_out = 0;
    unit_fill(text, 250);

    for (text[250] = '\0'; strlen(text) < 250; /* void */ ) {
        text[strlen(text)] = 1;
    }

    deliver("room:1", text, 0, "", "");
    is_int(nsent, 4, "what would not get smaller goes to all");
    is_int(packed(), 0, "as it is");
    is_int(times, 2, "which is found out once for each window");
    is_int(bytes_out, bytes_in, "and counts as it is sent");

    is_int(confused, 0, "nobody was confused");
    leave();
    wscast_deflate_destroy(engine.deflate);
    is_int(unit_live, 0, "nothing is left");
}


static void
test_alone(void)
{
    begin_packed(&wscast_dialect_json);
    conf.deflate_min = 0;
    params.deflate.on = 1;
    params.deflate.bits = WSCAST_WINDOW_BITS;

    begin("room:1", NULL, "ann", "a welcome, a welcome, a welcome");
    is_int(sent_opcode[0], 0x81, "the welcome is never packed");
    says("{\"type\":\"history\",\"id\":\"iiiiiiiiiiiiiiiiiiiiiiiiiiiiii\"}");
    is_int(packed(), 0, "nor is an answer");
    deliver("room:1", "\"hello hello hello\"", WSCAST_PUB_JSON, "", "");
    is_int(sent_opcode[nsent - 1], 0xc1, "a message is");

    wscast_session_close(&session);
    wscast_fanout_done(&fanout);
    wscast_deflate_destroy(engine.deflate);

    fresh(&wscast_dialect_text);
    conf.deflate_level = 1;
    params.deflate.on = 1;
    begin("room:1", NULL, "ann", "");
    deliver("room:1", "hello hello hello hello hello", 0, "", "");
    is_int(sent_opcode[nsent - 1], 0x81,
           "nothing is where there is nobody to pack it");
    wscast_session_close(&session);
    wscast_fanout_done(&fanout);
    is_int(unit_live, 0, "nothing is left");
}


/* Without memory a message is sent as it is, or the connection ends. */

static void
test_nomem(void)
{
    int     bad;
    size_t  n, total;
    char    text[301];

    memset(text, 'x', 300);
    text[300] = '\0';
    bad = 0;
    total = 0;

    /* at first none fails */

    for (n = 0; n <= total; n++) {
        begin_packed(&wscast_dialect_text);
        bad += !join();

        unit_alloc_reset(n);
        deliver("room:1", text, 0, "", "");
        total = unit_calls > total ? unit_calls : total;
        unit_alloc_reset(0);

        /* the publication itself, then its plain form, are the first two */

        bad += n == 1 ? nsent != 0 : n == 2 ? finalized != 1 : nsent != 4;

        nsent = 0;
        deliver("room:1", text, 0, "", "");
        bad += nsent != 4 || packed() != 3;

        leave();
        wscast_deflate_destroy(engine.deflate);
        bad += unit_live != 0;
    }

    ok(total > 10, "there are %zu allocations", total);
    is_int(bad, 0, "whichever fails, the message comes, or the connection "
           "ends for that");
}


int
main(void)
{
    test_shared();
    test_alone();
    test_nomem();

    return done();
}
