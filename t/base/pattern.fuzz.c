/*
 * base/pattern: the input is a pattern, a newline and a name.  The matcher
 * must agree with a table of what matches what.
 */

#include "../lib/fuzz_main.h"

#include "../../src/base/utf8.c"
#include "../../src/base/pattern.c"


#define MOST  96    /* bytes of each, for the table's sake */


/* row[j]: the pattern so far matches the first j bytes of the name. */

static int
reference(const uint8_t *p, size_t pn, const uint8_t *s, size_t sn)
{
    size_t   i, j;
    uint8_t  row[MOST + 1], above;

    memset(row, 0, sizeof(row));
    row[0] = 1;

    for (i = 0; i < pn; i++) {
        above = row[0];
        row[0] = row[0] && p[i] == WSCAST_WILD;

        for (j = 1; j <= sn; j++) {
            uint8_t  left = above;

            above = row[j];

            row[j] = p[i] == WSCAST_WILD ? (row[j] || row[j - 1])
                                         : (left && p[i] == s[j - 1]);
        }
    }

    return row[sn];
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int             stars, wild;
    size_t          pn, sn, i;
    uint8_t        *p, *s;
    const uint8_t  *nl;

    nl = len ? memchr(data, '\n', len) : NULL;
    pn = nl ? (size_t) (nl - data) : len;
    sn = nl ? len - pn - 1 : 0;

    if (pn > MOST || sn > MOST) {
        return 0;
    }

    /* exactly as long as they are, for the sanitizer */

    p = malloc(pn + !pn);
    s = malloc(sn + !sn);
    must(p && s);

    if (pn) {
        memcpy(p, data, pn);
    }

    if (sn) {
        memcpy(s, nl + 1, sn);
    }

    wild = pn && memchr(p, WSCAST_WILD, pn) != NULL;
    stars = 0;

    for (i = 0; i < pn; i++) {
        stars += p[i] == '*';
    }

    must(wscast_pattern_compile(p, pn) == (wild ? -1 : stars));
    must(!wild || memcmp(p, data, pn) == 0);

    must(wscast_pattern_match(wscast_str(p, pn), wscast_str(s, sn))
         == reference(p, pn, s, sn));

    if (wscast_channel_valid(wscast_str(s, sn), MOST)) {
        must(sn > 0 && memchr(s, WSCAST_WILD, sn) == NULL);
        must(!wscast_channel_valid(wscast_str(s, sn), sn - 1));
    }

    free(p);
    free(s);

    return 0;
}
