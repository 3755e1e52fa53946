/* One rule for where the shared folder lies, so that all tests skip alike. */
#include "tests/support/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/file.h"

static const char *shared_folder(void) {
    const char *folder = getenv("CLIPD_SHARED");
    return folder && *folder ? folder : "../shared";
}

bool shared_missing(void) {
    if (access(shared_folder(), R_OK | X_OK) == 0) return false;
    printf("skipped: no %s\n", shared_folder());
    return true;
}

char *shared_path(const char *relative) {
    char *path = file_join(shared_folder(), relative);
    if (!path) abort();
    return path;
}
