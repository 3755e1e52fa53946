/* Every form of vocabulary file gives the same ids, and bad files give errors. The files
 * are made here, in a temporary folder, from merges alone. */
#include <check.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/base/file.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "core/text/vocabulary_draft.h"
#include "core/text/vocabulary_json.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

enum { IDS_MAX = 512, PATH_SIZE = 256, CLIP_MERGES = 48894, OPEN_FILES = 8 };

static char folder[] = "/tmp/clipd-vocabulary-XXXXXX";

static const char *path_in(const char *name) {
    static char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size) {
    FILE *file = fopen(path_in(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static void write_json(const char *name, json_t *value, size_t flags) {
    char *text = json_dumps(value, flags);
    ck_assert_ptr_nonnull(text);
    write_text(name, text);
    free(text);
}

/* Any of the files, inflated; the caller frees it. */
static char *read_inflated(const char *path) {
    enum { ROOM = 8 << 20 };
    char *text = calloc(1, ROOM);
    gzFile file = gzopen(path, "rb");
    ck_assert(text && file);
    ck_assert_int_gt(gzread(file, text, ROOM - 1), 0);
    gzclose(file);
    return text;
}

/* What the tests make files of: the ids by symbol, and the merges as "left right". */
struct source {
    json_t *ids, *merges;
};

static void add_symbol(json_t *ids, const char *symbol) {
    json_object_set_new(ids, symbol, json_integer((json_int_t)json_object_size(ids)));
}

static struct source read_source(const char *path) {
    struct source source = {json_object(), json_array()};
    for (int last = 0; last < 2; last++)
        for (int remapped = 0; remapped < 2; remapped++)
            for (unsigned byte = 0; byte < 256; byte++) {
                char symbol[VOCABULARY_BYTE_SYMBOL_MAX + 1] = "";
                size_t size = vocabulary_byte_symbol((uint8_t *)symbol, (uint8_t)byte, last);
                /* Remapped bytes stand for characters from U+0100 on: their lead is 0xC4 or 0xC5.
                 */
                bool is_remapped = (uint8_t)symbol[0] >= 0xC4 && (uint8_t)symbol[0] <= 0xC5;
                ck_assert_uint_gt(size, 0);
                if (is_remapped == remapped) add_symbol(source.ids, symbol);
            }
    char *text = read_inflated(path), *rest = text;
    strsep(&rest, "\n");
    for (char *line;
         (line = strsep(&rest, "\n")) && json_array_size(source.merges) < CLIP_MERGES;) {
        if (!*line) continue;
        json_array_append_new(source.merges, json_string(line));
        char *space = strchr(line, ' ');
        memmove(space, space + 1, strlen(space));
        add_symbol(source.ids, line);
    }
    free(text);
    add_symbol(source.ids, VOCABULARY_START);
    add_symbol(source.ids, VOCABULARY_END);
    return source;
}

static void free_source(struct source *source) {
    json_decref(source->ids);
    json_decref(source->merges);
}

static json_t *as_pairs(const json_t *merges) {
    json_t *pairs = json_array();
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const char *line = json_string_value(json_array_get(merges, i));
        const char *space = strchr(line, ' ');
        json_array_append_new(pairs, json_pack("[s%s]", line, (int)(space - line), space + 1));
    }
    return pairs;
}

static json_t *tokenizer_json(const struct source *source, json_t *merges) {
    json_int_t start = json_integer_value(json_object_get(source->ids, VOCABULARY_START));
    return json_pack("{s:[{s:I,s:s,s:b},{s:I,s:s,s:b}],s:{s:s,s:s,s:O,s:o}}", "added_tokens", "id",
                     start, "content", VOCABULARY_START, "normalized", 0, "id", start + 1,
                     "content", VOCABULARY_END, "normalized", 0, "model", "type", "BPE",
                     "end_of_word_suffix", "</w>", "vocab", source->ids, "merges", merges);
}

static void write_merges(const char *name, const json_t *merges, bool packed) {
    gzFile file = gzopen(path_in(name), packed ? "wb" : "wbT");
    ck_assert_ptr_nonnull(file);
    gzprintf(file, "#version: 0.2\n");
    for (size_t i = 0; i < json_array_size(merges); i++)
        gzprintf(file, "%s\n", json_string_value(json_array_get(merges, i)));
    gzclose(file);
}

static struct tokenizer *open_path(const char *path) {
    struct tokenizer_options options = {.mode = TOKENIZER_HF_FAST, .clean = TOKENIZER_LOWER};
    struct tokenizer *tokenizer;
    struct error err = ERROR_NONE;
    ck_assert_msg(!tokenizer_open(&tokenizer, path, &options, &err), "%s", err.message);
    return tokenizer;
}

/* The texts of our goldens through two tokenizers. */
static void check_same(const struct tokenizer *a, const char *path) {
    struct tokenizer *b = open_path(path);
    ck_assert_uint_eq(tokenizer_vocab_size(a), tokenizer_vocab_size(b));
    ck_assert_uint_eq(tokenizer_start_id(a), tokenizer_start_id(b));
    ck_assert_uint_eq(tokenizer_end_id(a), tokenizer_end_id(b));
    FILE *file = fopen("tests/golden/text/texts.jsonl", "r");
    ck_assert_ptr_nonnull(file);
    static char line[1 << 16];
    while (fgets(line, sizeof(line), file)) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(row, "text");
        struct bytes bytes = {(const uint8_t *)json_string_value(text), json_string_length(text)};
        uint32_t ids_a[IDS_MAX], ids_b[IDS_MAX];
        struct tokens x = {.ids = ids_a}, y = {.ids = ids_b};
        ck_assert_int_eq(tokenizer_encode(a, bytes, IDS_MAX, true, &x, NULL), STATUS_OK);
        ck_assert_int_eq(tokenizer_encode(b, bytes, IDS_MAX, true, &y, NULL), STATUS_OK);
        ck_assert_uint_eq(x.count, y.count);
        ck_assert_mem_eq(ids_a, ids_b, x.count * sizeof(*ids_a));
        json_decref(row);
    }
    fclose(file);
    tokenizer_close(b);
}

static void check_forms(const char *path) {
    struct source source = read_source(path);
    struct tokenizer *original = open_path(path);
    ck_assert_uint_eq(tokenizer_vocab_size(original), json_object_size(source.ids));

    write_merges("merges.txt", source.merges, false);
    check_same(original, path_in("merges.txt"));
    check_same(original, folder); /* a directory with merges.txt alone */
    write_json("vocab.json", source.ids, 0);
    check_same(original, path_in("vocab.json"));
    check_same(original, folder);
    write_merges("packed", source.merges, true);
    check_same(original, path_in("packed"));

    json_t *strings = tokenizer_json(&source, json_incref(source.merges));
    write_json("strings.json", strings, JSON_ENSURE_ASCII);
    check_same(original, path_in("strings.json"));
    json_t *pairs = tokenizer_json(&source, as_pairs(source.merges));
    write_json("tokenizer.json", pairs, JSON_INDENT(2));
    check_same(original, path_in("tokenizer.json"));
    /* In a directory tokenizer.json comes first: the others may be wrong. */
    write_text("vocab.json", "{}");
    check_same(original, folder);
    ck_assert_int_eq(unlink(path_in("tokenizer.json")), 0);
    ck_assert_int_eq(unlink(path_in("vocab.json")), 0);
    ck_assert_int_eq(unlink(path_in("merges.txt")), 0);
    write_merges("bpe_simple_vocab_16e6.txt.gz", source.merges, true);
    check_same(original, folder);
    ck_assert_int_eq(unlink(path_in("bpe_simple_vocab_16e6.txt.gz")), 0);

    json_decref(strings);
    json_decref(pairs);
    free_source(&source);
    tokenizer_close(original);
}

START_TEST(all_forms_of_our_own) {
    check_forms("tests/golden/text/merges.txt");
}
END_TEST

START_TEST(all_forms_of_clip) {
    if (shared_missing()) return;
    char *path = shared_path("spec/data/bpe_simple_vocab_16e6.txt.gz");
    check_forms(path);
    free(path);
}
END_TEST

/* As tokenizer_open() does it for files of CLIP's kind. */
static enum status open_vocabulary(struct vocabulary *out, const char *name, struct error *err) {
    struct vocabulary_file file;
    json_t *json = NULL;
    *out = (struct vocabulary){.size = 0};
    enum status status = vocabulary_file_open(&file, path_in(name), err);
    uint8_t first = status ? 0 : vocabulary_file_first(&file);
    if (!status && !first) status = error_set(err, STATUS_INVALID, "the file is empty");
    if (first == '{') status = vocabulary_json_parse(&json, buffer_view(&file.content), err);
    if (!status) status = vocabulary_read(out, &file, json, err);
    json_decref(json);
    vocabulary_file_close(&file);
    return status;
}

/* The status and a part of the message that the file of this name gives. */
static void check_refused(const char *name, enum status expected, const char *part) {
    struct vocabulary vocabulary;
    struct error err = ERROR_NONE;
    enum status status = open_vocabulary(&vocabulary, name, &err);
    ck_assert_msg(status == expected, "%s: status %d, %s", name, status, err.message);
    ck_assert_msg(strstr(err.message, part) != NULL, "%s: %s", name, err.message);
    vocabulary_free(&vocabulary);
}

static void check_text(const char *text, enum status expected, const char *part) {
    write_text("bad", text);
    check_refused("bad", expected, part);
}

START_TEST(bad_merges) {
    check_text("", STATUS_INVALID, "empty");
    check_text(" \n\r\n", STATUS_INVALID, "empty");
    check_text("#version: 0.2\na b\nab\n", STATUS_INVALID, "two symbols");
    check_text("#version: 0.2\na b\n\na c\n", STATUS_INVALID, "two symbols");
    check_text("#version: 0.2\na b c\n", STATUS_INVALID, "two symbols");
    check_text("#version: 0.2\n a\n", STATUS_INVALID, "two symbols");
    check_text("#version: 0.2\na \n", STATUS_INVALID, "two symbols");
    check_text("#version: 0.2\na b\nabc d\n", STATUS_INVALID, "\"abc\" of merge 1");
    check_text("#version: 0.2\n\xC3 b\n", STATUS_INVALID, "UTF-8");
    check_text("\x7F"
               "ELF\x02\x01\x01",
               STATUS_INVALID, "two symbols");
    /* Cyclic and repeated merges are harmless: a merge is of symbols that exist. */
    write_text("odd", "#version: 0.2\r\na b\r\nab ab\r\na b\r\nabab ab\r\n");
    struct vocabulary vocabulary;
    struct error err = ERROR_NONE;
    ck_assert_msg(!open_vocabulary(&vocabulary, "odd", &err), "%s", err.message);
    ck_assert_uint_eq(vocabulary.merges_count, 4);
    ck_assert_uint_eq(vocabulary.size, 512 + 4 + 2);
    vocabulary_free(&vocabulary);
    vocabulary_free(&vocabulary);
}
END_TEST

/* Our vocabulary with one key set to a value, or removed if that is NULL, at a place. */
static void check_changed(const char *place, const char *key, json_t *value, enum status expected,
                          const char *part) {
    struct source source = read_source("tests/golden/text/merges.txt");
    json_t *root = tokenizer_json(&source, json_incref(source.merges));
    json_t *object = root;
    if (*place) object = json_object_get(root, "model");
    if (!strcmp(place, "vocab")) object = json_object_get(object, "vocab");
    if (value)
        json_object_set_new(object, key, value);
    else
        json_object_del(object, key);
    write_json("bad.json", root, 0);
    check_refused("bad.json", expected, part);
    json_decref(root);
    free_source(&source);
}

START_TEST(bad_json) {
    check_text("{", STATUS_INVALID, "not valid JSON");
    check_text("{\"a\":1,\"a\":1}", STATUS_INVALID, "not valid JSON");
    check_text("{\"a\":\"1\"}", STATUS_INVALID, "not a whole number");
    check_text("{\"a\":1.5}", STATUS_INVALID, "not a whole number");
    check_text("{\"\":1}", STATUS_INVALID, "0 bytes");
    check_text("{\"a\":1}", STATUS_NOT_FOUND, "merges.txt"); /* none beside it */
    check_text("{\"model\":{}}", STATUS_UNSUPPORTED, "end_of_word_suffix");
    check_changed("vocab", "zzz", json_integer(-1), STATUS_INVALID, "has id -1");
    check_changed("vocab", "zzz", json_integer(VOCABULARY_IDS_MAX), STATUS_INVALID, "1048576");
    check_changed("vocab", "zzz", json_integer(7), STATUS_INVALID, "taken by another");
    check_changed("vocab", "a", NULL, STATUS_INVALID, "\"a\"");
    check_changed("vocab", VOCABULARY_END, json_integer(9000), STATUS_INVALID, "but 9000 before");
    check_changed("model", "type", json_string("Unigram"), STATUS_UNSUPPORTED, "Unigram");
    check_changed("model", "end_of_word_suffix", NULL, STATUS_UNSUPPORTED, "</w>");
    check_changed("model", "merges", NULL, STATUS_INVALID, "merges is not");
    check_changed("model", "merges", json_pack("[i]", 1), STATUS_INVALID, "merge 0");
    check_changed("model", "merges", json_pack("[[s]]", "a"), STATUS_INVALID, "merge 0");
    check_changed("model", "merges", json_pack("[[s,s]]", "a", "zq"), STATUS_INVALID, "\"zq\"");
    check_changed("model", "merges", json_pack("[s]", "q q"), STATUS_INVALID, "\"qq\"");
    check_changed("", "added_tokens", json_pack("[{s:s}]", "content", "x"), STATUS_INVALID,
                  "lacks its content or id");
    check_changed("", "added_tokens", json_pack("[{s:s,s:i}]", "content", "", "id", 1),
                  STATUS_INVALID, "lacks its content or id");
    check_changed("", "added_tokens",
                  json_pack("[{s:s,s:i,s:b}]", "content", "x", "id", 9000, "single_word", 1),
                  STATUS_UNSUPPORTED, "single_word");
}
END_TEST

START_TEST(too_much) {
    /* One more than the limit of added tokens; at the limit it is fine. */
    for (int over = 0; over < 2; over++) {
        json_t *added = json_array();
        for (int i = 0; i < VOCABULARY_ADDED_MAX + over; i++) {
            char text[32];
            snprintf(text, sizeof(text), "<token-%d>", i);
            json_array_append_new(added, json_pack("{s:s,s:i}", "content", text, "id", 5000 + i));
        }
        if (over) {
            check_changed("", "added_tokens", added, STATUS_TOO_LARGE, "256 added tokens");
            continue;
        }
        struct source source = read_source("tests/golden/text/merges.txt");
        json_t *root = tokenizer_json(&source, json_incref(source.merges));
        json_object_set_new(root, "added_tokens", added);
        write_json("limit.json", root, 0);
        tokenizer_close(open_path(path_in("limit.json")));
        json_decref(root);
        free_source(&source);
    }
    /* More than four million values in six megabytes. */
    struct buffer text;
    buffer_init(&text, 1 << 23);
    buffer_append(&text, "{\"a\":", 5, NULL);
    for (size_t i = 0; i < 1 << 21; i++) buffer_append(&text, "[0,", 3, NULL);
    write_file("values", text.data, text.size);
    check_refused("values", STATUS_TOO_LARGE, "JSON values");
    buffer_free(&text);
    /* A file over the limit; it is sparse. */
    write_text("large", "#version\n");
    ck_assert_int_eq(truncate(path_in("large"), VOCABULARY_FILE_MAX + 1), 0);
    check_refused("large", STATUS_TOO_LARGE, "limit");
}
END_TEST

START_TEST(bad_gzip) {
    struct buffer packed;
    buffer_init(&packed, 1 << 20);
    struct source source = read_source("tests/golden/text/merges.txt");
    write_merges("whole", source.merges, true);
    ck_assert_int_eq(file_read(&packed, path_in("whole"), NULL), STATUS_OK);
    for (size_t size = 3; size < packed.size; size += 17) {
        write_file("cut", packed.data, size);
        check_refused("cut", STATUS_INVALID, "truncated");
    }
    packed.data[packed.size / 2] ^= 0x10;
    write_file("flipped", packed.data, packed.size);
    struct vocabulary vocabulary;
    ck_assert_int_eq(open_vocabulary(&vocabulary, "flipped", NULL), STATUS_INVALID);
    write_text("damaged", "\x1F\x8B\x08\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    check_refused("damaged", STATUS_INVALID, "gzip");
    /* A bomb: 192 MB of nothing in some 192 KB. */
    gzFile bomb = gzopen(path_in("bomb"), "wb9");
    static const uint8_t zeros[1 << 20];
    for (size_t i = 0; i < 192; i++) gzwrite(bomb, zeros, sizeof(zeros));
    gzclose(bomb);
    check_refused("bomb", STATUS_TOO_LARGE, "limit");
    free_source(&source);
    buffer_free(&packed);
}
END_TEST

START_TEST(missing) {
    check_refused("nothing-here", STATUS_NOT_FOUND, "nothing-here");
    char empty[PATH_SIZE];
    snprintf(empty, sizeof(empty), "%s", path_in("empty-folder"));
    ck_assert_int_eq(mkdir(empty, 0700), 0);
    check_refused("empty-folder", STATUS_NOT_FOUND, "expected tokenizer.json");
}
END_TEST

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    TCase *cases = tcase_create("vocabulary");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, all_forms_of_our_own);
    tcase_add_test(cases, all_forms_of_clip);
    tcase_add_test(cases, bad_merges);
    tcase_add_test(cases, bad_json);
    tcase_add_test(cases, too_much);
    tcase_add_test(cases, bad_gzip);
    tcase_add_test(cases, missing);
    int failed = program_run("vocabulary", cases, CK_NOFORK);
    nftw(folder, remove_entry, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
    return failed;
}
