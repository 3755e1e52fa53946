/* Which folder has the weights, and which the vocabulary. */
#include "core/checkpoint/layout.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/program.h"

static char folder[] = "/tmp/clipd-test-XXXXXX";

/* Folders end with a slash. */
static void make(const char *name) {
    char *path = file_join(folder, name);
    if (path[strlen(path) - 1] == '/') {
        ck_assert_int_eq(mkdir(path, 0700), 0);
    } else {
        FILE *out = fopen(path, "wb");
        ck_assert_ptr_nonnull(out);
        fclose(out);
    }
    free(path);
}

static void take_away(const char *name) {
    char *path = file_join(folder, name);
    ck_assert_int_eq(remove(path), 0);
    free(path);
}

/* Both are relative to the folder; "" is the folder itself. */
static void check(const char *what, char *(*find)(const char *path), const char *want) {
    ck_assert(what && want);
    char *path = what[0] ? file_join(folder, what) : strdup(folder);
    char *expected = want[0] ? file_join(folder, want) : strdup(folder);
    char *found = find(path);
    ck_assert_str_eq(found, expected);
    free(found);
    free(expected);
    free(path);
}

START_TEST(layouts) {
    static const struct {
        const char *names[5], *path, *weights, *tokenizer;
    } rows[] = {
        {{"config.json"}, "", "", ""},
        {{"model.pt"}, "model.pt", "model.pt", "model.pt"},
        {{"modules.json", "0_CLIPModel/"}, "", "0_CLIPModel", "0_CLIPModel"},
        {{"modules.json", "config.json", "0_CLIPModel/"}, "", "", ""},
        {{"0_CLIPModel/"}, "", "", ""},
        {{"model_index.json", "text_encoder/", "tokenizer/"}, "", "text_encoder", "tokenizer"},
        {{"text_encoder/", "tokenizer/"}, "text_encoder", "text_encoder", "tokenizer"},
        {{"text_encoder_2/", "tokenizer_2/"}, "text_encoder_2", "text_encoder_2", "tokenizer_2"},
        {{"text_encoder_2/", "tokenizer/"}, "text_encoder_2", "text_encoder_2", "text_encoder_2"},
        {{NULL}, "missing", "missing", "missing"},
    };
    size_t count = 0;
    for (; rows[_i].names[count]; count++) make(rows[_i].names[count]);
    check(rows[_i].path, layout_weights, rows[_i].weights);
    check(rows[_i].path, layout_tokenizer, rows[_i].tokenizer);
    while (count--) take_away(rows[_i].names[count]);
}
END_TEST

int main(void) {
    if (!mkdtemp(folder)) return 1;
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, layouts, 0, 10);
    int failed = program_run("layout", tests, CK_NOFORK);
    rmdir(folder);
    return failed;
}
