/* filter.h - a filter as a condition of SQL.
 *
 * The text has parameters for everything that comes from the filter, paths too. Conditions on
 * declared fields use the index values_N, the others read each item's JSON. No condition is
 * ever NULL, so that "not" means what it says. */
#ifndef CORE_INDEX_SQLITE_FILTER_H
#define CORE_INDEX_SQLITE_FILTER_H

#include "core/index/collection.h"
#include "core/index/sqlite/connection.h"

struct sqlite_filter {
    struct buffer sql;   /* the condition, with a NUL */
    struct buffer bound; /* struct sqlite_bound[], in the order of the parameters */
    struct buffer paths; /* JSON paths one after the other, as texts */
    int first;           /* number of the first parameter */
};

/* The condition for rows of `items_N i`, its parameters numbered from `first` on; a NULL
 * filter gives "1". sqlite_filter_free() in any case. What the filter holds is borrowed. */
enum status sqlite_filter_init(struct sqlite_filter *out, const struct collection_spec *spec,
                               const struct filter *filter, int first, struct error *err);
void sqlite_filter_free(struct sqlite_filter *filter);

const char *sqlite_filter_text(const struct sqlite_filter *filter);
void sqlite_filter_bind(const struct sqlite_filter *filter, sqlite3_stmt *statement);

/* Writes the path a.b as $."a"."b", which is how SQLite's JSON functions name it. */
enum { SQLITE_PATH_SIZE = 3 * FILTER_FIELD_MAX + 5 };
void sqlite_filter_path(char out[SQLITE_PATH_SIZE], const char *field);

/* The rows that fit, ascending; the caller frees them. */
enum status sqlite_filter_rows(uint64_t **rows, size_t *count, struct sqlite_connection *connection,
                               int64_t number, const struct collection_spec *spec,
                               const struct filter *filter, struct error *err);

#endif
