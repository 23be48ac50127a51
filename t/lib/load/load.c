/*
 * load: clients in numbers for which Perl is too slow.  See blast.c, churn.c,
 * fair.c.
 */

#include <stdio.h>
#include <string.h>


int blast(int argc, char **argv);
int churn(int argc, char **argv);
int fair(int argc, char **argv);


int
main(int argc, char **argv)
{
    int  rc;

    rc = -1;

    if (argc > 1 && strcmp(argv[1], "blast") == 0) {
        rc = blast(argc - 2, argv + 2);

    } else if (argc > 1 && strcmp(argv[1], "churn") == 0) {
        rc = churn(argc - 2, argv + 2);

    } else if (argc > 1 && strcmp(argv[1], "fair") == 0) {
        rc = fair(argc - 2, argv + 2);
    }

    if (rc == -1) {
        fprintf(stderr, "usage: load blast|churn|fair ARGUMENT...\n");
        return 2;
    }

    return rc;
}
