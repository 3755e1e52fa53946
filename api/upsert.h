/* upsert.h - one request that puts items into a collection, as its forms share it. */
#ifndef API_UPSERT_H
#define API_UPSERT_H

#include "api/item_batch.h"

enum { UPSERT_BATCH = 256 }; /* lines or rows that are put in together */

struct upsert {
    struct api *api;
    struct http_request *request;
    struct http_response *response;
    struct collection_spec spec;
    struct item_batch batch;
    struct writer *writer; /* of the response's body */
    struct item_batch_result total;
};

/* How many JSON values that many items may have. */
size_t upsert_values_max(const struct upsert *upsert, size_t items);

/* Members of an object. */
void upsert_write_count(struct writer *writer, const char *name, uint64_t count);
void upsert_write_result(struct writer *writer, const struct item_batch_result *result);

/* NDJSON of any length, put in by the batch while it comes; a bad line fails alone. Writes
 * a line for each batch, as far as there is memory to keep these until the end, and one
 * for all. A failure leaves in what was put in before. */
enum status upsert_lines(struct upsert *upsert, struct error *err);

#endif
