/* A file of packed weights is taken only as what it was written, and is made anew otherwise. */
#include "core/pack/packed_file.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

enum { BLOCK = 5000, VERSION_AT = 16, BLOCK_AT = 1 << 16 };

static char *folder;
static struct packed_key key;

static void set_up(void) {
    log_init(LOG_OFF, LOG_TEXT);
    folder = folder_make();
    key = packed_key_make("a model", "as it is");
}

static void tear_down(void) {
    folder_remove(folder);
}

static void write_file(void) {
    struct model_info info = {.embed_dim = 7};
    struct plan plan;
    struct packed_draft *draft;
    struct packed packed;
    struct error err = ERROR_NONE;
    plan_fill(&plan, MODEL_INT8);
    ck_assert_msg(!packed_draft_create(&draft, folder, &key, BLOCK, &err), "%s", err.message);
    memset(packed_draft_block(draft), 77, BLOCK);
    ck_assert_msg(!packed_draft_finish(draft, &packed, &info, &plan, &err), "%s", err.message);
    packed_draft_destroy(draft);
    ck_assert_uint_eq(packed.block.size, BLOCK);
    packed_close(&packed);
}

static bool is_taken(const struct packed_key *asked) {
    struct model_info info;
    struct plan plan, all;
    struct packed packed;
    if (!packed_open(&packed, folder, asked, &info, &plan)) return false;
    plan_fill(&all, MODEL_INT8);
    ck_assert_uint_eq(info.embed_dim, 7);
    ck_assert_mem_eq(&plan, &all, sizeof(plan));
    ck_assert_uint_eq(packed.block.size, BLOCK);
    for (size_t i = 0; i < BLOCK; i++) ck_assert_uint_eq(packed.block.data[i], 77);
    packed_close(&packed);
    return true;
}

static void change(off_t at, uint8_t value) {
    char *path = file_join(folder, key.name);
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, &value, 1, at), 1);
    close(fd);
    free(path);
}

START_TEST(what_was_written) {
    struct packed_key other = packed_key_make("a model", "as it was");
    ck_assert(!is_taken(&key));
    write_file();
    ck_assert(is_taken(&key));
    ck_assert(!is_taken(&other));
}
END_TEST

/* What builds of before may have let through stays theirs. */
START_TEST(another_version) {
    write_file();
    change(VERSION_AT, 5);
    ck_assert(!is_taken(&key));
    write_file();
    ck_assert(is_taken(&key));
}
END_TEST

START_TEST(damaged) {
    static const off_t places[] = {0,        VERSION_AT,          24, 32, 40, 48, 200,
                                   BLOCK_AT, BLOCK_AT + BLOCK - 1};
    write_file();
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        change(places[i], 255);
        ck_assert_msg(!is_taken(&key), "changed at %ld", (long)places[i]);
        write_file();
        ck_assert(is_taken(&key));
    }
}
END_TEST

START_TEST(others_may_have_written_it) {
    write_file();
    char *path = file_join(folder, key.name);
    ck_assert_int_eq(chmod(path, 0664), 0);
    ck_assert(!is_taken(&key));
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert(is_taken(&key));
    free(path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("packed_file");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_was_written);
    tcase_add_test(tests, another_version);
    tcase_add_test(tests, damaged);
    tcase_add_test(tests, others_may_have_written_it);
    return program_run("packed_file", tests, CK_NOFORK);
}
