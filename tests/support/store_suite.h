/* store_suite.h - what every store must do, as cases against the door (core/index/collection.h).
 *
 * The cases take the address of a store and use collections whose names begin with "suite-",
 * which they drop at their start and end; so one store may be used for all of them, one after
 * the other. What does not hold aborts with a message on standard error. */
#ifndef TESTS_SUPPORT_STORE_SUITE_H
#define TESTS_SUPPORT_STORE_SUITE_H

#include <stdbool.h>
#include <stddef.h>

size_t store_suite_count(void);
const char *store_suite_name(size_t index);
/* Runs case `index` < store_suite_count(). */
void store_suite_run(size_t index, const char *store);

/* Aborts with the message unless it holds: for tests that go on from here. */
void store_suite_must(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
