/* subword_json.h - subword tokenizers as the module tokenizers writes them: tokenizer.json. */
#ifndef CORE_TEXT_SUBWORD_JSON_H
#define CORE_TEXT_SUBWORD_JSON_H

#include <jansson.h>

#include "core/text/subword.h"

/* True for a tokenizer.json of another kind than CLIP's byte-level BPE. */
bool subword_json_fits(const json_t *root);
/* STATUS_UNSUPPORTED names what we do not have. */
enum status subword_json_read(struct subword *out, const json_t *root, struct error *err);
/* The part of it around the model: normalizer, pre_tokenizer, post_processor, padding. */
enum status subword_json_pipeline(struct subword *out, const json_t *root, struct error *err);
/* A string's bytes; size 0 if it is none. */
struct bytes subword_json_string(const json_t *value);

#endif
