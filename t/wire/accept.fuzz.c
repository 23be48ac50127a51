/* libs: -lcrypto */
/*
 * wire/accept: input is lines: upgrade, connection, key, version, protocols,
 * and a byte of flags.  The decision must be that of the plain reading below.
 */

#include "../lib/fuzz_main.h"

#include "../../src/wire/accept.c"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <strings.h>


#define GET       0x01
#define HTTP11    0x02
#define BODY      0x04
#define TWO_KEYS  0x08
#define TWO_VERS  0x10
#define ANY       0x20


/* The next element of a list that is not empty, trimmed, in out; 0: none. */

static int
element(const char **list, char *out)
{
    size_t       len;
    const char  *p;

    while (**list) {
        p = *list;
        len = strcspn(p, ",");
        *list += len + (p[len] == ',');

        while (len && strchr(" \t", *p)) {
            p++;
            len--;
        }

        while (len && strchr(" \t", p[len - 1])) {
            len--;
        }

        if (len) {
            memcpy(out, p, len);
            out[len] = '\0';
            return 1;
        }
    }

    return 0;
}


static int
lists(const char *list, const char *token, char *work)
{
    while (element(&list, work)) {
        if (strcasecmp(work, token) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
protocols_valid(const char *list, char *work)
{
    size_t       n;
    const char  *rest;

    rest = list;

    for (n = 0; element(&rest, work); n++) {
        if (work[strspn(work, "abcdefghijklmnopqrstuvwxyz0123456789"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~")])
        {
            return 0;
        }
    }

    return n || *list == '\0';
}


static int
key_valid(const char *key)
{
    unsigned char  bytes[32];

    /* EVP_DecodeBlock() takes "=" for a digit, so its place is asked first */

    return strlen(key) == 24 && strcmp(key + strcspn(key, "="), "==") == 0
           && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789+/"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ=") == 24
           && EVP_DecodeBlock(bytes, (const unsigned char *) key, 24) == 18;
}


static unsigned
judge(unsigned flags, char *const line[5], char *work)
{
    if (!(flags & GET)) {
        return 405;
    }

    if (!(flags & HTTP11) || !lists(line[0], "websocket", work)
        || !lists(line[1], "upgrade", work))
    {
        return 426;
    }

    if (flags & TWO_VERS) {
        return 400;
    }

    if (strcmp(line[3], "13") != 0) {
        return 426;
    }

    if (flags & (TWO_KEYS|BODY) || !key_valid(line[2])
        || !protocols_valid(line[4], work))
    {
        return 400;
    }

    return 101;
}


static void
check(const wscast_accept_t *out, unsigned flags, char *const line[5],
    char *work)
{
    char           text[64], expected[32];
    size_t         n, at;
    const char    *rest;
    unsigned char  md[SHA_DIGEST_LENGTH];

    snprintf(text, sizeof(text), "%s%s", line[2],
             "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    SHA1((const unsigned char *) text, strlen(text), md);
    EVP_EncodeBlock((unsigned char *) expected, md, sizeof(md));

    must(memcmp(out->accept, expected, WSCAST_ACCEPT_LEN) == 0);

    rest = line[4];

    if (out->protocol.len == 0) {
        must(!(flags & ANY) || !element(&rest, work));
        return;
    }

    /* it was offered, and is ours or the first */

    for (n = 0; element(&rest, work); n++) {
        if (wscast_str_eq(out->protocol, wscast_str(work, strlen(work)))) {
            break;
        }
    }

    must(strlen(work) == out->protocol.len);
    must(strcmp(work, "a") == 0 || strcmp(work, "b") == 0
         || (n == 0 && (flags & ANY)));

    at = (size_t) (out->protocol.data - (unsigned char *) line[4]);
    must(at + out->protocol.len <= strlen(line[4]));
}


static wscast_str_t
copy(const char *s)
{
    size_t          len;
    unsigned char  *p;

    len = strlen(s);

    if (len == 0) {
        return wscast_str(NULL, 0);
    }

    p = malloc(len);

    if (p == NULL) {
        abort();
    }

    return wscast_str(memcpy(p, s, len), len);
}


static void
sha1(const unsigned char *text, size_t len, unsigned char *md)
{
    (void) SHA1(text, len, md);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int                      i;
    char                    *all, *work, *line[5];
    unsigned                 flags;
    wscast_accept_t          out;
    wscast_accept_request_t  r;

    static const wscast_str_t  ours[] = { wscast_string("a"),
                                          wscast_string("b") };

    if (len == 0) {
        return 0;
    }

    flags = data[len - 1];
    all = calloc(1, len + 1);
    work = malloc(len + 1);

    if (all == NULL || work == NULL) {
        abort();
    }

    memcpy(all, data, len - 1);

    for (i = 0; i < 5; i++) {
        line[i] = i ? line[i - 1] + strlen(line[i - 1]) : all;
        line[i] += (i && line[i] < all + len);
        line[i][strcspn(line[i], "\n")] = '\0';
    }

    memset(&r, 0, sizeof(r));
    r.get = (flags & GET) != 0;
    r.http11 = (flags & HTTP11) != 0;
    r.body = (flags & BODY) != 0;
    r.sha1 = sha1;
    r.keys = flags & TWO_KEYS ? 2 : 1;
    r.versions = flags & TWO_VERS ? 2 : 1;

    /* each in memory of its own, exactly as long */

    r.upgrade = copy(line[0]);
    r.connection = copy(line[1]);
    r.key = copy(line[2]);
    r.version = copy(line[3]);
    r.protocols = wscast_str(line[4], strlen(line[4]));

    wscast_accept(&r, ours, 2, flags & ANY, &out);

    must(out.status == judge(flags, line, work));
    must(out.say_upgrade == (out.status == 426));
    must(!out.say_version || out.status == 426);
    must(out.reason != NULL);

    if (out.status == 101) {
        check(&out, flags, line, work);
    }

    free((void *) (uintptr_t) r.upgrade.data);
    free((void *) (uintptr_t) r.connection.data);
    free((void *) (uintptr_t) r.key.data);
    free((void *) (uintptr_t) r.version.data);
    free(all);
    free(work);

    return 0;
}
