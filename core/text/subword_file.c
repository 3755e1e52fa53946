#include "core/text/subword_file.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/sentencepiece.h"
#include "core/text/subword_json.h"
#include "core/text/vocabulary.h"
#include "core/text/vocabulary_json.h"
#include "core/text/vocabulary_text.h"

/* ---- BERT's vocab.txt ---- */

static const char unknown_word[] = "[UNK]";

static bool is_word(struct bytes line, const char *word) {
    return line.size == strlen(word) && !memcmp(line.data, word, line.size);
}

/* A list of words, [UNK] among the first of them; no list of merges has such a line. */
static bool is_word_list(struct bytes file) {
    enum { LINES = 1000 };
    struct bytes line;
    for (size_t i = 0; i < LINES && vocabulary_text_line(&line, &file); i++)
        if (is_word(line, unknown_word)) return true;
    return false;
}

/* A token a line, whose number is its id. */
static enum status read_word_list(struct subword *out, struct bytes file, struct error *err) {
    struct bytes line;
    enum status status = STATUS_OK;
    for (uint32_t id = 0; !status && vocabulary_text_line(&line, &file); id++) {
        if (id == VOCABULARY_IDS_MAX)
            return error_set(err, STATUS_TOO_LARGE, "more than %d tokens", VOCABULARY_IDS_MAX);
        out->size = id + 1;
        if (!line.size) continue;
        bool continues = line.size > 2 && line.data[0] == '#' && line.data[1] == '#';
        if (continues) line = (struct bytes){line.data + 2, line.size - 2};
        status = pieces_add(continues ? &out->continuing : &out->pieces, line, id, err);
    }
    return status;
}

/* They are tokens in a text, too, as transformers has it. */
static enum status add_bert_tokens(struct subword *out, struct error *err) {
    static const char *const names[] = {unknown_word, "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    uint32_t *const ids[] = {&out->unknown_id, &out->start_id, &out->end_id, &out->pad_id, NULL};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !status; i++) {
        struct subword_added token = {.id = pieces_find(&out->pieces, bytes_of(names[i]))};
        if (ids[i]) *ids[i] = token.id;
        if (token.id == PIECES_NONE) continue;
        status = subword_add_added(out, bytes_of(names[i]), &token, false, err);
    }
    return status;
}

static enum status read_bert(struct subword *out, struct bytes file, struct error *err) {
    out->model = SUBWORD_WORDPIECE;
    out->words.kind = WORDS_BERT;
    struct normalizer_step *step = normalizer_add(&out->normalizer, NORMALIZER_BERT, false, err);
    if (!step) return err->status;
    step->bert = (struct bert_options){true, true, true, true};
    enum status status = read_word_list(out, file, err);
    if (status) return status;
    pieces_sort(&out->pieces);
    status = add_bert_tokens(out, err);
    subword_finish(out, false);
    if (status || (out->start_id != PIECES_NONE && out->end_id != PIECES_NONE)) return status;
    return error_set(err, STATUS_INVALID, "the list of words lacks [CLS] or [SEP]");
}

/* ---- tokenizer_config.json ---- */

/* A token that the configuration names, as a string or as an object with its content. */
static uint32_t find_token(const struct subword *subword, const json_t *config, const char *key) {
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    struct bytes text = subword_json_string(value);
    return text.size ? subword_find(subword, text) : PIECES_NONE;
}

/* transformers' Gemma puts its own tokens around a text, whatever tokenizer.json says. */
static void apply_gemma(struct subword *out, const json_t *config) {
    const json_t *start = json_object_get(config, "add_bos_token");
    const json_t *end = json_object_get(config, "add_eos_token");
    if (json_is_boolean(start))
        out->start_id = json_is_true(start) ? find_token(out, config, "bos_token") : PIECES_NONE;
    if (json_is_boolean(end))
        out->end_id = json_is_true(end) ? find_token(out, config, "eos_token") : PIECES_NONE;
}

/* What transformers' SigLIP does before SentencePiece: lower case, no ASCII punctuation, single
 * spaces. */
static enum status add_canonicalize(struct normalizer *out, struct error *err) {
    static const char *const patterns[][2] = {{"[!-/:-@\\[-`{-~]", ""}, {"\\s+", " "}};
    for (size_t i = 0; i < 2; i++) {
        struct normalizer_step *step = normalizer_add(out, NORMALIZER_REPLACE, false, err);
        if (!step) return err->status;
        enum status status = pattern_parse_regex(&step->pattern, bytes_of(patterns[i][0]), err);
        struct bytes content = bytes_of(patterns[i][1]);
        if (!status && content.size)
            status = buffer_append(&step->content, content.data, content.size, err);
        if (status) return status;
    }
    struct normalizer_step *strip = normalizer_add(out, NORMALIZER_STRIP, false, err);
    if (!strip) return err->status;
    strip->left = strip->right = true;
    return STATUS_OK;
}

static enum status apply_config(struct subword *out, const json_t *config, bool own_cleaning,
                                struct error *err) {
    const json_t *lower = json_object_get(config, "do_lower_case");
    const char *class = json_string_value(json_object_get(config, "tokenizer_class"));
    uint32_t pad = find_token(out, config, "pad_token");
    if (pad != PIECES_NONE) out->pad_id = pad;
    if (!class) class = "";
    if (!strncmp(class, "Gemma", strlen("Gemma"))) apply_gemma(out, config);
    bool siglip = !strncmp(class, "Siglip", strlen("Siglip")) && out->model == SUBWORD_UNIGRAM;
    if (out->model == SUBWORD_WORDPIECE) {
        if (own_cleaning || !json_is_false(lower)) return STATUS_OK;
        out->normalizer.steps[0].bert.lower = false;
        out->normalizer.steps[0].bert.strip_accents = false;
        return STATUS_OK;
    }
    bool lowers = json_is_true(lower) || (siglip && !own_cleaning && !lower);
    for (size_t i = 0; i < out->normalizer.count; i++)
        lowers = lowers && out->normalizer.steps[i].kind != NORMALIZER_LOWER;
    if (lowers && !normalizer_add(&out->normalizer, NORMALIZER_LOWER, true, err))
        return err->status;
    return siglip && !own_cleaning ? add_canonicalize(&out->normalizer, err) : STATUS_OK;
}

static enum status read_config(struct subword *out, struct vocabulary_file *file, bool own_cleaning,
                               struct error *err) {
    struct vocabulary_file beside;
    json_t *config = NULL;
    enum status status = vocabulary_file_beside(&beside, file, "tokenizer_config.json", NULL);
    if (status == STATUS_NOT_FOUND || status == STATUS_IO) return STATUS_OK;
    if (!status) status = vocabulary_json_parse(&config, buffer_view(&beside.content), err);
    if (!status) status = apply_config(out, config, own_cleaning, err);
    json_decref(config);
    vocabulary_file_close(&beside);
    return status;
}

/* ---- all ---- */

bool subword_file_fits(const struct vocabulary_file *file, const json_t *json) {
    struct bytes content = buffer_view(&file->content);
    if (json) return subword_json_fits(json);
    return sentencepiece_fits(content) || is_word_list(content);
}

enum status subword_file_read(struct subword *out, struct vocabulary_file *file, const json_t *json,
                              struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    struct bytes content = buffer_view(&file->content);
    subword_init(out);
    enum status status;
    if (json)
        status = subword_json_read(out, json, err);
    else if (sentencepiece_fits(content))
        status = sentencepiece_read(out, content,
                                    vocabulary_file_is(file, "sentencepiece.bpe.model"), err);
    else
        status = read_bert(out, content, err);
    return status ? status : read_config(out, file, json != NULL, err);
}
