/* item_batch.h - items on their way into a collection: read, embedded, checked, put in.
 *
 * Items come as JSON objects:
 *
 *   {"id": "a/1.jpg", "image" | "embedding": ..., "text": "...", "metadata": {...},
 *    "thumbnail": base64, "digest": hex}
 *
 * An image is embedded, and its digest kept; a text is what searches by words look at, and
 * is embedded when there is nothing else. */
#ifndef API_ITEM_BATCH_H
#define API_ITEM_BATCH_H

#include "api/collection_model.h"
#include "api/json_body.h"

struct item_batch {
    struct item *items;   /* [count] */
    struct error *errors; /* [count]: of those that are bad */
    bool *truncated;      /* [count]: the text that stands for it was cut */
    float *embeddings;    /* [limit, dim] */
    size_t count, limit;
    const struct collection_spec *spec; /* borrowed */

    struct inputs images, texts; /* to be embedded */
    size_t *image_of, *text_of;  /* [limit]: the items that they are of */
    struct buffer metadata;      /* of all items, one behind the other */
    size_t *metadata_end;        /* [limit] */
    uint8_t **thumbnails;        /* [limit], owned */
};

struct item_batch_result {
    uint64_t inserted, updated;
};

/* Room for `limit` items, of them `images_max` with images. Release it with
 * item_batch_free(), on failure as well. */
enum status item_batch_init(struct item_batch *out, const struct collection_spec *spec,
                            size_t limit, size_t images_max, struct error *err);
void item_batch_free(struct item_batch *batch);
/* Takes everything out again. */
void item_batch_clear(struct item_batch *batch);

/* Adds an item, which borrows from the JSON. A bad one is added as well: its report is in
 * `errors`. The batch must not be full. */
void item_batch_add(struct item_batch *batch, const struct json_body *json, const json_t *value,
                    const char *pointer);
bool item_batch_is_full(const struct item_batch *batch);
/* Whether the collection's model is needed. */
bool item_batch_has_inputs(const struct item_batch *batch);

/* Embeds what is to be embedded, and checks all. Bad items end up in `errors`; anything else
 * fails. */
enum status item_batch_prepare(struct item_batch *batch, struct api *api,
                               struct http_request *request, struct error *err);
/* Puts the good items of a prepared batch in, all or none. */
enum status item_batch_put(struct item_batch_result *out, struct item_batch *batch, struct api *api,
                           struct error *err);

/* The first report on a bad item, or NULL. */
const struct error *item_batch_first_error(const struct item_batch *batch);

#endif
