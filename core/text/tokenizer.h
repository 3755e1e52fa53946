/* tokenizer.h - text to token ids, exactly as the reference tokenizers do.
 *
 * Byte-level BPE of CLIP in three dialects (SPEC 5): they share vocabulary and
 * merges and differ in how they clean the text. And what other families have, told apart by
 * the file: SentencePiece's unigram and BPE, WordPiece. Their files say themselves how a text
 * is cleaned; open_clip cleans it before. Immutable after open; safe from
 * any number of threads.
 */
#ifndef CORE_TEXT_TOKENIZER_H
#define CORE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

enum tokenizer_mode {
    TOKENIZER_OPENAI,    /* ftfy, html.unescape twice, lower; <|startoftext|> is special */
    TOKENIZER_OPEN_CLIP, /* the same cleaning by default; <start_of_text> is special */
    TOKENIZER_HF_FAST,   /* tokenizer.json: NFC, collapse, per-character lower */
};

/* open_clip's `clean` (text_cfg.tokenizer_kwargs); the other modes ignore it. */
enum tokenizer_clean { TOKENIZER_LOWER, TOKENIZER_WHITESPACE, TOKENIZER_CANONICALIZE };

struct tokenizer_options {
    enum tokenizer_mode mode;
    enum tokenizer_clean clean;
    bool drop_end; /* open_clip's strip_sep_token: the end token becomes 0 */
};

struct tokenizer;

struct tokens {
    uint32_t *ids; /* the caller's array, start and end token included */
    size_t count;  /* ids written */
    size_t total;  /* ids the text has without truncation */
    bool truncated;
};

/* `path` is a directory with tokenizer.json, vocab.json + merges.txt, a SentencePiece model
 * (spiece.model, sentencepiece.bpe.model, tokenizer.model), vocab.txt or
 * bpe_simple_vocab_16e6.txt[.gz], or one such file (merges.txt alone builds CLIP's
 * vocabulary from its merges). */
enum status tokenizer_open(struct tokenizer **out, const char *path,
                           const struct tokenizer_options *options, struct error *err);
void tokenizer_close(struct tokenizer *tokenizer);

uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer);
/* Of the files that it was made from, in hexadecimal. */
const char *tokenizer_digest(const struct tokenizer *tokenizer);
/* UINT32_MAX: there is no such token. */
uint32_t tokenizer_start_id(const struct tokenizer *tokenizer);
uint32_t tokenizer_end_id(const struct tokenizer *tokenizer);
/* "openai", "open_clip", "hf-fast" and back; false if unknown. */
const char *tokenizer_mode_name(enum tokenizer_mode mode);
bool tokenizer_mode_parse(enum tokenizer_mode *out, const char *name);

/* Writes at most `context_length` ids, which is at least 2, to out->ids (the caller's
 * array of that many). A longer text is cut and its last id becomes the end token, or,
 * without `truncate`, is STATUS_UNPROCESSABLE; out->total is exact either way. Text that is
 * not UTF-8 is STATUS_INVALID, U+0000 is allowed. A text of more than 4 MiB is
 * STATUS_TOO_LARGE. Time and memory grow with the text: a hostile megabyte takes some
 * 0.3 to 0.8 s and 20 to 64 MB. */
enum status tokenizer_encode(const struct tokenizer *tokenizer, struct bytes text,
                             size_t context_length, bool truncate, struct tokens *out,
                             struct error *err);
/* Fills the rest of the context with what models of this vocabulary were trained with, if it
 * says what; returns how many ids there are then. */
size_t tokenizer_pad(const struct tokenizer *tokenizer, const struct tokens *tokens,
                     size_t context_length);

#endif
