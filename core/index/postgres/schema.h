/* schema.h - the tables, and how they came to be.
 *
 * Any number of replicas may start together: an advisory lock lets one of them bring the
 * schema up to date while the others wait. A schema of a newer version is refused. */
#ifndef CORE_INDEX_POSTGRES_SCHEMA_H
#define CORE_INDEX_POSTGRES_SCHEMA_H

#include "core/index/postgres/store.h"

enum { POSTGRES_SCHEMA_VERSION = 1 };

/* pgvector can index no more dimensions than these as halfvec. */
enum { POSTGRES_INDEXED_DIM_MAX = 4000 };

/* Taken in a transaction by who changes tables. */
extern const char postgres_schema_lock[];

/* Checks the server, makes the extension and the schema if they are missing. */
enum status postgres_schema_migrate(struct postgres_pool *pool, struct error *err);

/* Writes the statements that make a collection's table and indexes of it; one query each,
 * initialised here. Returns how many: at most POSTGRES_SCHEMA_STATEMENTS_MAX. */
enum { POSTGRES_SCHEMA_STATEMENTS_MAX = 3 + 2 * COLLECTION_FIELDS_MAX };
size_t postgres_schema_make_table(struct postgres_query *queries, uint64_t number,
                                  const struct collection_spec *spec);

/* The approximate index, "CREATE INDEX CONCURRENTLY ...". */
void postgres_schema_add_index(struct postgres_query *query, uint64_t number, uint32_t dim);

#endif
