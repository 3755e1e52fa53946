/* What tokenizer_encode() promises besides the ids: counting, limits, errors, speed on
 * hostile texts, threads. */
#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/text/clean.h"
#include "core/text/vocabulary_draft.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

enum { IDS_MAX = 128, MEGABYTE = 1 << 20, THREADS = 4, ROUNDS = 200, SECONDS_MAX = 20 };

static const char *const vocabulary = "tests/golden/text/merges.txt";
static const enum tokenizer_mode modes[] = {TOKENIZER_OPENAI, TOKENIZER_OPEN_CLIP,
                                            TOKENIZER_HF_FAST};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static struct tokenizer *open_mode(const char *path, enum tokenizer_mode mode) {
    struct tokenizer_options options = {.mode = mode, .clean = TOKENIZER_LOWER};
    struct tokenizer *tokenizer;
    struct error err = ERROR_NONE;
    ck_assert_msg(!tokenizer_open(&tokenizer, path, &options, &err), "%s", err.message);
    return tokenizer;
}

START_TEST(counting_and_truncation) {
    for (size_t m = 0; m < MODES; m++) {
        struct tokenizer *tokenizer = open_mode(vocabulary, modes[m]);
        uint32_t start = tokenizer_start_id(tokenizer), end = tokenizer_end_id(tokenizer);
        ck_assert_uint_eq(tokenizer_vocab_size(tokenizer), end + 1);
        /* Six words, eight ids. */
        struct bytes text = bytes_of("1 2 3 4 5 6");
        for (size_t context_length = 2; context_length < 12; context_length++) {
            uint32_t ids[IDS_MAX];
            memset(ids, 0xFF, sizeof(ids));
            struct tokens tokens = {.ids = ids};
            struct error err = ERROR_NONE;
            ck_assert(!tokenizer_encode(tokenizer, text, context_length, true, &tokens, &err));
            size_t expected = context_length < 8 ? context_length : 8;
            ck_assert_uint_eq(tokens.count, expected);
            ck_assert_uint_eq(tokens.total, 8);
            ck_assert(tokens.truncated == (context_length < 8));
            ck_assert_uint_eq(ids[0], start);
            ck_assert_uint_eq(ids[expected - 1], end);
            ck_assert_uint_eq(ids[expected], UINT32_MAX); /* nothing past the array */
            enum status status =
                tokenizer_encode(tokenizer, text, context_length, false, &tokens, &err);
            ck_assert_int_eq(status, context_length < 8 ? STATUS_UNPROCESSABLE : STATUS_OK);
        }
        tokenizer_close(tokenizer);
    }
    tokenizer_close(NULL);
}
END_TEST

START_TEST(errors) {
    struct tokenizer *tokenizer = open_mode(vocabulary, TOKENIZER_OPENAI);
    uint32_t ids[IDS_MAX];
    struct tokens tokens = {.ids = ids};
    struct error err = ERROR_NONE;
    ck_assert_int_eq(tokenizer_encode(tokenizer, bytes_of("1 2 3"), 4, false, &tokens, &err),
                     STATUS_UNPROCESSABLE);
    ck_assert_str_eq(err.message, "the text has 5 tokens, the limit is 4");
    err = ERROR_NONE;
    ck_assert_int_eq(tokenizer_encode(tokenizer, bytes_of("caf\xE9"), 77, true, &tokens, &err),
                     STATUS_INVALID);
    ck_assert_str_eq(err.message, "the text is not valid UTF-8: byte 0xe9 at 3");
    for (size_t context_length = 0; context_length < 2; context_length++)
        ck_assert_int_eq(
            tokenizer_encode(tokenizer, bytes_of(""), context_length, true, &tokens, NULL),
            STATUS_INVALID);
    uint8_t *text = malloc(CLEAN_TEXT_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '!', CLEAN_TEXT_MAX + 1);
    struct bytes large = {text, CLEAN_TEXT_MAX + 1};
    ck_assert_int_eq(tokenizer_encode(tokenizer, large, 77, true, &tokens, NULL), STATUS_TOO_LARGE);
    large.size--;
    ck_assert_int_eq(tokenizer_encode(tokenizer, large, 77, true, &tokens, NULL), STATUS_OK);
    free(text);
    tokenizer_close(tokenizer);
}
END_TEST

START_TEST(empty_text_and_nul) {
    for (size_t m = 0; m < MODES; m++) {
        struct tokenizer *tokenizer = open_mode(vocabulary, modes[m]);
        uint32_t ids[IDS_MAX];
        struct tokens tokens = {.ids = ids};
        ck_assert(!tokenizer_encode(tokenizer, (struct bytes){0}, 2, false, &tokens, NULL));
        ck_assert_uint_eq(tokens.total, 2);
        ck_assert_uint_eq(ids[0], tokenizer_start_id(tokenizer));
        ck_assert_uint_eq(ids[1], tokenizer_end_id(tokenizer));
        /* ftfy removes U+0000, hf-fast has a token for it. */
        struct bytes nul = {(const uint8_t *)"a\0b", 3};
        ck_assert(!tokenizer_encode(tokenizer, nul, 77, false, &tokens, NULL));
        ck_assert_uint_eq(tokens.total, modes[m] == TOKENIZER_HF_FAST ? 5 : 4);
        tokenizer_close(tokenizer);
    }
}
END_TEST

START_TEST(mode_names) {
    for (size_t m = 0; m < MODES; m++) {
        enum tokenizer_mode mode;
        ck_assert(tokenizer_mode_parse(&mode, tokenizer_mode_name(modes[m])));
        ck_assert_int_eq(mode, modes[m]);
    }
    enum tokenizer_mode mode;
    ck_assert_str_eq(tokenizer_mode_name(TOKENIZER_HF_FAST), "hf-fast");
    ck_assert(!tokenizer_mode_parse(&mode, "hf_fast"));
    ck_assert(!tokenizer_mode_parse(&mode, ""));
}
END_TEST

/* Tokens that tokenizer.json adds, one of them looked for in the cleaned text. */
START_TEST(added_tokens_of_hf_fast) {
    char folder[] = "/tmp/clipd-tokenizer-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/tokenizer.json", folder);
    json_t *ids = json_object();
    for (unsigned i = 0; i < 512; i++) {
        char symbol[VOCABULARY_BYTE_SYMBOL_MAX + 1] = "";
        vocabulary_byte_symbol((uint8_t *)symbol, (uint8_t)i, i >= 256);
        json_object_set_new(ids, symbol, json_integer(i));
    }
    json_object_set_new(ids, "<|startoftext|>", json_integer(512));
    json_object_set_new(ids, "<|endoftext|>", json_integer(513));
    json_t *root =
        json_pack("{s:[{s:i,s:s,s:b},{s:i,s:s,s:b},{s:i,s:s,s:b},{s:i,s:s,s:b}],s:{s:s,s:o,s:[]}}",
                  "added_tokens", "id", 512, "content", "<|startoftext|>", "normalized", 1, "id",
                  513, "content", "<|endoftext|>", "normalized", 0, "id", 600, "content", "<Toy>",
                  "normalized", 0, "id", 601, "content", "<Toy>s", "normalized", 0, "model",
                  "end_of_word_suffix", "</w>", "vocab", ids, "merges");
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    struct tokenizer *tokenizer = open_mode(folder, TOKENIZER_HF_FAST);
    ck_assert_uint_eq(tokenizer_vocab_size(tokenizer), 602);
    uint32_t found[IDS_MAX];
    struct tokens tokens = {.ids = found};
    /* Case counts before cleaning and not after; the longest token wins. */
    struct bytes text = bytes_of("<Toy>a<Toy>s<toy><|STARTofTEXT|><|endoftext|>");
    ck_assert(!tokenizer_encode(tokenizer, text, IDS_MAX, false, &tokens, NULL));
    enum { LAST = 256 }; /* the letters have their codes as ids, 256 more at the end of a word */
    static const uint32_t expected[] = {512, 600,        'a' + LAST, 601, '<' + LAST, 't',
                                        'o', 'y' + LAST, '>' + LAST, 512, 513,        513};
    ck_assert_uint_eq(tokens.count, sizeof(expected) / sizeof(expected[0]));
    ck_assert_mem_eq(found, expected, sizeof(expected));
    tokenizer_close(tokenizer);
    json_decref(root);
    unlink(path);
    rmdir(folder);
}
END_TEST

/* A megabyte of `unit`, over and over, must not take much longer than any other megabyte. */
static void check_megabyte(struct tokenizer *const tokenizers[MODES], const char *name,
                           const char *unit) {
    uint8_t *text = malloc(MEGABYTE);
    ck_assert_ptr_nonnull(text);
    struct bytes step = bytes_of(unit);
    size_t size = 0;
    for (; size + step.size <= MEGABYTE; size += step.size)
        memcpy(text + size, step.data, step.size);
    printf("1 MB of %-16s", name);
    for (size_t m = 0; m < MODES; m++) {
        uint32_t ids[IDS_MAX];
        struct tokens tokens = {.ids = ids};
        uint64_t before = clock_now_ns();
        ck_assert(
            !tokenizer_encode(tokenizers[m], (struct bytes){text, size}, 77, true, &tokens, NULL));
        uint64_t ms = (clock_now_ns() - before) / CLOCK_NS_PER_MS;
        printf(" %s %zu ms", tokenizer_mode_name(modes[m]), (size_t)ms);
        /* Quadratic work would take minutes; sanitizers and busy machines may take seconds. */
        ck_assert_uint_lt(ms, (uint64_t)SECONDS_MAX * 1000);
    }
    printf("\n");
    free(text);
}

START_TEST(hostile_megabytes) {
    struct tokenizer *tokenizers[MODES];
    char *clip = shared_missing() ? NULL : shared_path("spec/data/bpe_simple_vocab_16e6.txt.gz");
    for (size_t m = 0; m < MODES; m++)
        tokenizers[m] = open_mode(clip ? clip : vocabulary, modes[m]);
    check_megabyte(tokenizers, "a", "a");
    check_megabyte(tokenizers, "one word", "thequickbrownfox");
    check_megabyte(tokenizers, "&amp;", "&amp;");
    check_megabyte(tokenizers, "&amp;amp;...", "&amp;amp;amp;amp;amp;amp;amp;amp;amp;amp;");
    check_megabyte(tokenizers, "emoji", "\U0001F600\U0001F469\u200D\U0001F680\u2764\uFE0F\u65E5");
    check_megabyte(tokenizers, "accents", "\u0301\u0316");
    check_megabyte(tokenizers, "sigmas", "\u03A3'");
    check_megabyte(tokenizers, "lines", "\n");
    check_megabyte(tokenizers, "escapes", "\033[;;");
    check_megabyte(tokenizers, "<|startof", "<|startof");
    for (size_t m = 0; m < MODES; m++) tokenizer_close(tokenizers[m]);
    free(clip);
}
END_TEST

struct worker {
    const struct tokenizer *tokenizer;
    size_t differences;
};

static void *encode_often(void *context) {
    struct worker *worker = context;
    static const char *const texts[] = {"a photo of a cat", "Tom &amp; Jerry", "cafe\u0301 \u201C",
                                        "<|endoftext|>", "\u039F\u0394\u039F\u03A3"};
    for (size_t i = 0; i < ROUNDS; i++)
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
            uint32_t a[IDS_MAX], b[IDS_MAX];
            struct tokens x = {.ids = a}, y = {.ids = b};
            tokenizer_encode(worker->tokenizer, bytes_of(texts[k]), IDS_MAX, true, &x, NULL);
            tokenizer_encode(worker->tokenizer, bytes_of(texts[k]), IDS_MAX, true, &y, NULL);
            worker->differences += x.count != y.count || memcmp(a, b, x.count * sizeof(*a)) != 0;
        }
    return NULL;
}

START_TEST(one_tokenizer_many_threads) {
    for (size_t m = 0; m < MODES; m++) {
        struct tokenizer *tokenizer = open_mode(vocabulary, modes[m]);
        pthread_t threads[THREADS];
        struct worker workers[THREADS];
        for (size_t i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){tokenizer, 0};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, encode_often, &workers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            ck_assert_uint_eq(workers[i].differences, 0);
        }
        tokenizer_close(tokenizer);
    }
}
END_TEST

START_TEST(starter_model) {
    struct tokenizer *tokenizer = open_mode("models/starter", TOKENIZER_HF_FAST);
    ck_assert_uint_eq(tokenizer_vocab_size(tokenizer), 4096);
    ck_assert_uint_eq(tokenizer_start_id(tokenizer), 4094);
    ck_assert_uint_eq(tokenizer_end_id(tokenizer), 4095);
    json_t *root = json_load_file("tests/golden/starter.json", 0, NULL);
    json_t *texts = json_object_get(root, "texts");
    ck_assert_uint_eq(json_object_size(texts), 5);
    const char *text;
    json_t *expected;
    json_object_foreach(texts, text, expected) {
        const json_t *ids = json_object_get(expected, "tokens");
        uint32_t found[IDS_MAX];
        struct tokens tokens = {.ids = found};
        ck_assert(!tokenizer_encode(tokenizer, bytes_of(text), 32, false, &tokens, NULL));
        ck_assert_uint_eq(tokens.count, json_array_size(ids));
        for (size_t i = 0; i < tokens.count; i++)
            ck_assert_uint_eq(found[i], json_integer_value(json_array_get(ids, i)));
    }
    json_decref(root);
    tokenizer_close(tokenizer);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("tokenizer");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, counting_and_truncation);
    tcase_add_test(cases, errors);
    tcase_add_test(cases, empty_text_and_nul);
    tcase_add_test(cases, mode_names);
    tcase_add_test(cases, added_tokens_of_hf_fast);
    tcase_add_test(cases, hostile_megabytes);
    tcase_add_test(cases, one_tokenizer_many_threads);
    tcase_add_test(cases, starter_model);
    return program_run("tokenizer", cases, CK_NOFORK);
}
