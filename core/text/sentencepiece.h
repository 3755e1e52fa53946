/* sentencepiece.h - SentencePiece's own files: spiece.model, sentencepiece.bpe.model and
 * others.
 *
 * A protocol buffer, of which the few fields that encoding needs are read; every length is
 * held against what is left of the file, and nothing in it is followed anywhere.
 */
#ifndef CORE_TEXT_SENTENCEPIECE_H
#define CORE_TEXT_SENTENCEPIECE_H

#include "core/text/subword.h"

/* True for a file that begins as they all do, with a first piece. */
bool sentencepiece_fits(struct bytes file);
/* `fairseq`: ids as XLM-RoBERTa has them, all shifted by one but <s>, <pad>, </s> and <unk>,
 * which are 0 to 3, and <s> before the text. */
enum status sentencepiece_read(struct subword *out, struct bytes file, bool fairseq,
                               struct error *err);

#endif
