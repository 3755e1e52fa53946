/* vocabulary.h - the symbols and merges of a byte-level BPE, from the files people have.
 *
 * Read are (SPEC 5.5): tokenizer.json; vocab.json with merges.txt beside it;
 * bpe_simple_vocab_16e6.txt and merges.txt alone, whose ids follow from the order of the
 * merges; told apart by content and not by name. Files are hostile input: sizes, ids and counts are
 * bounded.
 */
#ifndef CORE_TEXT_VOCABULARY_H
#define CORE_TEXT_VOCABULARY_H

#include <jansson.h>
#include <stdbool.h>

#include "core/text/vocabulary_file.h"

enum {
    VOCABULARY_IDS_MAX = 1 << 20, /* ids are below */
    VOCABULARY_MERGES_MAX = 1 << 20,
    VOCABULARY_ADDED_MAX = 256,
};

#define VOCABULARY_START "<|startoftext|>"
#define VOCABULARY_END "<|endoftext|>"

/* Two adjacent symbols become one; the index in the array is the rank. */
struct vocabulary_merge {
    uint32_t left, right, result;
};

/* A string that hf-fast takes as one token wherever it stands in a text. */
struct vocabulary_added {
    uint8_t *text; /* [size], owned; not empty */
    size_t size;
    uint32_t id;
    bool normalized; /* looked for in the cleaned text instead of the text as it came */
};

struct vocabulary {
    uint32_t size; /* the largest id and one */
    uint32_t start_id, end_id;
    uint32_t byte_ids[256];      /* of a byte inside a word */
    uint32_t last_byte_ids[256]; /* of a byte at its end */
    struct vocabulary_merge *merges;
    size_t merges_count;
    struct vocabulary_added *added; /* the longest first */
    size_t added_count;
};

/* `json` is the file's content if it is JSON, else NULL. STATUS_UNSUPPORTED: a tokenizer.json
 * of another kind. STATUS_INVALID, STATUS_TOO_LARGE: a bad file. */
enum status vocabulary_read(struct vocabulary *out, struct vocabulary_file *file, json_t *json,
                            struct error *err);
/* Zeroed memory may be freed, too. */
void vocabulary_free(struct vocabulary *vocabulary);

#endif
