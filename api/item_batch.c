#include "api/item_batch.h"

#include <stdlib.h>
#include <string.h>

#include "api/embedding_json.h"
#include "api/json_text.h"
#include "api/metrics.h"
#include "core/base/base64.h"
#include "core/base/clock.h"

enum { MEMBERS_COUNT = 7 };
static const char *const members[MEMBERS_COUNT] = {"id",       "image",     "embedding", "text",
                                                   "metadata", "thumbnail", "digest"};

enum status item_batch_init(struct item_batch *out, const struct collection_spec *spec,
                            size_t limit, size_t images_max, struct error *err) {
    size_t floats;
    *out = (struct item_batch){.spec = spec, .limit = limit};
    inputs_init(&out->images, "images", images_max);
    inputs_init(&out->texts, "texts", limit);
    buffer_init(&out->metadata, SIZE_MAX);
    if (!size_multiply(&floats, limit, spec->dim)) {
        return error_set(err, STATUS_TOO_LARGE, "%zu items in one batch", limit);
    }
    out->items = calloc(limit, sizeof(*out->items));
    out->errors = calloc(limit, sizeof(*out->errors));
    out->truncated = calloc(limit, sizeof(*out->truncated));
    out->embeddings = calloc(floats, sizeof(*out->embeddings));
    out->image_of = calloc(limit, sizeof(*out->image_of));
    out->text_of = calloc(limit, sizeof(*out->text_of));
    out->metadata_end = calloc(limit, sizeof(*out->metadata_end));
    out->thumbnails = calloc(limit, sizeof(*out->thumbnails));
    bool complete = out->items && out->errors && out->truncated && out->embeddings &&
                    out->image_of && out->text_of && out->metadata_end && out->thumbnails;
    return complete ? STATUS_OK
                    : error_set(err, STATUS_NO_MEMORY, "out of memory for %zu items", limit);
}

void item_batch_clear(struct item_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) free(batch->thumbnails[i]);
    inputs_free(&batch->images);
    inputs_free(&batch->texts);
    batch->metadata.size = 0;
    batch->count = 0;
}

void item_batch_free(struct item_batch *batch) {
    item_batch_clear(batch);
    buffer_free(&batch->metadata);
    free(batch->items);
    free(batch->errors);
    free(batch->truncated);
    free(batch->embeddings);
    free(batch->image_of);
    free(batch->text_of);
    free(batch->metadata_end);
    free(batch->thumbnails);
    *batch = (struct item_batch){0};
}

bool item_batch_is_full(const struct item_batch *batch) {
    return batch->count == batch->limit || batch->images.count == batch->images.limit;
}

bool item_batch_has_inputs(const struct item_batch *batch) {
    return batch->images.count || batch->texts.count;
}

/* ---- reading ---- */

static enum status read_text(struct bytes *out, const struct json_body *json, const json_t *value,
                             const char *pointer, const char *name, struct error *err) {
    char where[JSON_POINTER_SIZE];
    json_body_point(where, pointer, name);
    return json_body_string(out, json, value, where, err);
}

/* What the item is found by. */
static enum status read_source(struct item_batch *batch, const struct json_body *json,
                               const json_t *value, const char *pointer, struct error *err) {
    size_t index = batch->count;
    struct item *item = &batch->items[index];
    const json_t *image = json_object_get(value, "image");
    const json_t *embedding = json_object_get(value, "embedding");
    char where[JSON_POINTER_SIZE];
    struct bytes text;
    item->embedding = batch->embeddings + index * batch->spec->dim;
    item->dim = batch->spec->dim;
    if (image && embedding) {
        return error_set_at(err, STATUS_INVALID, pointer, "give either image or embedding");
    }
    if (embedding) {
        json_body_point(where, pointer, "embedding");
        return embedding_json_read(batch->embeddings + index * batch->spec->dim, batch->spec->dim,
                                   json, embedding, where, err);
    }
    if (image) {
        json_body_point(where, pointer, "image");
        enum status status = json_body_string(&text, json, image, where, err);
        if (!status) status = inputs_add_image_text(&batch->images, text, where, err);
        if (status) return status;
        size_t at = batch->images.count - 1;
        batch->image_of[at] = index;
        sha256(item->digest, batch->images.items[at]);
        item->has_digest = true;
        return STATUS_OK;
    }
    if (!item->text.size) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "an item needs an image, an embedding or a text");
    }
    enum status status = inputs_add(&batch->texts, item->text, err);
    if (!status) batch->text_of[batch->texts.count - 1] = index;
    return status;
}

static enum status read_metadata(struct item_batch *batch, const struct json_body *json,
                                 const json_t *value, const char *pointer, struct error *err) {
    struct writer writer;
    struct error error = ERROR_NONE;
    char where[JSON_POINTER_SIZE];
    if (!value || json_is_null(value)) return STATUS_OK;
    json_body_point(where, pointer, "metadata");
    if (!json_is_object(value)) {
        return error_set_at(err, STATUS_INVALID, where, "metadata is %s, an object is expected",
                            json_body_kind(value));
    }
    writer_init(&writer, &batch->metadata);
    json_text_write(&writer, json, value);
    enum status status = writer_finish(&writer, &error);
    return status ? error_set_at(err, status, where, "%s", error.message) : STATUS_OK;
}

static enum status read_thumbnail(struct item_batch *batch, const struct json_body *json,
                                  const json_t *value, const char *pointer, struct error *err) {
    struct bytes text;
    struct buffer data;
    char where[JSON_POINTER_SIZE];
    struct error error = ERROR_NONE;
    if (!value || json_is_null(value)) return STATUS_OK;
    json_body_point(where, pointer, "thumbnail");
    enum status status = json_body_string(&text, json, value, where, err);
    if (status) return status;
    buffer_init(&data, COLLECTION_THUMBNAIL_MAX + 4);
    status = base64_decode(&data, text, &error);
    if (status) {
        buffer_free(&data);
        return error_set_at(err, status, where, "a thumbnail: %s", error.message);
    }
    batch->thumbnails[batch->count] = data.data;
    batch->items[batch->count].thumbnail = buffer_view(&data);
    return STATUS_OK;
}

static int hex_digit(uint8_t character) {
    if (character >= '0' && character <= '9') return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static enum status read_digest(struct item *item, const struct json_body *json, const json_t *value,
                               const char *pointer, struct error *err) {
    struct bytes text;
    if (!value || json_is_null(value)) return STATUS_OK;
    enum status status = read_text(&text, json, value, pointer, "digest", err);
    bool good = !status && text.size == SHA256_HEX_SIZE - 1;
    for (size_t i = 0; i < SHA256_SIZE && good; i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
        good = high >= 0 && low >= 0;
        item->digest[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    item->has_digest = good;
    if (status || good) return status;
    return error_set_at(err, STATUS_INVALID, pointer, "a digest is 64 digits of 0-9a-f");
}

static enum status read_item(struct item_batch *batch, const struct json_body *json,
                             const json_t *value, const char *pointer, struct error *err) {
    struct item *item = &batch->items[batch->count];
    enum status status = json_body_members(value, pointer, "an item", members, MEMBERS_COUNT, err);
    if (!status)
        status = read_text(&item->id, json, json_object_get(value, "id"), pointer, "id", err);
    const json_t *text = json_object_get(value, "text");
    if (!status && text && !json_is_null(text))
        status = read_text(&item->text, json, text, pointer, "text", err);
    if (!status)
        status = read_metadata(batch, json, json_object_get(value, "metadata"), pointer, err);
    if (!status)
        status = read_thumbnail(batch, json, json_object_get(value, "thumbnail"), pointer, err);
    if (!status) status = read_digest(item, json, json_object_get(value, "digest"), pointer, err);
    return status ? status : read_source(batch, json, value, pointer, err);
}

void item_batch_add(struct item_batch *batch, const struct json_body *json, const json_t *value,
                    const char *pointer) {
    size_t index = batch->count, before = batch->metadata.size;
    batch->items[index] = (struct item){0};
    batch->errors[index] = ERROR_NONE;
    batch->truncated[index] = false;
    batch->thumbnails[index] = NULL;
    if (read_item(batch, json, value, pointer, &batch->errors[index]))
        batch->metadata.size = before;
    batch->metadata_end[index] = batch->metadata.size;
    batch->count++;
}

/* ---- embedding ---- */

typedef enum status tower_fn(struct encoded *out, struct encode *encode,
                             const struct inputs *inputs, struct error *err);

static enum status embed(struct item_batch *batch, struct encode *encode,
                         const struct inputs *inputs, const size_t *item_of, tower_fn *tower,
                         struct error *err) {
    struct encoded encoded = {0};
    size_t dim = batch->spec->dim;
    if (!inputs->count) return STATUS_OK;
    enum status status = tower(&encoded, encode, inputs, err);
    for (size_t i = 0; i < inputs->count && !status; i++) {
        size_t index = item_of[i];
        if (encoded.errors[i].status) {
            batch->errors[index] = encoded.errors[i];
            continue;
        }
        batch->truncated[index] = encoded.infos && encoded.infos[i].truncated;
        memcpy(batch->embeddings + index * dim, encoded.embeddings + i * dim,
               dim * sizeof(*batch->embeddings));
    }
    encoded_free(&encoded);
    return status;
}

static enum status embed_all(struct item_batch *batch, struct api *api,
                             struct http_request *request, struct error *err) {
    struct encode encode;
    if (!item_batch_has_inputs(batch)) return STATUS_OK;
    enum status status = collection_model_acquire(&encode, api, request, batch->spec, err);
    if (status) return status;
    encode.partial = true;
    status = embed(batch, &encode, &batch->images, batch->image_of, encode_images, err);
    if (!status) status = embed(batch, &encode, &batch->texts, batch->text_of, encode_texts, err);
    encode_free(&encode);
    return status;
}

/* Completes the items, whose metadata may have moved while it was collected. */
static void check_all(struct item_batch *batch) {
    size_t start = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct item *item = &batch->items[i];
        size_t end = batch->metadata_end[i];
        if (end > start) item->metadata = (struct bytes){batch->metadata.data + start, end - start};
        start = end;
        if (!batch->errors[i].status) collection_check_item(batch->spec, item, &batch->errors[i]);
    }
}

enum status item_batch_prepare(struct item_batch *batch, struct api *api,
                               struct http_request *request, struct error *err) {
    enum status status = embed_all(batch, api, request, err);
    if (!status) check_all(batch);
    return status;
}

/* ---- putting in ---- */

const struct error *item_batch_first_error(const struct item_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->errors[i].status) return &batch->errors[i];
    }
    return NULL;
}

enum status item_batch_put(struct item_batch_result *out, struct item_batch *batch, struct api *api,
                           struct error *err) {
    struct collection_upserted upserted = {0};
    *out = (struct item_batch_result){0};
    struct item *good = calloc(batch->count ? batch->count : 1, sizeof(*good));
    if (!good) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu items", batch->count);
    uint64_t started_ns = clock_now_ns();
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->errors[i].status) good[count++] = batch->items[i];
    }
    enum status status = collection_upsert(api->collections, batch->spec->name,
                                           batch->spec->model_digest, good, count, &upserted, err);
    metrics_observe_store(api->metrics, METRICS_UPSERT, clock_now_ns() - started_ns);
    if (!status) {
        *out = (struct item_batch_result){upserted.inserted, upserted.updated};
        item_counts_add(metrics_item_counts(api->metrics), batch->spec->name,
                        (int64_t)upserted.inserted);
    }
    free(good);
    return status;
}
