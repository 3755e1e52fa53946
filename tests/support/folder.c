#include "tests/support/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

char *folder_make(void) {
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/clipd-XXXXXX", parent ? parent : "/tmp") < 0 || !mkdtemp(path)) {
        perror("cannot make a folder");
        abort();
    }
    return path;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *place) {
    (void)stat;
    (void)kind;
    (void)place;
    return remove(path);
}

void folder_remove(char *path) {
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(path);
}
