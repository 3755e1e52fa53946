/* schema.h - what the tables of a store are, and which collections they describe.
 *
 * "collections" and "fields" hold the descriptions; each collection has tables of its own, named
 * by its number, so that one is read, dropped and damaged apart from the others:
 *
 *   items_N       row, id, metadata, text, digest
 *   embeddings_N  row, checksum, embedding: apart, because they are read as a whole at start
 *   thumbnails_N  row, image
 *   values_N      field, kind, value -> row: the index of declared fields. Arrays have a row
 *                 per element, with whole = 0
 *   words_N       the texts, in FTS5's own index
 *
 * A number, of a collection or of a row, is never given twice. */
#ifndef CORE_INDEX_SQLITE_SCHEMA_H
#define CORE_INDEX_SQLITE_SCHEMA_H

#include "core/index/collection.h"
#include "core/index/sqlite/connection.h"

/* Makes a new file a store and brings an old one up to date. STATUS_UNPROCESSABLE for a file
 * that is damaged or no store of ours, STATUS_UNSUPPORTED for one of a later version. */
enum status sqlite_schema_open(struct sqlite_connection *writer, struct error *err);
/* The same for a file that is only read: of this version, and whole. */
enum status sqlite_schema_check(struct sqlite_connection *connection, struct error *err);

typedef enum status sqlite_schema_visit_fn(void *context, int64_t number,
                                           const struct collection_spec *spec, struct error *err);
/* Those of the collections named `name`, or all for NULL. */
enum status sqlite_schema_list(struct sqlite_connection *connection, const char *name,
                               sqlite_schema_visit_fn *visit, void *context, struct error *err);
/* Both within the caller's transaction. */
enum status sqlite_schema_add(int64_t *number, struct sqlite_connection *writer,
                              const struct collection_spec *spec, struct error *err);
enum status sqlite_schema_remove(struct sqlite_connection *writer, int64_t number,
                                 struct error *err);

#endif
