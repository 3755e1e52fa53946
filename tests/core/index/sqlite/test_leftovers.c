/* What a crash left is gone after the next start, and nothing else is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/index/collection.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

/* The store has one collection, of number 1. */
static const struct {
    const char *name;
    bool stays;
} files[] = {
    {"snapshots/a.sqlite.partial-Ab3dEf", false},
    {"snapshots/a.sqlite.partial-Ab3dEf-journal", false},
    {"snapshots/a.sqlite.partial-Ab3dEf-wal", false},
    {"snapshots/.partial-.partial-000000", false},
    {"snapshots/a.sqlite", true},
    {"snapshots/x.partial-abcdef.sqlite", true},
    {"snapshots/x.partial-", true},
    {"snapshots/x.partial-abcde", true},
    {"snapshots/index-2.hnsw", true},
    {"index-2.hnsw", false},
    {"index-2.hnsw.new", false},
    {"index-99999.hnsw", false},
    {"index-1.hnsw", true},
    {"index-1.hnsw.new", true},
    {"index-2.hnsw.bak", true},
    {"index-x.hnsw", true},
    {"a.partial-abcdef", true},
};
enum { FILES = sizeof(files) / sizeof(*files) };

static char *path_of(const char *folder, const char *name) {
    char *path = NULL;
    ck_assert_int_ge(asprintf(&path, "%s/%s", folder, name), 0);
    return path;
}

START_TEST(test_leftovers) {
    char *folder = folder_make(), *snapshots = path_of(folder, COLLECTIONS_SNAPSHOTS);
    struct collections *c = step_open_store(folder);
    struct collection_spec spec = step_spec_of("a");
    step_make(c, &spec);
    collections_close(c);
    ck_assert_int_eq(mkdir(snapshots, 0700), 0);
    for (size_t i = 0; i < FILES; i++) {
        char *path = path_of(folder, files[i].name);
        FILE *file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        fclose(file);
        free(path);
    }
    c = step_open_store(folder);
    for (size_t i = 0; i < FILES; i++) {
        char *path = path_of(folder, files[i].name);
        ck_assert_msg((access(path, F_OK) == 0) == files[i].stays, "%s", files[i].name);
        free(path);
    }
    collections_close(c);
    free(snapshots);
    folder_remove(folder);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("leftovers");
    tcase_add_test(tcase, test_leftovers);
    return program_run("leftovers", tcase, CK_FORK_GETENV);
}
