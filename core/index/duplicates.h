/* duplicates.h - items of a collection that are the same, or nearly.
 *
 * Two tiers: items made of the very same file, by its digest, and items whose embeddings
 * lie close together. Of the second kind everything that hangs together is one cluster,
 * though its ends may be further apart than the threshold. For each item only its nearest
 * neighbours are looked at; what is left out of a crowd hangs together through others.
 *
 * Memory is bounded by the number of items, about 100 bytes and the id for each; the
 * embeddings are read a batch at a time. */
#ifndef CORE_INDEX_DUPLICATES_H
#define CORE_INDEX_DUPLICATES_H

#include "core/index/collection.h"

enum { DUPLICATES_ITEMS_MAX = 5000000 };

enum duplicates_tier { DUPLICATES_FILES, DUPLICATES_EMBEDDINGS };

struct duplicate {
    struct bytes id;
    float score; /* of its nearest in the cluster; 1 for the same file */
};

struct duplicates_options {
    const struct filter *filter; /* NULL: every item */
    float threshold;             /* cosine, from which on two are alike */
    bool files, embeddings;      /* the tiers that are wanted */
};

/* A cluster of at least two, in the order of their ids, which are borrowed. */
typedef enum status duplicates_visit_fn(void *context, enum duplicates_tier tier,
                                        const struct duplicate *items, size_t count,
                                        struct error *err);
/* Called now and then; what it returns, if not STATUS_OK, ends the search. */
typedef enum status duplicates_pause_fn(void *context, struct error *err);

struct duplicates_visitor {
    duplicates_visit_fn *visit;
    duplicates_pause_fn *pause;
    void *context;
};

/* *items says how many were looked at. STATUS_TOO_LARGE for more than the limit. A cluster
 * of embeddings that is one of files, too, is not reported twice. */
enum status duplicates_find(struct collections *collections, const char *name,
                            const struct duplicates_options *options,
                            const struct duplicates_visitor *visitor, uint64_t *items,
                            struct error *err);

#endif
