/* item_json.h - items as answers have them, and which of their parts a client wants. */
#ifndef API_ITEM_JSON_H
#define API_ITEM_JSON_H

#include "api/json_body.h"
#include "api/writer.h"
#include "core/index/collection.h"

/* What is given when nothing is said. */
enum { ITEM_JSON_DEFAULT = ITEM_METADATA };
enum { ITEM_JSON_ALL = ITEM_METADATA | ITEM_TEXT | ITEM_THUMBNAIL | ITEM_DIGEST | ITEM_EMBEDDING };

enum { ITEM_JSON_FIELDS_MAX = 32 };

struct item_json {
    unsigned parts; /* enum item_part */
    bool base64;    /* of embeddings; else numbers */
    /* Of the metadata only these, as paths of filters have them; none: all of it. */
    struct bytes fields[ITEM_JSON_FIELDS_MAX]; /* borrowed from where they were read */
    size_t fields_count;
};

/* "include": an array of "metadata", or single fields of it such as "metadata.camera.model",
 * "text", "thumbnail", "digest", "embedding"; NULL leaves the default. */
enum status item_json_read_parts(struct item_json *out, const struct json_body *json,
                                 const json_t *value, const char *pointer, struct error *err);
/* The same from a query: names with commas. */
enum status item_json_parse_parts(struct item_json *out, const char *text, struct error *err);

/* The members of the item, without the braces, as item_batch.h reads them. A text,
 * thumbnail or digest that it lacks is left out. */
void item_json_write(struct writer *writer, const struct item *item, const struct item_json *how);

#endif
