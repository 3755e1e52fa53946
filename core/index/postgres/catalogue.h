/* catalogue.h - which collections there are, and the numbers of their tables.
 *
 * The truth is the table clipd_collections. What this process has read of it is remembered
 * for the calls that follow: a number stands for one collection for ever, so that what is
 * remembered can be out of date, but never wrong. */
#ifndef CORE_INDEX_POSTGRES_CATALOGUE_H
#define CORE_INDEX_POSTGRES_CATALOGUE_H

#include "core/index/postgres/store.h"

enum status postgres_catalogue_open(struct postgres_catalogue **out, struct error *err);
/* NULL is allowed. */
void postgres_catalogue_close(struct postgres_catalogue *catalogue);

/* The functions of struct store (core/index/store.h); `self` is a struct postgres_store. */
enum status postgres_catalogue_create(void *self, const struct collection_spec *spec, bool *created,
                                      struct error *err);
enum status postgres_catalogue_describe(void *self, const char *name, struct collection_spec *out,
                                        struct error *err);
enum status postgres_catalogue_drop(void *self, const char *name, struct error *err);
enum status postgres_catalogue_list(void *self, collection_visit_fn *visit, void *context,
                                    struct error *err);

/* Whether the collection has an approximate index, as of a second ago at most. */
enum status postgres_catalogue_is_indexed(struct postgres_store *store,
                                          const struct collection_spec *spec, uint64_t number,
                                          bool *out, struct error *err);
/* Counts items put in since the index was last thought of; true when it is time again. */
bool postgres_catalogue_note_upsert(struct postgres_store *store,
                                    const struct collection_spec *spec, uint64_t inserted);

#endif
