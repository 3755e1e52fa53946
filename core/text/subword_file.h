/* subword_file.h - which files hold a subword tokenizer, and what the files beside them add. */
#ifndef CORE_TEXT_SUBWORD_FILE_H
#define CORE_TEXT_SUBWORD_FILE_H

#include <jansson.h>

#include "core/text/subword.h"
#include "core/text/vocabulary_file.h"

/* `json` is the file's content if it is JSON, else NULL. */
bool subword_file_fits(const struct vocabulary_file *file, const json_t *json);
/* Reads a file that fits, and tokenizer_config.json beside it if there is one, which says
 * what fills a context, and what of the cleaning is not in the file itself. On failure `out`
 * may be freed. */
enum status subword_file_read(struct subword *out, struct vocabulary_file *file, const json_t *json,
                              struct error *err);

#endif
