/* The layout of the cache: made, and found again. */
#include "hub/snapshot.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define DIGEST "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"

enum { PATH_SIZE = 1024 };

static struct repository parse(const char *name) {
    struct repository repository;
    ck_assert(repository_parse(&repository, name));
    return repository;
}

static void write_blob(const struct snapshot *snapshot) {
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/blobs/" DIGEST, snapshot->model);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
}

/* A snapshot with these files, all of them empty. */
static void make(const char *cache, const char *name, const char *first, const char *second) {
    struct repository repository = parse(name);
    struct snapshot snapshot;
    ck_assert_int_eq(snapshot_open(&snapshot, cache, &repository, COMMIT, NULL), STATUS_OK);
    write_blob(&snapshot);
    ck_assert_int_eq(snapshot_link(&snapshot, first, DIGEST, NULL), STATUS_OK);
    ck_assert_int_eq(snapshot_link(&snapshot, second, DIGEST, NULL), STATUS_OK);
    ck_assert(snapshot_has(&snapshot, first) && snapshot_has(&snapshot, second));
    ck_assert_int_eq(snapshot_name(&snapshot, repository.revision, COMMIT, NULL), STATUS_OK);
    snapshot_close(&snapshot);
}

static enum status find(const char *cache, const char *name) {
    struct repository repository = parse(name);
    char *folder = NULL, expected[PATH_SIZE];
    enum status status = snapshot_find(&folder, cache, &repository, NULL);
    if (status) return status;
    snprintf(expected, sizeof(expected), "%s/models--a--b/snapshots/" COMMIT, cache);
    ck_assert_str_eq(folder, expected);
    free(folder);
    return STATUS_OK;
}

START_TEST(made_and_found) {
    char *cache = folder_make();
    ck_assert_int_eq(find(cache, "a/b"), STATUS_NOT_FOUND);
    make(cache, "a/b@refs/pr/1", "config.json", "model.safetensors");
    ck_assert_int_eq(find(cache, "a/b@refs/pr/1"), STATUS_OK);
    ck_assert_int_eq(find(cache, "a/b@" COMMIT), STATUS_OK);
    ck_assert_int_eq(find(cache, "a/b"), STATUS_NOT_FOUND);
    ck_assert_int_eq(find(cache, "a/b@refs"), STATUS_NOT_FOUND);
    ck_assert_int_eq(find(cache, "a/c@refs/pr/1"), STATUS_NOT_FOUND);
    folder_remove(cache);
}
END_TEST

START_TEST(weights_in_a_folder) {
    char *cache = folder_make();
    make(cache, "a/b", "text_encoder/config.json", "text_encoder/model.safetensors");
    ck_assert_int_eq(find(cache, "a/b"), STATUS_OK);
    folder_remove(cache);
}
END_TEST

START_TEST(weights_in_shards) {
    char *cache = folder_make(), path[PATH_SIZE];
    make(cache, "a/b", "text_encoder/config.json", "text_encoder/model.safetensors.index.json");
    ck_assert_int_eq(find(cache, "a/b"), STATUS_UNPROCESSABLE); /* as all files, it is empty */
    snprintf(path, sizeof(path),
             "%s/models--a--b/snapshots/" COMMIT "/text_encoder/model.safetensors.index.json",
             cache);
    ck_assert_int_eq(unlink(path), 0);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("{\"weight_map\": {\"x\": \"1.safetensors\", \"y\": \"2.safetensors\"}}", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(find(cache, "a/b"), STATUS_NOT_FOUND);
    make(cache, "a/b", "text_encoder/config.json", "text_encoder/1.safetensors");
    ck_assert_int_eq(find(cache, "a/b"), STATUS_NOT_FOUND);
    make(cache, "a/b", "text_encoder/config.json", "text_encoder/2.safetensors");
    ck_assert_int_eq(find(cache, "a/b"), STATUS_OK);
    folder_remove(cache);
}
END_TEST

START_TEST(without_weights) {
    char *cache = folder_make();
    make(cache, "a/b", "config.json", "model.gguf");
    ck_assert_int_eq(find(cache, "a/b"), STATUS_NOT_FOUND);
    folder_remove(cache);
}
END_TEST

START_TEST(a_link_to_nothing) {
    char *cache = folder_make(), path[PATH_SIZE];
    make(cache, "a/b", "config.json", "model.safetensors");
    snprintf(path, sizeof(path), "%s/models--a--b/blobs/" DIGEST, cache);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(find(cache, "a/b"), STATUS_NOT_FOUND);
    folder_remove(cache);
}
END_TEST

START_TEST(references_that_make_no_sense) {
    static const char *const texts[] = {"",         "main",       "../../../../etc",
                                        COMMIT "0", "../" COMMIT, COMMIT "\n"};
    char *cache = folder_make(), path[PATH_SIZE];
    make(cache, "a/b", "config.json", "model.safetensors");
    snprintf(path, sizeof(path), "%s/models--a--b/refs/main", cache);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fputs(texts[i], file);
        fclose(file);
        bool commit = !strcmp(texts[i], COMMIT "\n");
        ck_assert_int_eq(find(cache, "a/b"), commit ? STATUS_OK : STATUS_NOT_FOUND);
    }
    folder_remove(cache);
}
END_TEST

START_TEST(links) {
    char *cache = folder_make(), path[PATH_SIZE], target[PATH_SIZE];
    make(cache, "a/b", "config.json", "x/y/model.safetensors");
    make(cache, "a/b", "config.json", "x/y/model.safetensors"); /* once more, in its place */
    snprintf(path, sizeof(path), "%s/models--a--b/snapshots/" COMMIT "/x/y/model.safetensors",
             cache);
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    ck_assert_int_gt(size, 0);
    target[size] = 0;
    ck_assert_str_eq(target, "../../../../blobs/" DIGEST);
    snprintf(path, sizeof(path), "%s/models--a--b/refs/main", cache);
    struct buffer reference = files_load(path);
    ck_assert_uint_eq(reference.size, REPOSITORY_COMMIT_SIZE);
    ck_assert_mem_eq(reference.data, COMMIT, REPOSITORY_COMMIT_SIZE);
    buffer_free(&reference);
    folder_remove(cache);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("snapshot");
    tcase_add_test(tcase, made_and_found);
    tcase_add_test(tcase, weights_in_a_folder);
    tcase_add_test(tcase, weights_in_shards);
    tcase_add_test(tcase, without_weights);
    tcase_add_test(tcase, a_link_to_nothing);
    tcase_add_test(tcase, references_that_make_no_sense);
    tcase_add_test(tcase, links);
    return program_run("snapshot", tcase, CK_NOFORK);
}
