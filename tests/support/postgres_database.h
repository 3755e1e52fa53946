/* postgres_database.h - a database of its own for each test program.
 *
 * The server is named by the environment variable CLIPD_POSTGRES
 * (tools/postgres_for_tests.sh sets it). */
#ifndef TESTS_SUPPORT_POSTGRES_DATABASE_H
#define TESTS_SUPPORT_POSTGRES_DATABASE_H

/* The address of a new, empty database, which the caller drops. NULL if there is no server;
 * "skipped: no PostgreSQL" is printed then. */
char *postgres_database_create(void);
/* Also while there are connections to it; frees the address. */
void postgres_database_drop(char *address);

/* Runs SQL; returns the first value of the answer, "" if there is none, which the caller
 * frees. Aborts when it fails. */
char *postgres_database_run(const char *address, const char *sql);
/* The same in the server's own database; `%s` in the SQL is the name of the test's. */
char *postgres_database_ask_server(const char *address, const char *format);
/* Asks the server until it says true, for some time; aborts then. */
void postgres_database_wait_until(const char *address, const char *format);
/* What connections to the test's database find from now on; without a key as it was. */
void postgres_database_configure(const char *address, const char *key, const char *value);

#endif
