/* collection_check.h - what may come through the door: names, ids, items, searches, and what a
 * collection is. For collection.c and the stores; collection_check_item() is in collection.h. */
#ifndef CORE_INDEX_COLLECTION_CHECK_H
#define CORE_INDEX_COLLECTION_CHECK_H

#include "core/index/collection.h"

enum status collection_check_name(const char *name, struct error *err);
enum status collection_check_id(struct bytes id, struct error *err);
enum status collection_check_ids(const struct bytes *ids, size_t count, struct error *err);

/* STATUS_CONFLICT if the collection is of another model. */
enum status collection_check_model(const struct collection_spec *spec, const char *digest,
                                   struct error *err);
/* *sum is that of the embedding's squares. */
enum status collection_check_embedding(double *sum, const float *embedding, size_t dim,
                                       struct error *err);
/* collection_check_item(), and the same sum. */
enum status collection_check_item_sum(double *sum, const struct collection_spec *spec,
                                      const struct item *item, struct error *err);
/* All but the values of its embedding. */
enum status collection_check_search(const struct collection_spec *spec, const struct search *search,
                                    struct error *err);

/* What create checks, for what comes from a file. */
enum status collection_check_spec(const struct collection_spec *spec, struct error *err);
/* STATUS_CONFLICT, saying in what, if a collection differs from the one that is wanted. The
 * model's name may. */
enum status collection_compare(const struct collection_spec *has,
                               const struct collection_spec *wanted, struct error *err);

#endif
