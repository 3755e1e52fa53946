/* postgres_hold.h - somebody who is in the way: a session in a test's database that holds what it
 * has taken until it is told to let go. One at a time. */
#ifndef TESTS_SUPPORT_POSTGRES_HOLD_H
#define TESTS_SUPPORT_POSTGRES_HOLD_H

#include <pthread.h>

/* A loop of PL/pgSQL that goes on as long as the table `hold` says so. */
#define POSTGRES_HOLD "WHILE (SELECT held FROM hold) LOOP PERFORM pg_sleep(0.01); END LOOP"

/* Runs a statement of PL/pgSQL in a transaction that stays open; returns when it is done. */
pthread_t postgres_hold(const char *address, const char *statement);
/* Locks the collection's table in that mode. */
pthread_t postgres_hold_table(const char *address, const char *name, const char *mode);
void postgres_hold_end(const char *address, pthread_t thread);

#endif
