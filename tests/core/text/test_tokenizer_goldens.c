/* The tokenizer against ids made by the reference tokenizers, row by row: in ../shared
 * with CLIP's vocabulary, and the same kind of rows of our own with a small one. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/text/clean.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

enum { IDS_MAX = 8192, LINE_MAX_BYTES = 1 << 20, FAILURES_SHOWN = 20, CONTEXT_LENGTH = 77 };

struct mode {
    const char *name; /* of the column */
    struct tokenizer_options options;
};

static const struct mode modes[] = {
    {"openai", {.mode = TOKENIZER_OPENAI, .clean = TOKENIZER_LOWER}},
    {"open_clip_lower", {.mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_LOWER}},
    {"open_clip_whitespace", {.mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_WHITESPACE}},
    {"open_clip_canonicalize", {.mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_CANONICALIZE}},
    {"hf_fast", {.mode = TOKENIZER_HF_FAST, .clean = TOKENIZER_LOWER}},
};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static struct tokenizer *open_mode(const char *path, const struct mode *mode) {
    struct error err = ERROR_NONE;
    struct tokenizer *tokenizer;
    ck_assert_msg(!tokenizer_open(&tokenizer, path, &mode->options, &err), "%s", err.message);
    return tokenizer;
}

static struct bytes text_of(const json_t *row) {
    const json_t *text = json_object_get(row, "text");
    return (struct bytes){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

/* Prints both when the first `count` ids are not those of the array. */
static bool same_ids(const uint32_t *ids, size_t count, const json_t *expected, const json_t *row,
                     const char *column) {
    bool same = json_array_size(expected) == count;
    for (size_t i = 0; same && i < count; i++)
        same = json_integer_value(json_array_get(expected, i)) == ids[i];
    if (same) return true;
    char *wanted = json_dumps(expected, JSON_COMPACT);
    printf("row %lld, %s: expected %s, found [", json_integer_value(json_object_get(row, "i")),
           column, wanted);
    for (size_t i = 0; i < count; i++) printf("%u,", ids[i]);
    printf("]\n");
    free(wanted);
    return false;
}

static bool check_ids(const struct tokenizer *tokenizer, const json_t *row, const char *column) {
    const json_t *expected = json_object_get(row, column);
    if (json_is_string(expected)) expected = json_object_get(row, "openai"); /* "same" */
    static uint32_t ids[IDS_MAX];
    struct tokens tokens = {.ids = ids};
    struct error err = ERROR_NONE;
    enum status status = tokenizer_encode(tokenizer, text_of(row), IDS_MAX, false, &tokens, &err);
    ck_assert_msg(!status, "%s", err.message);
    ck_assert(tokens.total == tokens.count && !tokens.truncated);
    return same_ids(ids, tokens.count, expected, row, column);
}

static bool check_cleaned(const json_t *row) {
    const json_t *expected = json_object_get(row, "cleaned");
    struct buffer cleaned;
    buffer_init(&cleaned, CLEAN_OUTPUT_MAX);
    ck_assert_int_eq(clean_text(&cleaned, text_of(row), &modes[0].options, NULL), STATUS_OK);
    bool same = cleaned.size == json_string_length(expected) &&
                (!cleaned.size || !memcmp(cleaned.data, json_string_value(expected), cleaned.size));
    if (!same)
        printf("row %lld: expected \"%s\", cleaned \"%.*s\"\n",
               json_integer_value(json_object_get(row, "i")), json_string_value(expected),
               (int)cleaned.size, (const char *)cleaned.data);
    buffer_free(&cleaned);
    return same;
}

/* Calls `check` for each line of a file; returns how many rows it has. */
typedef void row_fn(void *context, const json_t *row);

static size_t each_row(const char *path, row_fn *check, void *context) {
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    static char line[LINE_MAX_BYTES];
    size_t count = 0;
    for (; fgets(line, sizeof(line), file); count++) {
        json_error_t problem;
        json_t *row = json_loads(line, JSON_ALLOW_NUL, &problem);
        ck_assert_msg(row != NULL, "%s:%zu: %s", path, count + 1, problem.text);
        check(context, row);
        json_decref(row);
    }
    fclose(file);
    return count;
}

struct tally {
    struct tokenizer *tokenizers[MODES];
    size_t rows, checked, failed;
};

static void check_row(void *context, const json_t *row) {
    struct tally *tally = context;
    tally->rows++;
    tally->checked += MODES + 1;
    for (size_t i = 0; i < MODES; i++)
        if (!check_ids(tally->tokenizers[i], row, modes[i].name)) tally->failed++;
    if (!check_cleaned(row)) tally->failed++;
}

static struct tally check_file(const char *rows, const char *vocabulary) {
    struct tally tally = {.rows = 0};
    for (size_t i = 0; i < MODES; i++) tally.tokenizers[i] = open_mode(vocabulary, &modes[i]);
    each_row(rows, check_row, &tally);
    for (size_t i = 0; i < MODES; i++) tokenizer_close(tally.tokenizers[i]);
    printf("%s: %zu rows, %zu comparisons in %d modes and cleaned, %zu differ\n", rows, tally.rows,
           tally.checked, MODES, tally.failed);
    return tally;
}

START_TEST(rows_of_the_references) {
    if (shared_missing()) return;
    char *rows = shared_path("goldens/tokenizer/tokenizer_goldens.jsonl");
    char *vocabulary = shared_path("spec/data/bpe_simple_vocab_16e6.txt.gz");
    struct tally tally = check_file(rows, vocabulary);
    ck_assert_uint_eq(tally.rows, 750);
    ck_assert_uint_eq(tally.failed, 0);
    free(rows);
    free(vocabulary);
}
END_TEST

START_TEST(rows_of_our_own) {
    struct tally tally =
        check_file("tests/golden/text/texts.jsonl", "tests/golden/text/merges.txt");
    ck_assert_uint_gt(tally.rows, 60);
    ck_assert_uint_eq(tally.failed, 0);
}
END_TEST

static void check_damaged(void *context, const json_t *row) {
    struct tally *tally = context;
    if (!check_cleaned(row)) tally->failed++;
}

/* UTF-8 that was read in each of ten encodings, once or more often, as a whole or beside
 * other text, with bytes lost on the way. */
START_TEST(mojibake_of_our_own) {
    struct tally tally = {.rows = 0};
    size_t count = each_row("tests/golden/text/mojibake.jsonl", check_damaged, &tally);
    printf("tests/golden/text/mojibake.jsonl: %zu rows cleaned, %zu differ\n", count, tally.failed);
    ck_assert_uint_eq(count, 440);
    ck_assert_uint_eq(tally.failed, 0);
}
END_TEST

static void check_truncated(void *context, const json_t *row) {
    struct tally *tally = context;
    bool raises = json_is_true(json_object_get(row, "openai_raises_without_truncate"));
    /* The second column is of the slow tokenizer with ftfy, which is openai with other
     * padding for these rows; hf-fast is cut off in test_tokenizer.c. */
    const char *const columns[] = {"ids77", "hf_ids77"};
    for (size_t i = 0; i < 2; i++) {
        uint32_t ids[CONTEXT_LENGTH];
        struct tokens tokens = {.ids = ids};
        const struct tokenizer *tokenizer = tally->tokenizers[0];
        ck_assert(!tokenizer_encode(tokenizer, text_of(row), CONTEXT_LENGTH, true, &tokens, NULL));
        ck_assert(tokens.truncated == raises);
        ck_assert(tokens.truncated == (tokens.total > CONTEXT_LENGTH));
        /* The references pad, we do not. */
        uint32_t pad = i == 0 ? 0 : tokenizer_end_id(tokenizer);
        while (tokens.count < CONTEXT_LENGTH) ids[tokens.count++] = pad;
        tally->checked++;
        const json_t *expected = json_object_get(row, columns[i]);
        if (!same_ids(ids, tokens.count, expected, row, columns[i])) tally->failed++;
    }
}

START_TEST(truncation_of_the_references) {
    if (shared_missing()) return;
    char *rows = shared_path("goldens/tokenizer/truncate77.jsonl");
    char *vocabulary = shared_path("spec/data/bpe_simple_vocab_16e6.txt.gz");
    struct tally tally = {.tokenizers = {open_mode(vocabulary, &modes[0])}};
    size_t count = each_row(rows, check_truncated, &tally);
    printf("%s: %zu rows, %zu comparisons, %zu differ\n", rows, count, tally.checked, tally.failed);
    ck_assert_uint_eq(count, 67);
    ck_assert_uint_eq(tally.failed, 0);
    tokenizer_close(tally.tokenizers[0]);
    free(rows);
    free(vocabulary);
}
END_TEST

int main(void) {
    TCase *goldens = tcase_create("goldens");
    tcase_set_timeout(goldens, 0);
    tcase_add_test(goldens, rows_of_our_own);
    tcase_add_test(goldens, mojibake_of_our_own);
    tcase_add_test(goldens, rows_of_the_references);
    tcase_add_test(goldens, truncation_of_the_references);
    return program_run("tokenizer goldens", goldens, CK_NOFORK);
}
