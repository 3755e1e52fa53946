/* vocabulary_text.h - merges as text: merges.txt and bpe_simple_vocab_16e6.txt. */
#ifndef CORE_TEXT_VOCABULARY_TEXT_H
#define CORE_TEXT_VOCABULARY_TEXT_H

#include "core/text/vocabulary_draft.h"

/* Takes the first line off `rest`, without its end; false when there is none. */
bool vocabulary_text_line(struct bytes *line, struct bytes *rest);
/* One merge, "left right", as a line of a file or a string of tokenizer.json. */
enum status vocabulary_text_merge(struct vocabulary_draft *draft, struct bytes line,
                                  struct error *err);
/* The merges of merges.txt, for symbols that are there already. */
enum status vocabulary_text_merges(struct vocabulary_draft *draft, struct bytes file,
                                   struct error *err);
/* Symbols and merges in CLIP's order of ids: bytes, bytes at the end of a word, one for each
 * merge, start, end. Of longer files the first 48,894 merges count, as in the references. */
enum status vocabulary_text_all(struct vocabulary_draft *draft, struct bytes file,
                                struct error *err);

#endif
