/* files.h - whole files and folders of them, for tests: what cannot be read aborts. */
#ifndef TESTS_SUPPORT_FILES_H
#define TESTS_SUPPORT_FILES_H

#include "core/base/bytes.h"

/* The caller releases the buffer with buffer_free(). */
struct buffer files_load(const char *path);

/* Calls `visit` for each file below `folder`, in no order; returns how many. */
typedef void files_visit_fn(void *context, const char *path, struct bytes file);
size_t files_each(const char *folder, files_visit_fn *visit, void *context);

#endif
