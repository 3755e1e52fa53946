/* rows.h - rows in memory with an approximate index over them, as tests of its parts want them.
 * What does not hold fails the test. */
#ifndef TESTS_SUPPORT_ROWS_H
#define TESTS_SUPPORT_ROWS_H

#include "core/index/vectors.h"

enum { ROWS_DIM = 64, ROWS_COUNT = 3000, ROWS_TOP = 10 };

/* The number of the row with that embedding: every other one is in use. */
uint64_t rows_number(size_t index);

/* Without rows; indexed from 100 on, and kept at `path` unless that is NULL. */
struct vectors *rows_make(enum collection_precision precision, const char *path);
/* Puts in the rows begin..end-1 of those embeddings [ROWS_COUNT, ROWS_DIM]. */
void rows_put(struct vectors *vectors, const float *from, size_t begin, size_t end);
/* With all of them, and ready. */
struct vectors *rows_make_full(const float *embeddings, enum collection_precision precision,
                               const char *path);
/* Until the index holds all there is. */
void rows_wait_for(struct vectors *vectors, uint64_t indexed);

size_t rows_find(struct vectors *vectors, const float *embedding, bool exact,
                 struct vectors_hit hits[ROWS_TOP]);
/* The share of the nearest that the index finds, for 100 embeddings. */
double rows_recall(struct vectors *vectors);

#endif
