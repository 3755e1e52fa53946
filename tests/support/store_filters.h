/* store_filters.h - a table: which filter fits which metadata. For every store, and with and
 * without an index of the fields "n" and "n.m". */
#ifndef TESTS_SUPPORT_STORE_FILTERS_H
#define TESTS_SUPPORT_STORE_FILTERS_H

#include "core/index/filter.h"

struct store_filter_item {
    const char *id, *metadata;
};
extern const struct store_filter_item store_filters_items[];
extern const size_t store_filters_items_count;

struct store_filter {
    const char *name;
    struct filter filter;
    const char *fits; /* the ids, in order, each with a space before it */
};
extern const struct store_filter store_filters[];
extern const size_t store_filters_count;

#endif
