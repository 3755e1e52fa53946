/* label_cache.h - class embeddings by key, least recently used out first; or what there is of one
 * that is not complete, until it is.
 *
 * A key is a SHA-256 of everything that the embedding depends on, so two entries
 * never share one. Safe from any thread. */
#ifndef CORE_CLASSIFY_LABEL_CACHE_H
#define CORE_CLASSIFY_LABEL_CACHE_H

#include "core/base/sha256.h"
#include "core/classify/classify.h"

struct label_cache;

enum status label_cache_create(struct label_cache **out, size_t bytes_max, struct error *err);
void label_cache_destroy(struct label_cache *cache);

/* Copies the embedding of `dim` floats to `embedding`, and whether its texts were truncated;
 * false if there is none. */
bool label_cache_get(struct label_cache *cache, const uint8_t key[SHA256_SIZE], float *embedding,
                     size_t dim, bool *truncated);
/* Remembers a copy; does nothing when memory is short or the entry alone is too big. */
void label_cache_put(struct label_cache *cache, const uint8_t key[SHA256_SIZE],
                     const float *embedding, size_t dim, bool truncated);
/* The same of the sum of a class's first `prompts` embeddings, which the whole class, or a sum of
 * more, takes the place of. Counts neither as hit nor as miss. */
bool label_cache_get_part(struct label_cache *cache, const uint8_t key[SHA256_SIZE], double *sum,
                          size_t dim, size_t *prompts, bool *truncated);
void label_cache_put_part(struct label_cache *cache, const uint8_t key[SHA256_SIZE],
                          const double *sum, size_t dim, size_t prompts, bool truncated);
void label_cache_read_stats(struct label_cache *cache, struct classifier_stats *out);

#endif
