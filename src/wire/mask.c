#include "mask.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif


unsigned
wscast_mask(unsigned char *p, size_t len, const unsigned char key[4],
    unsigned phase)
{
    uint64_t        word, v;
    unsigned        i;
    unsigned char   turned[8], *end;
#ifdef __SSE2__
    __m128i         wide, *q;
#endif

    if (len == 0) {
        return phase & 3;
    }

    /* the key as it lies over p[0], so that whole steps need no phase */

    for (i = 0; i < 8; i++) {
        turned[i] = key[(phase + i) & 3];
    }

    memcpy(&word, turned, 8);
    end = p + len;

#ifdef __SSE2__

    wide = _mm_set1_epi64x((long long) word);

    while (end - p >= 16) {
        q = (__m128i *) (void *) p;
        _mm_storeu_si128(q, _mm_xor_si128(_mm_loadu_si128(q), wide));
        p += 16;
    }

#endif

    while (end - p >= 8) {
        memcpy(&v, p, 8);
        v ^= word;
        memcpy(p, &v, 8);
        p += 8;
    }

    for (i = 0; p < end; i++) {
        *p++ ^= turned[i];
    }

    return (phase + len) & 3;
}


unsigned
wscast_mask_plain(unsigned char *p, size_t len, const unsigned char key[4],
    unsigned phase)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        p[i] ^= key[phase++ & 3];
    }

    return phase & 3;
}
