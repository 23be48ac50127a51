/*
 * fuzz_main.h: what every fuzz target includes first.
 *
 * Audience: t/<room>/<file>.fuzz.c.  A target defines LLVMFuzzerTestOneInput()
 * and states its oracle with must().  Built with -fsanitize=fuzzer libFuzzer
 * brings main(); with -DWSCAST_FUZZ_REPLAY this file does: it runs the target
 * over every file, or every file of every directory, named on the command
 * line and prints one TAP line for each argument.  An argument that is a number
 * is that many inputs of random bytes, the same in every run.
 *
 * fuzz_cut() takes the sizes of pieces from the input's own bytes, last byte
 * first: so a seed is plain input, and the fuzzer can still move the cuts.
 */

#ifndef WSCAST_T_FUZZ_MAIN_H
#define WSCAST_T_FUZZ_MAIN_H


#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>


#define must(cond)                                                            \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__,     \
                    #cond);                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


typedef struct {
    const uint8_t  *data;
    size_t          len;
    size_t          at;
} fuzz_cut_t;


/* The size of the next piece: 1 to left, mostly small. */

__attribute__((unused)) static size_t
fuzz_cut(void *ctx, size_t left)
{
    size_t       n;
    fuzz_cut_t  *c;

    c = ctx;

    if (c->at == 0) {
        c->at = c->len;
    }

    n = c->data[--c->at];
    n = n < 0xe0 ? (n & 0x1f) + 1 : (n & 0x1f) * 512 + 1;

    return n < left ? n : left;
}


#ifdef WSCAST_FUZZ_REPLAY


static int
fuzz_replay_file(const char *path)
{
    FILE     *f;
    size_t    len, n;
    uint8_t  *data, *more;

    f = fopen(path, "rb");

    if (f == NULL) {
        printf("# cannot open %s\n", path);
        return 0;
    }

    data = NULL;
    len = 0;

    do {
        more = realloc(data, len + 65536);

        if (more == NULL) {
            abort();
        }

        data = more;
        n = fread(data + len, 1, 65536, f);
        len += n;
    } while (n);

    fclose(f);

    /* exactly as long as the input, for the sanitizer */

    more = malloc(len ? len : 1);

    if (more == NULL) {
        abort();
    }

    memcpy(more, data, len);
    free(data);

    LLVMFuzzerTestOneInput(more, len);
    free(more);

    return 1;
}


/* How many files were run; -1 if one could not be. */

static int
fuzz_replay(const char *path)
{
    int              n, files;
    char             name[4096];
    struct stat      st;
    struct dirent  **list;

    if (stat(path, &st) != 0) {
        printf("# no %s\n", path);
        return -1;
    }

    if (!S_ISDIR(st.st_mode)) {
        return fuzz_replay_file(path) ? 1 : -1;
    }

    n = scandir(path, &list, NULL, alphasort);
    files = 0;

    if (n < 0) {
        printf("# cannot list %s\n", path);
        return -1;
    }

    while (n--) {
        if (list[n]->d_name[0] != '.' && files >= 0) {
            snprintf(name, sizeof(name), "%s/%s", path, list[n]->d_name);
            files = fuzz_replay_file(name) ? files + 1 : -1;
        }

        free(list[n]);
    }

    free(list);

    return files;
}


#define FUZZ_RANDOM_LEN  64         /* bytes: half of the inputs are shorter */


static void
fuzz_random(unsigned long runs)
{
    size_t         len, i;
    uint64_t       x;
    uint8_t       *data;
    unsigned long  n;

    x = 0x9e3779b97f4a7c15ull;

    for (n = 0; n < runs; n++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;

        len = (size_t) (x >> 32) % FUZZ_RANDOM_LEN;

        if (x & 1) {
            len /= 4;
        }

        data = malloc(len ? len : 1);

        if (data == NULL) {
            abort();
        }

        for (i = 0; i < len; i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            data[i] = (uint8_t) (x >> 56);
        }

        LLVMFuzzerTestOneInput(data, len);
        free(data);
    }
}


int
main(int argc, char **argv)
{
    int            i, files, failed;
    char          *end;
    unsigned long  runs;

    failed = 0;

    for (i = 1; i < argc; i++) {
        runs = strtoul(argv[i], &end, 10);

        if (runs && *end == '\0') {
            fuzz_random(runs);
            printf("ok %d - %lu inputs of random bytes\n", i, runs);
            fflush(stdout);
            continue;
        }

        files = fuzz_replay(argv[i]);

        if (files <= 0) {
            failed = 1;
            printf("not ok %d - %s has seeds and all of them can be read\n",
                   i, argv[i]);

        } else {
            printf("ok %d - %d seeds of %s replayed\n", i, files, argv[i]);
        }

        fflush(stdout);
    }

    printf("1..%d\n", argc - 1);

    return failed || argc == 1;
}


#endif /* WSCAST_FUZZ_REPLAY */


#endif /* WSCAST_T_FUZZ_MAIN_H */
