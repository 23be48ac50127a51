/*
 * scan.h: slices of a JSON text (RFC 8259), without building a tree.
 *
 * Audience: dialect, auth, http.  Payloads must pass byte for byte (64-bit
 * integers, the order and spelling of everything), so the value of a member is
 * cut out raw.  The whole text is checked: strict grammar, valid UTF-8, at
 * most WSCAST_JSON_DEPTH levels; no recursion, no allocation.  What is inside
 * of its strings is quote.h's.
 */

#ifndef WSCAST_SCAN_H
#define WSCAST_SCAN_H


#include "base.h"
#include "quote.h"


#define WSCAST_JSON_DEPTH  128


/* 1 if s is exactly one JSON value, white space around it allowed. */
int wscast_json_valid(wscast_str_t s);

/* A member to look for, and what was found. */

typedef struct {
    wscast_str_t    name;
    wscast_str_t    value;      /* raw slice, no white space; empty: absent */
    unsigned        times;      /* how often the name occurs */
} wscast_json_member_t;

/*
 * Checks s and cuts out the members of its outermost object whose names are in
 * members[0..n).  Names are compared after decoding their escapes; of a
 * repeated name the last value counts.  WSCAST_OK, or WSCAST_ERROR: not one
 * valid JSON object.
 */
wscast_status_t wscast_json_members(wscast_str_t s,
    wscast_json_member_t *members, size_t n);

/*
 * Cuts the next element off the raw slice of an array, which has been checked
 * as a part of some valid text: 1 and the element's slice, or 0 at the end.
 * *array is what is left, and only good for the next call.
 */
int wscast_json_element(wscast_str_t *array, wscast_str_t *element);

/* 1 if the raw slice, not empty, is a string, or a number */
#define wscast_json_is_string(v)  ((v).len > 1 && (v).data[0] == '"')
int wscast_json_is_number(wscast_str_t v);


#endif /* WSCAST_SCAN_H */
