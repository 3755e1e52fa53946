/* lend_database.c - an empty PostgreSQL database for a Python test: prints its address, and
 * drops it when standard input ends, which is also when the test dies. Prints what
 * postgres_database_create() does when there is no server. */
#include <stdio.h>

#include "tests/support/postgres_database.h"

int main(void) {
    char *address = postgres_database_create();
    if (!address) return 0;
    puts(address);
    fflush(stdout);
    while (getchar() != EOF) continue;
    postgres_database_drop(address);
    return 0;
}
