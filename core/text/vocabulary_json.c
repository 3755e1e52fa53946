/* vocabulary_json.c - symbols and merges as JSON.
 *
 * CLIP's files have a quarter million values, the largest multilingual ones three million. */
#include "core/text/vocabulary_json.h"

#include <jansson.h>
#include <string.h>

#include "core/base/json_values.h"
#include "core/text/subword_json.h"
#include "core/text/vocabulary_text.h"

enum { VALUES_MAX = 1 << 22 };

enum status vocabulary_json_parse(json_t **out, struct bytes file, struct error *err) {
    if (!json_values_within(file, VALUES_MAX))
        return error_set(err, STATUS_TOO_LARGE, "more than %d JSON values", VALUES_MAX);
    json_error_t problem;
    *out = json_loadb((const char *)file.data, file.size, JSON_REJECT_DUPLICATES, &problem);
    if (!*out)
        return error_set(err, STATUS_INVALID, "line %d is not valid JSON: %s", problem.line,
                         problem.text);
    return STATUS_OK;
}

static enum status read_symbols(struct vocabulary_draft *draft, json_t *symbols,
                                struct error *err) {
    const char *key;
    json_t *id;
    if (!json_is_object(symbols))
        return error_set(err, STATUS_INVALID, "the vocabulary is not a JSON object of ids");
    json_object_foreach(symbols, key, id) {
        if (!json_is_integer(id))
            return error_set(err, STATUS_INVALID, "the id of \"%.40s\" is not a whole number", key);
        enum status status =
            vocabulary_draft_symbol(draft, bytes_of(key), json_integer_value(id), err);
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status read_merges(struct vocabulary_draft *draft, const json_t *merges,
                               struct error *err) {
    if (!json_is_array(merges))
        return error_set(err, STATUS_INVALID, "model.merges is not a JSON array");
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        struct bytes line = subword_json_string(merge);
        struct bytes left = subword_json_string(json_array_get(merge, 0));
        struct bytes right = subword_json_string(json_array_get(merge, 1));
        enum status status;
        if (line.size)
            status = vocabulary_text_merge(draft, line, err);
        else if (json_array_size(merge) == 2 && left.size && right.size)
            status = vocabulary_draft_merge(draft, left, right, err);
        else
            status = error_set(err, STATUS_INVALID, "merge %zu is not two symbols", i);
        if (status) return status;
    }
    return STATUS_OK;
}

/* lstrip and rstrip take spaces along, which no word keeps anyway. */
static enum status read_added(struct vocabulary_draft *draft, const json_t *added,
                              struct error *err) {
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const json_t *id = json_object_get(token, "id");
        struct bytes text = subword_json_string(json_object_get(token, "content"));
        if (!text.size || !json_is_integer(id))
            return error_set(err, STATUS_INVALID, "added token %zu lacks its content or id", i);
        if (json_is_true(json_object_get(token, "single_word")))
            return error_set(err, STATUS_UNSUPPORTED, "added token %zu has single_word set", i);
        bool normalized = json_is_true(json_object_get(token, "normalized"));
        enum status status =
            vocabulary_draft_added(draft, text, json_integer_value(id), normalized, err);
        if (status) return status;
    }
    draft->lists_added = json_array_size(added) > 0;
    return STATUS_OK;
}

static enum status read_tokenizer(struct vocabulary_draft *draft, const json_t *root,
                                  struct error *err) {
    const json_t *model = json_object_get(root, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    const char *suffix = json_string_value(json_object_get(model, "end_of_word_suffix"));
    if ((type && strcmp(type, "BPE") != 0) || !suffix || strcmp(suffix, "</w>") != 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "tokenizer of type \"%.20s\" with end_of_word_suffix \"%.20s\", expected "
                         "\"BPE\" with \"</w>\"",
                         type ? type : "", suffix ? suffix : "");
    enum status status = read_symbols(draft, json_object_get(model, "vocab"), err);
    if (!status) status = read_added(draft, json_object_get(root, "added_tokens"), err);
    if (!status) status = read_merges(draft, json_object_get(model, "merges"), err);
    return status;
}

enum status vocabulary_json_all(struct vocabulary_draft *draft, bool *needs_merges, json_t *root,
                                struct error *err) {
    *needs_merges = !json_is_object(json_object_get(root, "model"));
    return *needs_merges ? read_symbols(draft, root, err) : read_tokenizer(draft, root, err);
}
