/* subword_pipeline.c - what stands around the model in a tokenizer.json. Steps that are not
 * known are refused by name: to leave one out would change texts in silence. */
#include <string.h>

#include "core/base/base64.h"
#include "core/text/clean.h"
#include "core/text/subword_json.h"
#include "core/text/vocabulary.h"

enum { CHARSMAP_MAX = 16 << 20 };

static const char *type_of(const json_t *step) {
    const char *type = json_string_value(json_object_get(step, "type"));
    return type ? type : "";
}

static bool flag(const json_t *step, const char *key, bool otherwise) {
    const json_t *value = json_object_get(step, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* ---- normalizer ---- */

static enum status read_charsmap(struct normalizer_step *step, const json_t *from,
                                 struct error *err) {
    struct bytes text = subword_json_string(json_object_get(from, "precompiled_charsmap"));
    struct buffer blob;
    buffer_init(&blob, CHARSMAP_MAX);
    enum status status = text.size ? base64_decode(&blob, text, err) : STATUS_OK;
    if (!status) status = charsmap_open(&step->charsmap, buffer_view(&blob), err);
    buffer_free(&blob);
    return status;
}

static enum status read_replace(struct normalizer_step *step, const json_t *from,
                                struct error *err) {
    const json_t *pattern = json_object_get(from, "pattern");
    struct bytes string = subword_json_string(json_object_get(pattern, "String"));
    struct bytes regex = subword_json_string(json_object_get(pattern, "Regex"));
    struct bytes content = subword_json_string(json_object_get(from, "content"));
    enum status status = regex.size ? pattern_parse_regex(&step->pattern, regex, err)
                                    : pattern_parse_string(&step->pattern, string, err);
    if (status || !content.size) return status;
    return buffer_append(&step->content, content.data, content.size, err);
}

static void read_bert(struct bert_options *out, const json_t *from) {
    out->clean = flag(from, "clean_text", true);
    out->chinese = flag(from, "handle_chinese_chars", true);
    out->lower = flag(from, "lowercase", true);
    out->strip_accents = flag(from, "strip_accents", out->lower);
}

static enum status fill_step(struct normalizer_step *step, const json_t *from, struct error *err) {
    struct bytes content;
    switch (step->kind) {
    case NORMALIZER_CHARSMAP: return read_charsmap(step, from, err);
    case NORMALIZER_REPLACE: return read_replace(step, from, err);
    case NORMALIZER_BERT: read_bert(&step->bert, from); break;
    case NORMALIZER_STRIP:
        step->left = flag(from, "strip_left", true);
        step->right = flag(from, "strip_right", true);
        break;
    case NORMALIZER_PREPEND:
        content = subword_json_string(json_object_get(from, "prepend"));
        if (content.size) return buffer_append(&step->content, content.data, content.size, err);
        break;
    case NORMALIZER_LOWER:
    case NORMALIZER_NFC:
    case NORMALIZER_NFD:
    case NORMALIZER_STRIP_ACCENTS: break;
    }
    return STATUS_OK;
}

static enum status read_normalizer(struct normalizer *out, const json_t *from, struct error *err) {
    static const char *const names[] = {
        [NORMALIZER_LOWER] = "Lowercase",
        [NORMALIZER_NFC] = "NFC",
        [NORMALIZER_NFD] = "NFD",
        [NORMALIZER_STRIP] = "Strip",
        [NORMALIZER_STRIP_ACCENTS] = "StripAccents",
        [NORMALIZER_PREPEND] = "Prepend",
        [NORMALIZER_REPLACE] = "Replace",
        [NORMALIZER_CHARSMAP] = "Precompiled",
        [NORMALIZER_BERT] = "BertNormalizer",
    };
    const char *type = type_of(from);
    if (!from || json_is_null(from)) return STATUS_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(type, names[i]) != 0) continue;
        struct normalizer_step *step = normalizer_add(out, (enum normalizer_kind)i, false, err);
        return step ? fill_step(step, from, err) : err->status;
    }
    return error_set(err, STATUS_UNSUPPORTED, "a normalizer \"%.30s\" is not supported", type);
}

static enum status read_normalizers(struct normalizer *out, const json_t *from, struct error *err) {
    if (strcmp(type_of(from), "Sequence") != 0) return read_normalizer(out, from, err);
    const json_t *list = json_object_get(from, "normalizers");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = read_normalizer(out, json_array_get(list, i), err);
    return status;
}

/* ---- pre_tokenizer ---- */

static enum status read_metaspace(struct words_rules *out, const json_t *from, struct error *err) {
    struct bytes mark = subword_json_string(json_object_get(from, "replacement"));
    const char *scheme = json_string_value(json_object_get(from, "prepend_scheme"));
    if (mark.size != sizeof(WORDS_SPACE) - 1 || memcmp(mark.data, WORDS_SPACE, mark.size) != 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "a Metaspace whose replacement is not U+2581 is not supported");
    out->kind = WORDS_METASPACE;
    out->whole = !flag(from, "split", true);
    out->prefix = flag(from, "add_prefix_space", true) ? WORDS_PREFIX_ALWAYS : WORDS_PREFIX_NEVER;
    if (!scheme) return STATUS_OK; /* older files have only the flag */
    if (!strcmp(scheme, "always"))
        out->prefix = WORDS_PREFIX_ALWAYS;
    else if (!strcmp(scheme, "first"))
        out->prefix = WORDS_PREFIX_FIRST;
    else
        out->prefix = WORDS_PREFIX_NEVER;
    return STATUS_OK;
}

static enum status read_split(struct words_rules *out, const json_t *from, struct error *err) {
    struct bytes text =
        subword_json_string(json_object_get(json_object_get(from, "pattern"), "String"));
    const char *behaviour = json_string_value(json_object_get(from, "behavior"));
    if (text.size == 1 && *text.data == ' ' && behaviour &&
        !strcmp(behaviour, "MergedWithPrevious") && !flag(from, "invert", false)) {
        out->kind = WORDS_AFTER_SPACE;
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "a Split that does not cut behind spaces is not supported");
}

static enum status read_words(struct words_rules *out, const json_t *from, struct error *err) {
    const char *type = type_of(from);
    if (!from || json_is_null(from)) return STATUS_OK;
    if (out->kind == WORDS_WHOLE) {
        if (!strcmp(type, "Metaspace")) return read_metaspace(out, from, err);
        if (!strcmp(type, "Split")) return read_split(out, from, err);
        if (!strcmp(type, "BertPreTokenizer")) {
            out->kind = WORDS_BERT;
            return STATUS_OK;
        }
        if (!strcmp(type, "WhitespaceSplit")) {
            out->split_spaces = true;
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_UNSUPPORTED, "a pre_tokenizer \"%.30s\" is not supported%s", type,
                     out->kind == WORDS_WHOLE ? "" : " behind another");
}

static enum status read_all_words(struct words_rules *out, const json_t *from, struct error *err) {
    if (strcmp(type_of(from), "Sequence") != 0) return read_words(out, from, err);
    const json_t *list = json_object_get(from, "pretokenizers");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(list) && !status; i++)
        status = read_words(out, json_array_get(list, i), err);
    return status;
}

/* ---- post_processor ---- */

static enum status set_id(struct subword *out, uint32_t *id, const json_t *value,
                          struct error *err) {
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < 0 || number >= VOCABULARY_IDS_MAX)
        return error_set(err, STATUS_INVALID, "the post_processor has a token without an id");
    *id = (uint32_t)number;
    if (out->size <= *id) out->size = *id + 1;
    return STATUS_OK;
}

/* One token before the text and one behind it, or less. */
static enum status read_template(struct subword *out, const json_t *from, struct error *err) {
    const json_t *single = json_object_get(from, "single"), *element;
    const json_t *tokens = json_object_get(from, "special_tokens");
    bool behind = false;
    size_t i;
    json_array_foreach(single, i, element) {
        const json_t *token = json_object_get(element, "SpecialToken");
        const char *name = json_string_value(json_object_get(token, "id"));
        if (!token) {
            behind = true;
            continue;
        }
        uint32_t *id = behind ? &out->end_id : &out->start_id;
        const json_t *ids = json_object_get(name ? json_object_get(tokens, name) : NULL, "ids");
        if (*id != PIECES_NONE || json_array_size(ids) != 1)
            return error_set(err, STATUS_UNSUPPORTED,
                             "more than one token before or behind a text is not supported");
        enum status status = set_id(out, id, json_array_get(ids, 0), err);
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status read_post(struct subword *out, const json_t *from, struct error *err) {
    const char *type = type_of(from);
    if (!from || json_is_null(from)) return STATUS_OK;
    if (!strcmp(type, "TemplateProcessing")) return read_template(out, from, err);
    if (!strcmp(type, "BertProcessing") || !strcmp(type, "RobertaProcessing")) {
        const json_t *cls = json_object_get(from, "cls"), *sep = json_object_get(from, "sep");
        enum status status = set_id(out, &out->start_id, json_array_get(cls, 1), err);
        return status ? status : set_id(out, &out->end_id, json_array_get(sep, 1), err);
    }
    return error_set(err, STATUS_UNSUPPORTED, "a post_processor \"%.30s\" is not supported", type);
}

enum status subword_json_pipeline(struct subword *out, const json_t *root, struct error *err) {
    const json_t *padding = json_object_get(root, "padding");
    enum status status =
        read_normalizers(&out->normalizer, json_object_get(root, "normalizer"), err);
    if (!status) status = read_all_words(&out->words, json_object_get(root, "pre_tokenizer"), err);
    if (!status) status = read_post(out, json_object_get(root, "post_processor"), err);
    if (status || !json_is_object(padding)) return status;
    return set_id(out, &out->pad_id, json_object_get(padding, "pad_id"), err);
}
