/* program.h - what every test program ends with: its tests are run. */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include <check.h>

/* Runs the case, frees it and returns what main() does: 0 if nothing failed. CK_FORK_GETENV gives
 * each test a process of its own, for those that may die or leave something behind. Says as much
 * as $CK_VERBOSITY wants. */
int program_run(const char *name, TCase *tests, enum fork_status mode);

#endif
