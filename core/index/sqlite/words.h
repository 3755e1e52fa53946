/* words.h - which items' texts have the words of a search, and how well. */
#ifndef CORE_INDEX_SQLITE_WORDS_H
#define CORE_INDEX_SQLITE_WORDS_H

#include "core/index/sqlite/store.h"

/* The matches, ascending by row. A rank is (1 + b) / (2 + b), where b is Okapi BM25 as FTS5 has it
 * (k1 = 1.2, b = 0.75, over the texts of the collection): 1/2 for words that most texts have,
 * for which BM25 is 0, and towards 1 for many rare ones. */
struct sqlite_matches {
    uint64_t *rows; /* [count] */
    float *ranks;   /* [count] */
    size_t count;
};

/* With `only`, the matches among these rows, which ascend. sqlite_matches_free() in any case. */
enum status sqlite_words_find(struct sqlite_matches *out, struct sqlite_connection *reader,
                              int64_t number, struct bytes words, const uint64_t *only,
                              size_t only_count, struct error *err);
void sqlite_matches_free(struct sqlite_matches *matches);

#endif
