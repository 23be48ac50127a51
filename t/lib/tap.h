/*
 * tap.h: what a unit test says, as TAP (the Test Anything Protocol).
 *
 * Audience: t/<room>/<file>.c.  Header-only; a test is one translation unit
 * with one main() that ends in `return done();`.
 *
 *   ok(cond, "a sentence %d", ...)                the condition holds
 *   is_int(got, expected, "a sentence", ...)      the two integers are equal
 *   is_mem(got, len, expected, elen, "a sentence", ...)  the bytes are equal
 *   is_str(got, expected, "a sentence", ...)      the C strings are equal
 *   note("text", ...)                             a diagnostic line
 *   done()                                        prints the plan; exit code
 *
 * Each check returns 1 if it passed.  A loop of thousands of cases counts its
 * failures, says the first with note() and makes one check of the whole.
 */

#ifndef WSCAST_T_TAP_H
#define WSCAST_T_TAP_H


#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>


static unsigned  tap_count;
static unsigned  tap_failed;


#define TAP_UNUSED  __attribute__((unused))
#define TAP_PRINTF(fmt, args)                                                 \
    __attribute__((unused, format(printf, fmt, args)))


#define ok(cond, ...)  tap_ok(!!(cond), #cond, __FILE__, __LINE__, __VA_ARGS__)

#define is_int(got, expected, ...)                                            \
    tap_int((long long) (got), (long long) (expected), __FILE__, __LINE__,    \
            __VA_ARGS__)

#define is_mem(got, len, expected, elen, ...)                                 \
    tap_mem(got, len, expected, elen, __FILE__, __LINE__, __VA_ARGS__)

#define is_str(got, expected, ...)                                            \
    tap_str(got, expected, __FILE__, __LINE__, __VA_ARGS__)


TAP_PRINTF(5, 0) static int
tap_line(int pass, const char *what, const char *file, int line,
    const char *fmt, va_list args)
{
    tap_count++;

    printf("%sok %u - ", pass ? "" : "not ", tap_count);
    vprintf(fmt, args);
    putchar('\n');

    if (!pass) {
        tap_failed++;
        printf("#   failed at %s:%d: %s\n", file, line, what);
    }

    fflush(stdout);

    return pass;
}


TAP_PRINTF(5, 6) static int
tap_ok(int pass, const char *what, const char *file, int line,
    const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tap_line(pass, what, file, line, fmt, args);
    va_end(args);

    return pass;
}


TAP_PRINTF(5, 6) static int
tap_int(long long got, long long expected, const char *file, int line,
    const char *fmt, ...)
{
    char     what[80];
    va_list  args;

    snprintf(what, sizeof(what), "got %lld, expected %lld", got, expected);

    va_start(args, fmt);
    tap_line(got == expected, what, file, line, fmt, args);
    va_end(args);

    return got == expected;
}


/* The bytes from the first difference on, up to 24 of them, in hex. */

TAP_UNUSED static void
tap_bytes(const char *name, const void *data, size_t len, size_t from)
{
    size_t                i;
    const unsigned char  *p;

    p = data;

    printf("#   %s: %zu bytes, from %zu:", name, len, from);

    for (i = from; i < len && i < from + 24; i++) {
        printf(" %02x", p[i]);
    }

    printf("%s\n", i < len ? " ..." : "");
}


TAP_PRINTF(7, 8) static int
tap_mem(const void *got, size_t len, const void *expected, size_t elen,
    const char *file, int line, const char *fmt, ...)
{
    int                   pass;
    size_t                i, least;
    va_list               args;
    const unsigned char  *g, *e;

    g = got;
    e = expected;
    least = len < elen ? len : elen;

    for (i = 0; i < least && g[i] == e[i]; i++) { /* void */ }

    pass = (len == elen && i == least);

    va_start(args, fmt);
    tap_line(pass, "bytes differ", file, line, fmt, args);
    va_end(args);

    if (!pass) {
        tap_bytes("got", got, len, i);
        tap_bytes("expected", expected, elen, i);
        fflush(stdout);
    }

    return pass;
}


TAP_PRINTF(5, 6) static int
tap_str(const char *got, const char *expected, const char *file, int line,
    const char *fmt, ...)
{
    int      pass;
    va_list  args;

    pass = got && expected ? strcmp(got, expected) == 0 : got == expected;

    va_start(args, fmt);
    tap_line(pass, "strings differ", file, line, fmt, args);
    va_end(args);

    if (!pass) {
        printf("#   got: %s\n#   expected: %s\n", got ? got : "(null)",
               expected ? expected : "(null)");
        fflush(stdout);
    }

    return pass;
}


TAP_PRINTF(1, 2) static void
note(const char *fmt, ...)
{
    va_list  args;

    printf("# ");
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}


TAP_UNUSED static int
done(void)
{
    printf("1..%u\n", tap_count);

    if (tap_failed) {
        printf("# %u of %u failed\n", tap_failed, tap_count);
    }

    return tap_failed || tap_count == 0;
}


#endif /* WSCAST_T_TAP_H */
