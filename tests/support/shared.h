/* shared.h - where the reference data lies that the repository does not contain.
 *
 * The folder is named by the environment variable CLIPD_SHARED, ../shared without
 * it. Tests that need it begin with `if (shared_missing()) return;`.
 */
#ifndef TESTS_SUPPORT_SHARED_H
#define TESTS_SUPPORT_SHARED_H

#include <stdbool.h>

/* True when there is no such folder; "skipped: no ../shared" is printed then. */
bool shared_missing(void);

/* The path of a file in the folder, "goldens/preprocess/manifest.json"; the caller
 * frees it. Never NULL: it aborts without memory. */
char *shared_path(const char *relative);

#endif
