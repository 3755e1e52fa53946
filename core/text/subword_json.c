/* subword_json.c - the model and the added tokens of a tokenizer.json. */
#include "core/text/subword_json.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/vocabulary.h"

enum { MERGES_MAX = 1 << 21, BERT_CHARACTERS = 100 };

struct bytes subword_json_string(const json_t *value) {
    if (!json_is_string(value)) return (struct bytes){0};
    return (struct bytes){(const uint8_t *)json_string_value(value), json_string_length(value)};
}

static const json_t *model_of(const json_t *root) {
    return json_object_get(root, "model");
}

static bool is_type(const json_t *model, const char *name) {
    const char *type = json_string_value(json_object_get(model, "type"));
    return type && !strcmp(type, name);
}

/* CLIP's own mark stands at the end of words. Old files do not name their type. */
bool subword_json_fits(const json_t *root) {
    const json_t *model = model_of(root);
    if (is_type(model, "Unigram") || is_type(model, "WordPiece")) return true;
    size_t suffix = subword_json_string(json_object_get(model, "end_of_word_suffix")).size;
    const json_t *before = json_object_get(root, "pre_tokenizer");
    return is_type(model, "BPE") && !suffix && !is_type(before, "ByteLevel");
}

static enum status check_id(struct subword *out, json_int_t id, struct error *err) {
    if (id < 0 || id >= VOCABULARY_IDS_MAX)
        return error_set(err, STATUS_INVALID, "a token has id %lld, expected 0 to %d",
                         (long long)id, VOCABULARY_IDS_MAX - 1);
    if (out->size <= id) out->size = (uint32_t)id + 1;
    return STATUS_OK;
}

/* ---- unigram ---- */

static enum status read_unigram(struct subword *out, const json_t *model, struct error *err) {
    const json_t *vocab = json_object_get(model, "vocab"), *pair;
    size_t count = json_array_size(vocab), id;
    if (!count) return error_set(err, STATUS_INVALID, "model.vocab is not a JSON array of pieces");
    enum status status = check_id(out, (json_int_t)count - 1, err);
    if (status) return status;
    out->model = SUBWORD_UNIGRAM;
    out->fuse_unknown = true;
    out->scores = calloc(count, sizeof(*out->scores));
    if (!out->scores)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu scores", count);
    double least = 0;
    json_array_foreach(vocab, id, pair) {
        struct bytes piece = subword_json_string(json_array_get(pair, 0));
        const json_t *score = json_array_get(pair, 1);
        if (!piece.size || !json_is_number(score))
            return error_set(err, STATUS_INVALID, "piece %zu is not a string and its score", id);
        out->scores[id] = json_number_value(score);
        if (!id || out->scores[id] < least) least = out->scores[id];
        status = pieces_add(&out->pieces, piece, (uint32_t)id, err);
        if (status) return status;
    }
    out->unknown_score = least - 10;
    const json_t *unknown = json_object_get(model, "unk_id");
    if (json_is_integer(unknown) && json_integer_value(unknown) >= 0 &&
        json_integer_value(unknown) < (json_int_t)count) {
        out->unknown_id = (uint32_t)json_integer_value(unknown);
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "model.unk_id is not the id of a piece");
}

/* ---- the two with a dictionary ---- */

/* The id of a token by name, which may be missing, but not wrong. */
static enum status read_unknown(struct subword *out, const json_t *model, struct error *err) {
    struct bytes name = subword_json_string(json_object_get(model, "unk_token"));
    if (!name.size) return STATUS_OK;
    out->unknown_id = pieces_find(&out->pieces, name);
    if (out->unknown_id != PIECES_NONE) return STATUS_OK;
    return error_set(err, STATUS_INVALID, "model.unk_token \"%.40s\" is no token",
                     (const char *)name.data);
}

/* Tokens that begin with `mark`, which may be empty, go to `continuing` without it. */
static enum status read_tokens(struct subword *out, const json_t *model, struct bytes mark,
                               struct error *err) {
    json_t *vocab = json_object_get(model, "vocab"), *id;
    const char *key;
    if (!json_object_size(vocab))
        return error_set(err, STATUS_INVALID, "model.vocab is not a JSON object of ids");
    json_object_foreach(vocab, key, id) {
        struct bytes token = bytes_of(key);
        if (!json_is_integer(id))
            return error_set(err, STATUS_INVALID, "the id of \"%.40s\" is not a whole number", key);
        enum status status = check_id(out, json_integer_value(id), err);
        if (status) return status;
        bool continues =
            mark.size && token.size > mark.size && !memcmp(token.data, mark.data, mark.size);
        if (continues) token = (struct bytes){token.data + mark.size, token.size - mark.size};
        status = pieces_add(continues ? &out->continuing : &out->pieces, token,
                            (uint32_t)json_integer_value(id), err);
        if (status) return status;
    }
    pieces_sort(&out->pieces);
    return STATUS_OK;
}

static enum status read_wordpiece(struct subword *out, const json_t *model, struct error *err) {
    const json_t *most = json_object_get(model, "max_input_chars_per_word");
    struct bytes mark = subword_json_string(json_object_get(model, "continuing_subword_prefix"));
    out->model = SUBWORD_WORDPIECE;
    if (!mark.size || (most && json_integer_value(most) != BERT_CHARACTERS))
        return error_set(err, STATUS_UNSUPPORTED,
                         "a WordPiece without a mark of continuing pieces, or whose words have "
                         "another limit than %d characters, is not supported",
                         BERT_CHARACTERS);
    enum status status = read_tokens(out, model, mark, err);
    return status ? status : read_unknown(out, model, err);
}

/* ["left", "right"], or in older files "left right". */
static bool split_merge(const json_t *merge, struct bytes *left, struct bytes *right) {
    *left = subword_json_string(json_array_get(merge, 0));
    *right = subword_json_string(json_array_get(merge, 1));
    if (json_is_array(merge)) return json_array_size(merge) == 2 && left->size && right->size;
    struct bytes line = subword_json_string(merge);
    const uint8_t *space = line.size ? memchr(line.data, ' ', line.size) : NULL;
    if (!space) return false;
    *left = (struct bytes){line.data, (size_t)(space - line.data)};
    *right = (struct bytes){space + 1, line.size - left->size - 1};
    return left->size && right->size && !memchr(right->data, ' ', right->size);
}

static enum status read_merge(struct vocabulary_merge *out, const struct subword *subword,
                              const json_t *merge, size_t number, struct error *err) {
    struct bytes left, right;
    uint8_t both[2 * PIECES_SIZE_MAX];
    if (!split_merge(merge, &left, &right) || left.size > PIECES_SIZE_MAX ||
        right.size > PIECES_SIZE_MAX)
        return error_set(err, STATUS_INVALID, "merge %zu is not two tokens", number);
    memcpy(both, left.data, left.size);
    memcpy(both + left.size, right.data, right.size);
    *out = (struct vocabulary_merge){
        pieces_find(&subword->pieces, left), pieces_find(&subword->pieces, right),
        pieces_find(&subword->pieces, (struct bytes){both, left.size + right.size})};
    if (out->left != PIECES_NONE && out->right != PIECES_NONE && out->result != PIECES_NONE)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "a token of merge %zu is not in the vocabulary", number);
}

static enum status read_merges(struct subword *out, const json_t *model, struct error *err) {
    const json_t *merges = json_object_get(model, "merges"), *merge;
    size_t count = json_array_size(merges), i;
    if (count > MERGES_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d merges", MERGES_MAX);
    struct vocabulary_merge *list = calloc(count + 1, sizeof(*list));
    enum status status = STATUS_OK;
    if (!list) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu merges", count);
    json_array_foreach(merges, i, merge) {
        status = read_merge(&list[i], out, merge, i, err);
        if (status) break;
    }
    if (!status) status = bpe_create_merges(&out->bpe, list, NULL, count, err);
    free(list);
    return status;
}

static enum status read_bpe(struct subword *out, const json_t *model, struct error *err) {
    out->model = SUBWORD_BPE;
    out->fuse_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    out->whole_first = json_is_true(json_object_get(model, "ignore_merges"));
    if (subword_json_string(json_object_get(model, "continuing_subword_prefix")).size)
        return error_set(err, STATUS_UNSUPPORTED,
                         "a BPE with a continuing_subword_prefix is not supported");
    enum status status = read_tokens(out, model, (struct bytes){0}, err);
    if (!status) status = read_unknown(out, model, err);
    return status ? status : read_merges(out, model, err);
}

/* ---- all ---- */

static enum status read_added(struct subword *out, const json_t *added, struct error *err) {
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i), *id = json_object_get(token, "id");
        struct bytes text = subword_json_string(json_object_get(token, "content"));
        if (!text.size || !json_is_integer(id))
            return error_set(err, STATUS_INVALID, "added token %zu lacks its content or id", i);
        if (json_is_true(json_object_get(token, "single_word")))
            return error_set(err, STATUS_UNSUPPORTED, "added token %zu has single_word set", i);
        enum status status = check_id(out, json_integer_value(id), err);
        if (status) return status;
        struct subword_added entry = {
            .id = (uint32_t)json_integer_value(id),
            .take_left = json_is_true(json_object_get(token, "lstrip")),
            .take_right = json_is_true(json_object_get(token, "rstrip")),
        };
        bool clean = json_is_true(json_object_get(token, "normalized"));
        status = subword_add_added(out, text, &entry, clean, err);
        if (status) return status;
    }
    return STATUS_OK;
}

enum status subword_json_read(struct subword *out, const json_t *root, struct error *err) {
    const json_t *model = model_of(root);
    enum status status;
    if (is_type(model, "Unigram"))
        status = read_unigram(out, model, err);
    else if (is_type(model, "WordPiece"))
        status = read_wordpiece(out, model, err);
    else
        status = read_bpe(out, model, err);
    if (!status) status = subword_json_pipeline(out, root, err);
    if (!status) status = read_added(out, json_object_get(root, "added_tokens"), err);
    if (!status) subword_finish(out, json_is_true(json_object_get(model, "byte_fallback")));
    return status;
}
