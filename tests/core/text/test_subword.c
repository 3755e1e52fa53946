/* SentencePiece and WordPiece against ids made by the modules sentencepiece and tokenizers
 * (tests/golden/make_subword_goldens.py), row by row, and what tokenizer_encode() promises of
 * them besides. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/sentencepiece.h"
#include "core/text/subword_json.h"
#include "core/text/tokenizer.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

enum { IDS_MAX = 1024, LINE_MAX_BYTES = 1 << 16, PATH_SIZE = 128 };

static const char folder[] = "tests/golden/subword";

struct column {
    const char *name, *file;
};

static const struct column columns[] = {
    {"unigram", "unigram.model"}, {"fairseq", "fairseq"},     {"bpe", "bpe.model"},
    {"kept", "kept.model"},       {"siglip", "siglip"},       {"xlmr", "xlmr"},
    {"gemma", "gemma"},           {"bert", "bert/vocab.txt"}, {"bert", "bert_json"},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static struct tokenizer *open_file(const char *file, struct tokenizer_options options) {
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    struct tokenizer *tokenizer = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(!tokenizer_open(&tokenizer, path, &options, &err), "%s", err.message);
    return tokenizer;
}

static const struct tokenizer_options plain = {.mode = TOKENIZER_HF_FAST};

static bool same_ids(const struct tokens *tokens, const json_t *expected, const char *text,
                     const char *file) {
    bool same = json_array_size(expected) == tokens->count;
    for (size_t i = 0; same && i < tokens->count; i++)
        same = json_integer_value(json_array_get(expected, i)) == tokens->ids[i];
    if (same) return true;
    char *wanted = json_dumps(expected, JSON_COMPACT);
    printf("%s, \"%s\":\n  expected %s\n  found    [", file, text, wanted);
    for (size_t i = 0; i < tokens->count; i++) printf("%s%u", i ? "," : "", tokens->ids[i]);
    printf("]\n");
    free(wanted);
    return false;
}

START_TEST(rows_of_the_references) {
    struct tokenizer *tokenizers[COLUMNS];
    size_t rows = 0, failed = 0;
    for (size_t i = 0; i < COLUMNS; i++) tokenizers[i] = open_file(columns[i].file, plain);
    FILE *file = fopen("tests/golden/subword/texts.jsonl", "r");
    ck_assert_ptr_nonnull(file);
    static char line[LINE_MAX_BYTES];
    for (; fgets(line, sizeof(line), file); rows++) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL), *text = json_object_get(row, "text");
        struct bytes bytes = {(const uint8_t *)json_string_value(text), json_string_length(text)};
        for (size_t i = 0; i < COLUMNS; i++) {
            uint32_t ids[IDS_MAX];
            struct tokens tokens = {.ids = ids};
            ck_assert(!tokenizer_encode(tokenizers[i], bytes, IDS_MAX, false, &tokens, NULL));
            failed += !same_ids(&tokens, json_object_get(row, columns[i].name),
                                json_string_value(text), columns[i].file);
        }
        json_decref(row);
    }
    fclose(file);
    printf("%zu texts, %zu comparisons, %zu differ\n", rows, rows * COLUMNS, failed);
    ck_assert_uint_gt(rows, 60);
    ck_assert_uint_eq(failed, 0);
    for (size_t i = 0; i < COLUMNS; i++) tokenizer_close(tokenizers[i]);
}
END_TEST

/* ---- what stands around the pieces ---- */

static size_t encode(const struct tokenizer *tokenizer, const char *text, uint32_t *ids,
                     size_t context_length, bool *truncated) {
    struct tokens tokens = {.ids = ids};
    ck_assert(!tokenizer_encode(tokenizer, bytes_of(text), context_length, true, &tokens, NULL));
    *truncated = tokens.truncated;
    return tokenizer_pad(tokenizer, &tokens, context_length);
}

START_TEST(ends_and_padding) {
    /* SigLIP: no start, the end last even of what is cut, </s> as padding by its configuration
     * though the vocabulary has <pad>. */
    struct tokenizer *siglip = open_file("siglip", plain);
    uint32_t ids[16];
    bool truncated;
    ck_assert_uint_eq(tokenizer_start_id(siglip), UINT32_MAX);
    ck_assert_uint_eq(tokenizer_end_id(siglip), 1);
    ck_assert_uint_eq(encode(siglip, "a photo of a cat", ids, 16, &truncated), 16);
    ck_assert(!truncated && ids[14] == 1 && ids[15] == 1 && ids[0] != 1);
    ck_assert_uint_eq(encode(siglip, "a photo of a cat", ids, 3, &truncated), 3);
    ck_assert(truncated && ids[1] != 1 && ids[2] == 1);
    struct tokens tokens = {.ids = ids};
    ck_assert_int_eq(
        tokenizer_encode(siglip, bytes_of("a photo of a cat"), 3, false, &tokens, NULL),
        STATUS_UNPROCESSABLE);
    tokenizer_close(siglip);
    /* XLM-R without a configuration does not say how it pads: the model must. */
    struct tokenizer *xlmr = open_file("xlmr", plain);
    ck_assert_uint_eq(tokenizer_start_id(xlmr), 0);
    ck_assert_uint_eq(encode(xlmr, "", ids, 16, &truncated), 2);
    tokenizer_close(xlmr);
    /* Its own file always pads with 1. */
    struct tokenizer *fairseq = open_file("fairseq", plain);
    ck_assert_uint_eq(encode(fairseq, "", ids, 4, &truncated), 4);
    ck_assert(ids[0] == 0 && ids[1] == 2 && ids[2] == 1 && ids[3] == 1);
    tokenizer_close(fairseq);
}
END_TEST

/* CLIPA: BERT's words, whose end token becomes padding. */
START_TEST(end_token_dropped) {
    struct tokenizer *bert = open_file("bert/vocab.txt", plain);
    struct tokenizer_options options = {
        .mode = TOKENIZER_OPEN_CLIP, .clean = TOKENIZER_WHITESPACE, .drop_end = true};
    struct tokenizer *clipa = open_file("bert/vocab.txt", options);
    uint32_t with[8], without[8];
    bool truncated;
    for (size_t limit = 4; limit <= 8; limit++) {
        ck_assert_uint_eq(encode(bert, "A photo", with, limit, &truncated), limit);
        ck_assert_uint_eq(encode(clipa, " A  photo ", without, limit, &truncated), limit);
        for (size_t i = 0; i < limit; i++)
            ck_assert_uint_eq(without[i], with[i] == tokenizer_end_id(bert) ? 0 : with[i]);
    }
    tokenizer_close(bert);
    tokenizer_close(clipa);
}
END_TEST

/* open_clip cleans before the vocabulary's own pipeline. */
START_TEST(open_clip_cleans_first) {
    struct tokenizer_options options = {.mode = TOKENIZER_OPEN_CLIP,
                                        .clean = TOKENIZER_CANONICALIZE};
    struct tokenizer *cleaned = open_file("unigram.model", options);
    struct tokenizer *raw = open_file("unigram.model", plain);
    uint32_t x[32], y[32];
    bool truncated;
    size_t count = encode(cleaned, "Tom &amp; the_CAT's, photo!", x, 32, &truncated);
    ck_assert_uint_eq(count, encode(raw, "tom the cats photo", y, 32, &truncated));
    for (size_t i = 0; i < count; i++) ck_assert_uint_eq(x[i], y[i]);
    tokenizer_close(cleaned);
    tokenizer_close(raw);
}
END_TEST

/* What a tokenizer_config.json beside a .model says. */
START_TEST(configurations_beside) {
    static const struct {
        const char *config, *text, *same_as;
        uint32_t pad;
    } rows[] = {
        {"{\"tokenizer_class\":\"SiglipTokenizer\",\"pad_token\":\"a\"}", "  A photo,  OF  it's ",
         "a photo of its", 0},
        {"{\"do_lower_case\":true}", "A Photo.", "a photo.", 0},
        {"{\"pad_token\":{\"content\":\",\"}}", "A Photo.", "A Photo.", 0},
        {"{\"tokenizer_class\":\"T5Tokenizer\"}", "A Photo.", "A Photo.", 0},
    };
    struct buffer model = files_load("tests/golden/subword/unigram.model");
    struct tokenizer *raw = open_file("unigram.model", plain);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *place = folder_make(), path[PATH_SIZE];
        struct tokenizer *tokenizer = NULL;
        uint32_t x[32], y[32];
        bool truncated;
        snprintf(path, sizeof(path), "%s/spiece.model", place);
        FILE *file = fopen(path, "wb");
        ck_assert_uint_eq(fwrite(model.data, 1, model.size, file), model.size);
        fclose(file);
        snprintf(path, sizeof(path), "%s/tokenizer_config.json", place);
        file = fopen(path, "w");
        fputs(rows[i].config, file);
        fclose(file);
        ck_assert(!tokenizer_open(&tokenizer, place, &plain, NULL));
        encode(tokenizer, rows[i].text, x, 32, &truncated);
        encode(raw, rows[i].same_as, y, 32, &truncated);
        size_t at = 0;
        for (; y[at] != tokenizer_end_id(raw); at++) ck_assert_uint_eq(x[at], y[at]);
        ck_assert_uint_eq(x[at], y[at]);
        bool own = strstr(rows[i].config, "pad_token") != NULL;
        ck_assert(own ? x[31] != 0 : x[31] == 0);
        tokenizer_close(tokenizer);
        folder_remove(place);
    }
    tokenizer_close(raw);
    buffer_free(&model);
}
END_TEST

/* ---- bad files ---- */

static void check_model(struct bytes file, enum status expected, const char *part) {
    struct subword subword;
    struct error err = ERROR_NONE;
    subword_init(&subword);
    enum status status = sentencepiece_read(&subword, file, false, &err);
    ck_assert_msg(status == expected, "status %d: %s", status, err.message);
    ck_assert_msg(!part || strstr(err.message, part), "%s", err.message);
    subword_free(&subword);
}

START_TEST(bad_models) {
    struct buffer model = files_load("tests/golden/subword/unigram.model");
    /* Cut anywhere it is read, between two fields, or refused. */
    for (size_t size = 0; size < model.size; size++) {
        struct subword subword;
        struct error err = ERROR_NONE;
        subword_init(&subword);
        enum status status =
            sentencepiece_read(&subword, (struct bytes){model.data, size}, size % 2, &err);
        ck_assert(!status || err.message[0]);
        subword_free(&subword);
    }
    buffer_free(&model);
    static const struct {
        const char *file;
        size_t size;
        enum status status;
        const char *part;
    } rows[] = {
        {"", 0, STATUS_INVALID, "0 pieces"},
        {"\x0A\x05\x0A\x01x", 5, STATUS_INVALID, "broken field"},
        {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, STATUS_INVALID, "broken field"},
        {"\x0A\x03\x0A\x05x", 5, STATUS_INVALID, "broken piece"},
        {"\x0A\x03\x0A\x01\xFF", 5, STATUS_INVALID, "UTF-8"},
        {"\x0A\x03\x0A\x01x", 5, STATUS_INVALID, "no unknown piece"},
        {"\x0A\x08\x0A\x01x\x15\x00\x00\xC0\x7F", 10, STATUS_INVALID, "no number"},
        {"\x0A\x08\x0A\x01x\x15\x00\x00\x80\xFF", 10, STATUS_INVALID, "no number"},
        {"\x0A\x05\x0A\x01x\x18\x02\x12\x02\x18\x03", 11, STATUS_UNSUPPORTED, "type 3"},
        {"\x0A\x05\x0A\x01x\x18\x02\x12\x03\xC0\x01\x01", 12, STATUS_UNSUPPORTED, "end of pieces"},
        {"\x0A\x05\x0A\x01x\x18\x02\x1A\x03\x12\x01x", 12, STATUS_INVALID, "charsmap"},
        {"\x0A\x05\x0A\x01x\x18\x02\x1A\x08\x12\x06\xFF\xFF\xFF\xFF\x00\x00", 17, STATUS_INVALID,
         "charsmap"},
        {"\x0B\x0C", 2, STATUS_INVALID, "broken field"},
        {"\x0A\x05\x0A\x01x\x18\x02", 7, STATUS_OK, NULL},
        {"\x0A\x05\x0A\x01x\x18\x02\x0A\x02\x18\x06", 11, STATUS_OK,
         NULL}, /* a byte without a name */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_model((struct bytes){(const uint8_t *)rows[i].file, rows[i].size}, rows[i].status,
                    rows[i].part);
}
END_TEST

/* Appends a piece of that text, of 128 bytes and more. */
static void add_piece(struct buffer *model, const char *text, size_t size, char type) {
    size_t inner = size + 5;
    char head[] = {0x0A, (char)(inner | 0x80), (char)(inner >> 7),
                   0x0A, (char)(size | 0x80),  (char)(size >> 7)};
    char tail[] = {0x18, type};
    ck_assert_int_eq(buffer_append(model, head, sizeof(head), NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(model, text, size, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(model, tail, sizeof(tail), NULL), STATUS_OK);
}

/* Pieces that begin with many others, which the user has defined, so that none makes a merge. */
START_TEST(pieces_within_pieces) {
    enum { LEAST = 128, MOST = 1024, COUNT = 90, FEW = 20 };
    char text[MOST + 2];
    memset(text, 'a', sizeof(text));
    for (int count = FEW; count <= COUNT; count += COUNT - FEW) {
        struct buffer model;
        buffer_init(&model, 1 << 20);
        buffer_append(&model, "\x0A\x05\x0A\x01x\x18\x02\x12\x02\x18\x02", 11, NULL);
        for (size_t size = LEAST; size <= MOST; size++) add_piece(&model, text, size, 4);
        for (int i = 0; i < count; i++) {
            text[MOST] = (char)('A' + i % 10);
            text[MOST + 1] = (char)('A' + i / 10);
            add_piece(&model, text, sizeof(text), 1);
        }
        check_model(buffer_view(&model), count == FEW ? STATUS_OK : STATUS_TOO_LARGE,
                    count == FEW ? NULL : "steps");
        memset(text, 'a', sizeof(text));
        buffer_free(&model);
    }
}
END_TEST

static void check_json(const char *text, enum status expected, const char *part) {
    struct subword subword;
    struct error err = ERROR_NONE;
    json_error_t problem;
    json_t *root = json_loads(text, 0, &problem);
    ck_assert_msg(root != NULL, "%s: %s", text, problem.text);
    subword_init(&subword);
    ck_assert(subword_json_fits(root));
    enum status status = subword_json_read(&subword, root, &err);
    ck_assert_msg(status == expected, "%s: status %d, %s", text, status, err.message);
    ck_assert_msg(!part || strstr(err.message, part), "%s: %s", text, err.message);
    subword_free(&subword);
    json_decref(root);
}

#define UNIGRAM "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1]]}"
#define BPE(x) "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}" x "}}"
#define STEP(x) "{" UNIGRAM ",\"normalizer\":{\"type\":" x "}}"
#define CUT(x) "{" UNIGRAM ",\"pre_tokenizer\":{\"type\":" x "}}"
#define AROUND(x) "{" UNIGRAM ",\"post_processor\":{\"type\":" x "}}"

START_TEST(bad_json) {
    static const struct {
        const char *text;
        enum status status;
        const char *part;
    } rows[] = {
        {"{" UNIGRAM "}", STATUS_OK, NULL},
        {"{\"model\":{\"type\":\"Unigram\"}}", STATUS_INVALID, "not a JSON array"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"u\",0]]}}", STATUS_INVALID, "unk_id"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"u\"]]}}", STATUS_INVALID, "piece 0"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"\",0]]}}", STATUS_INVALID, "piece 0"},
        {BPE(""), STATUS_OK, NULL},
        {BPE(",\"merges\":[\"a b\",[\"a\",\"b\"]]"), STATUS_OK, NULL},
        {BPE(",\"merges\":[\"a\"]"), STATUS_INVALID, "merge 0"},
        {BPE(",\"merges\":[\"a b a\"]"), STATUS_INVALID, "merge 0"},
        {BPE(",\"merges\":[\"b a\"]"), STATUS_INVALID, "not in the vocabulary"},
        {BPE(",\"unk_token\":\"x\""), STATUS_INVALID, "\"x\" is no token"},
        {BPE(",\"continuing_subword_prefix\":\"x\""), STATUS_UNSUPPORTED, "continuing"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}}", STATUS_INVALID, "id -1"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1048576}}}", STATUS_INVALID, "1048576"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0.5}}}", STATUS_INVALID, "whole number"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", STATUS_UNSUPPORTED, "mark"},
        {STEP("\"NFKC\""), STATUS_UNSUPPORTED, "normalizer \"NFKC\""},
        {STEP("\"Precompiled\",\"precompiled_charsmap\":\"!!\""), STATUS_INVALID, NULL},
        {STEP("\"Replace\",\"pattern\":{\"Regex\":\"(a|b)\"}"), STATUS_UNSUPPORTED, "(a|b)"},
        {STEP("\"Replace\",\"pattern\":{\"Regex\":\"[a\"}"), STATUS_UNSUPPORTED, "[a"},
        {STEP("\"Replace\",\"pattern\":{\"Regex\":\"[a&&b]\"}"), STATUS_UNSUPPORTED, "&&"},
        {STEP("\"Replace\",\"pattern\":{\"Regex\":\"\\\\d+\"}"), STATUS_UNSUPPORTED, "\\d+"},
        {STEP("\"Replace\",\"pattern\":{\"Regex\":\"a{0,}\"}"), STATUS_UNSUPPORTED, "a{0,}"},
        {STEP("\"Replace\",\"pattern\":{\"Regex\":\"a{9999,}\"}"), STATUS_UNSUPPORTED, "a{9999"},
        {STEP("\"Replace\",\"pattern\":{\"String\":\"\"}"), STATUS_INVALID, "empty"},
        {CUT("\"ByteLevel\""), STATUS_UNSUPPORTED, "ByteLevel"},
        {CUT("\"Metaspace\",\"replacement\":\"_\""), STATUS_UNSUPPORTED, "U+2581"},
        {CUT("\"Split\",\"pattern\":{\"String\":\"x\"}"), STATUS_UNSUPPORTED, "Split"},
        {CUT("\"Sequence\",\"pretokenizers\":[{\"type\":\"BertPreTokenizer\"},{\"type\":"
             "\"Digits\"}]"),
         STATUS_UNSUPPORTED, "behind another"},
        {AROUND("\"ByteLevel\""), STATUS_UNSUPPORTED, "ByteLevel"},
        {AROUND("\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}]"),
         STATUS_UNSUPPORTED, "more than one token"},
        {AROUND("\"BertProcessing\",\"cls\":[\"a\",-1],\"sep\":[\"b\",1]"), STATUS_INVALID,
         "without an id"},
        {"{" UNIGRAM ",\"padding\":{\"pad_id\":1048576}}", STATUS_INVALID, "without an id"},
        {"{" UNIGRAM ",\"added_tokens\":[{\"content\":\"x\"}]}", STATUS_INVALID, "added token 0"},
        {"{" UNIGRAM ",\"added_tokens\":[{\"content\":\"x\",\"id\":1048576}]}", STATUS_INVALID,
         "id 1048576"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_json(rows[i].text, rows[i].status, rows[i].part);
}
END_TEST

/* A quarter megabyte that is one word to each of them. */
START_TEST(long_words) {
    enum { SIZE = 1 << 18 };
    char *text = malloc(SIZE + 1);
    ck_assert_ptr_nonnull(text);
    for (int kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < SIZE; i++) text[i] = (char)(kind ? "ab"[i * i % 7 % 2] : 'a');
        text[SIZE] = 0;
        for (size_t i = 0; i < COLUMNS; i++) {
            struct tokenizer *tokenizer = open_file(columns[i].file, plain);
            uint32_t ids[16];
            bool truncated;
            encode(tokenizer, text, ids, 16, &truncated);
            ck_assert(truncated == (strncmp(columns[i].name, "bert", 4) != 0));
            tokenizer_close(tokenizer);
        }
    }
    free(text);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("subword");
    tcase_add_test(cases, rows_of_the_references);
    tcase_add_test(cases, ends_and_padding);
    tcase_add_test(cases, end_token_dropped);
    tcase_add_test(cases, open_clip_cleans_first);
    tcase_add_test(cases, configurations_beside);
    tcase_add_test(cases, bad_models);
    tcase_add_test(cases, pieces_within_pieces);
    tcase_add_test(cases, bad_json);
    tcase_add_test(cases, long_words);
    tcase_set_timeout(cases, 600);
    return program_run("subword", cases, CK_FORK_GETENV);
}
