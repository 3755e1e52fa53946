/* vocabulary_json.h - symbols and merges as JSON: tokenizer.json and vocab.json. */
#ifndef CORE_TEXT_VOCABULARY_JSON_H
#define CORE_TEXT_VOCABULARY_JSON_H

#include "core/text/vocabulary_draft.h"

/* Values are counted before they are parsed: STATUS_TOO_LARGE when there are too many. The
 * caller json_decref()s the result. */
enum status vocabulary_json_parse(json_t **out, struct bytes file, struct error *err);
/* Tells the two apart by content. vocab.json has no merges: `needs_merges` is set then. */
enum status vocabulary_json_all(struct vocabulary_draft *draft, bool *needs_merges, json_t *root,
                                struct error *err);

#endif
