/* filter.h - filters (core/index/filter.h) as conditions over the column "metadata".
 *
 * Values are parameters. Paths are quoted constants, because an index of a field helps only
 * where the statement has the very expression that it was made of. SQL's third truth value
 * stands for "does not fit"; NOT makes it true. */
#ifndef CORE_INDEX_POSTGRES_FILTER_H
#define CORE_INDEX_POSTGRES_FILTER_H

#include "core/index/postgres/store.h"

/* Adds the condition; "TRUE" for NULL. */
void postgres_filter_add(struct postgres_query *query, const struct collection_spec *spec,
                         const struct filter *filter);

/* The expressions that indexes are made of: the field as JSON; its number, or NULL; the first
 * characters of its text, or NULL; whether it is an array. */
void postgres_filter_add_field(struct postgres_query *query, const char *path);
void postgres_filter_add_number(struct postgres_query *query, const char *path);
void postgres_filter_add_prefix(struct postgres_query *query, const char *path);
void postgres_filter_add_is_array(struct postgres_query *query, const char *path);

/* A condition over "metadata": a number in it is beyond what a double can hold. */
extern const char postgres_filter_bad_numbers[];

#endif
