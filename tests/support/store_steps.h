/* store_steps.h - short ways to say what a test does with collections, and what it expects.
 * What does not hold aborts with a message on standard error. */
#ifndef TESTS_SUPPORT_STORE_STEPS_H
#define TESTS_SUPPORT_STORE_STEPS_H

#include "core/index/collection.h"

enum { STEP_DIM = 8, STEP_SEEN_MAX = 4096 };

/* Digests of two models; collections are of the first. */
extern const char step_digest_a[SHA256_HEX_SIZE], step_digest_b[SHA256_HEX_SIZE];

/* What a visitor saw: the ids, each with a space before it. */
struct seen {
    char ids[STEP_SEEN_MAX];
    size_t size, count;
    char metadata[STEP_SEEN_MAX], text[STEP_SEEN_MAX],
        thumbnail[STEP_SEEN_MAX]; /* of the last, as texts */
    bool has_digest;
    uint8_t digest[SHA256_SIZE];
    float embedding[STEP_DIM];
    float scores[64];
    size_t ranks[64], queries[64];
};

void step_must_be(enum status status, enum status expected, const struct error *err,
                  const char *what);
struct collections *step_open_store(const char *store);
/* Without fields. */
struct collection_spec step_spec_of(const char *name);
void step_add_field(struct collection_spec *spec, const char *path,
                    enum collection_field_kind kind);
/* In the place of one that is there. */
void step_make(struct collections *c, const struct collection_spec *spec);
void step_drop(struct collections *c, const char *name);
/* An item that lies at `angle` between the first two axes: cosines are easy to foresee. */
struct item step_item_at(const char *id, double angle, float embedding[STEP_DIM]);
enum status step_put(struct collections *c, const char *name, const struct item *items,
                     size_t count, struct error *err);
void step_must_put(struct collections *c, const char *name, struct item item);
void step_put_at(struct collections *c, const char *name, const char *id, double angle);
/* Visitors whose context is a struct seen. */
enum status step_see(void *context, const struct item *item, struct error *err);
enum status step_see_hit(void *context, const struct hit *hit, struct error *err);
void step_must_see(const struct seen *seen, const char *ids, const char *what);
struct seen step_scroll(struct collections *c, const char *name, const struct filter *filter,
                        const char *after, size_t limit);
struct seen step_fetch(struct collections *c, const char *name, const char *id, unsigned parts);
/* A search near angle 0 for every item, exact. */
struct search step_search_at(float embedding[STEP_DIM], uint32_t top_k);
struct seen step_search(struct collections *c, const char *name, const struct search *searches,
                        size_t count);
void step_scroll_sees(struct collections *c, const char *name, const struct filter *filter,
                      const char *after, size_t limit, const char *ids, const char *what);
void step_search_sees(struct collections *c, const char *name, const struct search *searches,
                      size_t count, const char *ids, const char *what);

#endif
