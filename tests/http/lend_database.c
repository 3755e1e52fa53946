/* lend_database.c - an empty PostgreSQL database for a Python test: prints its address, and
 * drops it when standard input ends, which is also when the test dies. A line there locks the
 * table of collections, or lets it go when it is locked, and gets one for an answer. Prints what
 * postgres_database_create() does when there is no server. */
#include <stdbool.h>
#include <stdio.h>

#include "tests/support/postgres_database.h"
#include "tests/support/postgres_hold.h"

int main(void) {
    char *address = postgres_database_create();
    if (!address) return 0;
    puts(address);
    fflush(stdout);
    pthread_t holder;
    bool held = false;
    for (int character; (character = getchar()) != EOF;) {
        if (character != '\n') continue;
        if (held)
            postgres_hold_end(address, holder);
        else
            holder =
                postgres_hold(address, "LOCK TABLE clipd_collections IN ACCESS EXCLUSIVE MODE");
        held = !held;
        puts(held ? "held" : "free");
        fflush(stdout);
    }
    postgres_database_drop(address);
    return 0;
}
