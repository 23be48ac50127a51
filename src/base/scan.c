#include "scan.h"
#include "utf8.h"


typedef enum {
    AWAIT_VALUE = 0,
    AWAIT_FIRST_ELEMENT,        /* or the end of an empty array */
    AWAIT_FIRST_NAME,           /* or the end of an empty object */
    AWAIT_NAME,
    AWAIT_SEPARATOR             /* or the end of the array or object */
} wscast_scan_state_e;


/* The levels that are open: one bit each, 1 for an object, 0 for an array. */

typedef struct {
    wscast_scan_state_e    state;
    unsigned               depth;
    uint64_t               objects[WSCAST_JSON_DEPTH / 64];
} wscast_scan_t;


static const unsigned char *wscast_scan_value(const unsigned char *p,
    const unsigned char *end, unsigned depth);
static int wscast_scan_open(wscast_scan_t *scan, int object);
static const unsigned char *wscast_scan_scalar(const unsigned char *p,
    const unsigned char *end);
static const unsigned char *wscast_scan_string(const unsigned char *p,
    const unsigned char *end);
static const unsigned char *wscast_scan_number(const unsigned char *p,
    const unsigned char *end);
static const unsigned char *wscast_scan_digits(const unsigned char *p,
    const unsigned char *end);
static const unsigned char *wscast_scan_word(const unsigned char *p,
    const unsigned char *end, wscast_str_t word);
static const unsigned char *wscast_scan_name(const unsigned char *p,
    const unsigned char *end, wscast_str_t *name);
static void wscast_scan_found(wscast_json_member_t *members, size_t n,
    wscast_str_t name, wscast_str_t value);
static int wscast_scan_name_is(wscast_str_t raw, wscast_str_t name);


/* RFC 8259, 2 */

static inline const unsigned char *
wscast_scan_space(const unsigned char *p, const unsigned char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }

    return p;
}


static inline int
wscast_scan_in_object(const wscast_scan_t *scan)
{
    unsigned  level;

    level = scan->depth - 1;

    return scan->objects[level / 64] >> (level % 64) & 1;
}


static inline int
wscast_is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}


int
wscast_json_valid(wscast_str_t s)
{
    const unsigned char  *p, *end;

    if (s.len == 0 || !wscast_utf8_valid(s)) {
        return 0;
    }

    end = s.data + s.len;

    p = wscast_scan_value(wscast_scan_space(s.data, end), end, 0);

    return p && wscast_scan_space(p, end) == end;
}


wscast_status_t
wscast_json_members(wscast_str_t s, wscast_json_member_t *members, size_t n)
{
    size_t                i;
    wscast_str_t          name;
    const unsigned char  *p, *end, *value;

    for (i = 0; i < n; i++) {
        members[i].value = wscast_str(NULL, 0);
        members[i].times = 0;
    }

    if (s.len == 0 || !wscast_utf8_valid(s)) {
        return WSCAST_ERROR;
    }

    end = s.data + s.len;
    p = wscast_scan_space(s.data, end);

    if (p == end || *p != '{') {
        return WSCAST_ERROR;
    }

    p = wscast_scan_space(p + 1, end);

    if (p < end && *p == '}') {
        p = wscast_scan_space(p + 1, end);
        return p == end ? WSCAST_OK : WSCAST_ERROR;
    }

    for ( ;; ) {
        value = wscast_scan_name(p, end, &name);

        if (value == NULL) {
            return WSCAST_ERROR;
        }

        p = wscast_scan_value(value, end, 1);

        if (p == NULL) {
            return WSCAST_ERROR;
        }

        wscast_scan_found(members, n, name, wscast_str(value, p - value));

        p = wscast_scan_space(p, end);

        if (p == end) {
            return WSCAST_ERROR;
        }

        if (*p == '}') {
            p = wscast_scan_space(p + 1, end);
            return p == end ? WSCAST_OK : WSCAST_ERROR;
        }

        if (*p != ',') {
            return WSCAST_ERROR;
        }

        p = wscast_scan_space(p + 1, end);
    }
}


static void
wscast_scan_found(wscast_json_member_t *members, size_t n, wscast_str_t name,
    wscast_str_t value)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (wscast_scan_name_is(name, members[i].name)) {
            members[i].value = value;
            members[i].times++;
        }
    }
}


static int
wscast_scan_name_is(wscast_str_t raw, wscast_str_t name)
{
    size_t                at;
    unsigned              len;
    unsigned char         c[4];
    const unsigned char  *p, *end;

    if (raw.len == 0 || memchr(raw.data, '\\', raw.len) == NULL) {
        return wscast_str_eq(raw, name);
    }

    p = raw.data;
    end = p + raw.len;
    at = 0;

    while (p < end) {

        if (*p == '\\') {
            len = wscast_json_unescape(&p, end, c);

        } else {
            c[0] = *p++;
            len = 1;
        }

        if (len == 0
            || name.len - at < len
            || memcmp(name.data + at, c, len) != 0)
        {
            return 0;
        }

        at += len;
    }

    return at == name.len;
}


/* The slice begins with what is before the element: "[", "," or the "]". */

int
wscast_json_element(wscast_str_t *array, wscast_str_t *element)
{
    const unsigned char  *p, *end, *value;

    if (array->len == 0) {
        return 0;
    }

    end = array->data + array->len;
    value = wscast_scan_space(array->data + 1, end);

    if (value == end || *value == ']') {
        return 0;
    }

    p = wscast_scan_value(value, end, 1);

    if (p == NULL) {
        return 0;
    }

    *element = wscast_str(value, p - value);
    p = wscast_scan_space(p, end);
    *array = wscast_str(p, end - p);

    return 1;
}


/*
 * Reads one value that begins at p, inside of depth levels, and returns the
 * position after it, or NULL.
 */

static const unsigned char *
wscast_scan_value(const unsigned char *p, const unsigned char *end,
    unsigned depth)
{
    wscast_str_t   name;
    wscast_scan_t  scan;

    memset(&scan, 0, sizeof(scan));
    scan.state = AWAIT_VALUE;
    scan.depth = depth;

    for ( ;; ) {
        p = wscast_scan_space(p, end);

        if (p == end) {
            return NULL;
        }

        switch (scan.state) {

        case AWAIT_FIRST_NAME:
            if (*p == '}') {
                p++;
                scan.depth--;
                break;
            }

            /* fall through */

        case AWAIT_NAME:
            p = wscast_scan_name(p, end, &name);

            if (p == NULL) {
                return NULL;
            }

            scan.state = AWAIT_VALUE;
            continue;

        case AWAIT_FIRST_ELEMENT:
            if (*p == ']') {
                p++;
                scan.depth--;
                break;
            }

            /* fall through */

        case AWAIT_VALUE:
            if (*p == '{' || *p == '[') {
                if (!wscast_scan_open(&scan, *p++ == '{')) {
                    return NULL;
                }

                continue;
            }

            p = wscast_scan_scalar(p, end);

            if (p == NULL) {
                return NULL;
            }

            break;

        case AWAIT_SEPARATOR:
            if (*p == ',') {
                p++;
                scan.state = wscast_scan_in_object(&scan) ? AWAIT_NAME
                                                          : AWAIT_VALUE;
                continue;
            }

            if (*p != (wscast_scan_in_object(&scan) ? '}' : ']')) {
                return NULL;
            }

            p++;
            scan.depth--;
            break;
        }

        if (scan.depth == depth) {
            return p;
        }

        scan.state = AWAIT_SEPARATOR;
    }
}


static int
wscast_scan_open(wscast_scan_t *scan, int object)
{
    uint64_t   bit;
    uint64_t  *word;

    if (scan->depth == WSCAST_JSON_DEPTH) {
        return 0;
    }

    bit = (uint64_t) 1 << (scan->depth % 64);
    word = &scan->objects[scan->depth / 64];

    *word = object ? *word | bit : *word & ~bit;

    scan->depth++;
    scan->state = object ? AWAIT_FIRST_NAME : AWAIT_FIRST_ELEMENT;

    return 1;
}


static const unsigned char *
wscast_scan_scalar(const unsigned char *p, const unsigned char *end)
{
    static const wscast_str_t  yes = wscast_string("true");
    static const wscast_str_t  no = wscast_string("false");
    static const wscast_str_t  null = wscast_string("null");

    switch (*p) {

    case '"':
        return wscast_scan_string(p, end);

    case 't':
        return wscast_scan_word(p, end, yes);

    case 'f':
        return wscast_scan_word(p, end, no);

    case 'n':
        return wscast_scan_word(p, end, null);

    default:
        return wscast_scan_number(p, end);
    }
}


static const unsigned char *
wscast_scan_word(const unsigned char *p, const unsigned char *end,
    wscast_str_t word)
{
    if ((size_t) (end - p) < word.len
        || memcmp(p, word.data, word.len) != 0)
    {
        return NULL;
    }

    return p + word.len;
}


/*
 * A name and its colon; name is the raw slice between the quotes.  Returns
 * where the value begins.
 */

static const unsigned char *
wscast_scan_name(const unsigned char *p, const unsigned char *end,
    wscast_str_t *name)
{
    const unsigned char  *start;

    if (p == end || *p != '"') {
        return NULL;
    }

    start = p + 1;
    p = wscast_scan_string(p, end);

    if (p == NULL) {
        return NULL;
    }

    *name = wscast_str(start, p - 1 - start);

    p = wscast_scan_space(p, end);

    if (p == end || *p != ':') {
        return NULL;
    }

    return wscast_scan_space(p + 1, end);
}


/* RFC 8259, 7 */

static const unsigned char *
wscast_scan_string(const unsigned char *p, const unsigned char *end)
{
    unsigned  i;

    for (p++; p < end; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p < 0x20) {
            return NULL;
        }

        if (*p != '\\') {
            continue;
        }

        if (++p == end || *p == '\0') {
            return NULL;
        }

        if (*p != 'u') {
            if (strchr("\"\\/bfnrt", *p) == NULL) {
                return NULL;
            }

            continue;
        }

        for (i = 0; i < 4; i++) {
            if (++p == end || wscast_json_hex(*p) > 15) {
                return NULL;
            }
        }
    }

    return NULL;
}


/* RFC 8259, 6 */

static const unsigned char *
wscast_scan_number(const unsigned char *p, const unsigned char *end)
{
    if (*p == '-') {
        p++;
    }

    if (p < end && *p == '0') {
        p++;

    } else {
        p = wscast_scan_digits(p, end);
    }

    if (p && p < end && *p == '.') {
        p = wscast_scan_digits(p + 1, end);
    }

    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }

        p = wscast_scan_digits(p, end);
    }

    return p;
}


/* At least one. */

static const unsigned char *
wscast_scan_digits(const unsigned char *p, const unsigned char *end)
{
    const unsigned char  *start;

    start = p;

    while (p < end && wscast_is_digit(*p)) {
        p++;
    }

    return p == start ? NULL : p;
}


int
wscast_json_is_number(wscast_str_t v)
{
    return v.len && (v.data[0] == '-' || wscast_is_digit(v.data[0]));
}
