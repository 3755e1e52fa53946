/* POST /collections/{name}/items: one JSON object with all or nothing, NDJSON line by line
 * (upsert_lines.c), or a .npy file whose rows get numbers for ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/embedding_json.h"
#include "api/npy_body.h"
#include "api/problem.h"
#include "api/response.h"
#include "api/upsert.h"

enum { VALUES_OF_ITEM = 64 /* JSON values of one item beside its embedding */ };

/* One of them may have all the values that metadata can hold, each of a byte at least: what an
 * export says of an item must be taken back. */
size_t upsert_values_max(const struct upsert *upsert, size_t items) {
    size_t values;
    bool fits = size_multiply(&values, items, upsert->spec.dim + VALUES_OF_ITEM);
    return fits ? values + COLLECTION_METADATA_MAX : SIZE_MAX;
}

void upsert_write_count(struct writer *writer, const char *name, uint64_t count) {
    writer_key(writer, name);
    writer_uint(writer, count);
}

void upsert_write_result(struct writer *writer, const struct item_batch_result *result) {
    upsert_write_count(writer, "inserted", result->inserted);
    upsert_write_count(writer, "updated", result->updated);
}

/* ---- JSON ---- */

static enum status check_members(const struct upsert *upsert, const struct json_body *json,
                                 bool *partial, struct error *err) {
    static const char *const names[] = {"items", "model", "partial"};
    const json_t *items = json_object_get(json->root, "items");
    const json_t *model = json_object_get(json->root, "model");
    const json_t *flag = json_object_get(json->root, "partial");
    struct bytes name;
    enum status status = json_body_members(json->root, "", "this request", names, 3, err);
    if (!status && flag) status = json_body_bool(partial, flag, "/partial", err);
    if (!status && model) status = json_body_string(&name, json, model, "/model", err);
    if (!status && model) {
        char copy[BODY_MODEL_MAX];
        body_copy_model(copy, name);
        status = collection_model_check(upsert->api, upsert->request, &upsert->spec, copy, err);
    }
    if (status) return status;
    if (!json_is_array(items) || !json_array_size(items)) {
        return error_set_at(err, STATUS_INVALID, "/items",
                            "items is %s, an array of at least one item is expected",
                            json_is_array(items) ? "empty" : json_body_kind(items));
    }
    if (json_array_size(items) > upsert->api->options.items_max) {
        return error_set_at(err, STATUS_TOO_LARGE, "/items", "%zu items, the limit is %u",
                            json_array_size(items), upsert->api->options.items_max);
    }
    return STATUS_OK;
}

/* The first bad item as the failure of all. */
static enum status refuse_first(const struct item_batch *batch, struct error *err) {
    const struct error *first = item_batch_first_error(batch);
    struct error error;
    if (!first) return STATUS_OK;
    error = *first;
    error.input = (int)(first - batch->errors);
    if (!error.where[0]) snprintf(error.where, sizeof(error.where), "/items/%d", error.input);
    return error_pass(err, &error);
}

static enum status upsert_json(struct upsert *upsert, struct error *err) {
    const struct api_options *options = &upsert->api->options;
    struct json_body json = {0};
    bool partial = false;
    enum status status =
        json_body_parse(&json, upsert->request->body, upsert_values_max(upsert, options->items_max),
                        upsert->request->memory, err);
    if (!status) status = check_members(upsert, &json, &partial, err);
    const json_t *items = json_object_get(json.root, "items");
    size_t count = json_array_size(items);
    if (!status)
        status = item_batch_init(&upsert->batch, &upsert->spec, count, options->images_max, err);
    for (size_t i = 0; i < count && !status; i++) {
        char pointer[JSON_POINTER_SIZE];
        json_body_point_at(pointer, "/items", i);
        item_batch_add(&upsert->batch, &json, json_array_get(items, i), pointer);
    }
    if (!status && !partial) status = refuse_first(&upsert->batch, err);
    if (!status) status = item_batch_prepare(&upsert->batch, upsert->api, upsert->request, err);
    if (!status && !partial) status = refuse_first(&upsert->batch, err);
    if (!status) status = item_batch_put(&upsert->total, &upsert->batch, upsert->api, err);
    if (!status) {
        writer_begin_object(upsert->writer);
        upsert_write_result(upsert->writer, &upsert->total);
        encode_write_truncated(upsert->writer, upsert->batch.truncated, count);
        if (partial) {
            writer_key(upsert->writer, "errors");
            problem_write_items(upsert->writer, upsert->batch.errors, count);
        }
        writer_end_object(upsert->writer);
    }
    json_body_free(&json);
    return status;
}

/* ---- .npy ---- */

enum { ROW_ID_SIZE = 24 };

/* Rows `from` to `from + count` as items; `ids` has room for their ids. */
static enum status put_rows(struct upsert *upsert, struct bytes data, const char *prefix,
                            size_t from, size_t count, struct error *err) {
    size_t dim = upsert->spec.dim, id_size = strlen(prefix) + ROW_ID_SIZE;
    char *ids = calloc(count, id_size);
    enum status status = item_batch_init(&upsert->batch, &upsert->spec, count, 1, err);
    if (!status && !ids) status = error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count && !status; i++) {
        float *embedding = upsert->batch.embeddings + i * dim;
        int size = snprintf(ids + i * id_size, id_size, "%s%zu", prefix, from + i);
        embedding_json_unpack(embedding, data.data + (from + i) * dim * sizeof(float), dim);
        upsert->batch.items[i] = (struct item){
            .id = {(const uint8_t *)ids + i * id_size, (size_t)size},
            .embedding = embedding,
            .dim = (uint32_t)dim,
        };
        upsert->batch.errors[i] = ERROR_NONE;
        upsert->batch.count++;
    }
    if (!status) status = item_batch_prepare(&upsert->batch, upsert->api, upsert->request, err);
    const struct error *first = status ? NULL : item_batch_first_error(&upsert->batch);
    if (first) {
        status = error_set(err, first->status, "row %zu: %s",
                           from + (size_t)(first - upsert->batch.errors), first->message);
    }
    struct item_batch_result result;
    if (!status) status = item_batch_put(&result, &upsert->batch, upsert->api, err);
    if (!status) {
        upsert->total.inserted += result.inserted;
        upsert->total.updated += result.updated;
    }
    item_batch_free(&upsert->batch);
    free(ids);
    return status;
}

static enum status upsert_npy(struct upsert *upsert, struct error *err) {
    const char *prefix = upsert->request->query(upsert->request, "prefix");
    struct error error = ERROR_NONE;
    struct bytes data;
    size_t rows, put = 0;
    enum status status = npy_body_read(&data, &rows, upsert->request->body, upsert->spec.dim, err);
    if (!status && prefix && strlen(prefix) > COLLECTION_ID_MAX) {
        status = error_set_at(err, STATUS_INVALID, "/prefix",
                              "the prefix has %zu bytes, the limit "
                              "is %d",
                              strlen(prefix), COLLECTION_ID_MAX);
    }
    if (status) return status;
    while (!status && put < rows) {
        size_t count = rows - put < UPSERT_BATCH ? rows - put : UPSERT_BATCH;
        status = put_rows(upsert, data, prefix ? prefix : "", put, count, &error);
        if (!status) put += count;
    }
    if (status && put) {
        return error_set(err, status, "rows 0 to %zu are in, the others are not: %s", put - 1,
                         error.message);
    }
    if (status) return error_pass(err, &error);
    writer_begin_object(upsert->writer);
    upsert_write_result(upsert->writer, &upsert->total);
    writer_end_object(upsert->writer);
    return STATUS_OK;
}

/* ---- the route ---- */

enum status items_post(struct api *api, struct http_request *request,
                       struct http_response *response, struct error *err) {
    struct collections *collections;
    struct writer writer;
    struct upsert upsert = {
        .api = api, .request = request, .response = response, .writer = &writer};
    enum body_content content = body_content(request->header(request, "Content-Type"));
    const char *model = request->query(request, "model");
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_describe(collections, request->params[0], &upsert.spec, err);
    if (!status && model) status = collection_model_check(api, request, &upsert.spec, model, err);
    if (status) return status;
    response_init(response, 200,
                  content == BODY_NDJSON ? "application/x-ndjson" : "application/json");
    writer_init(&writer, &response->body);
    if (request->more)
        status = upsert_lines(&upsert, err);
    else if (content == BODY_NPY)
        status = upsert_npy(&upsert, err);
    else
        status = upsert_json(&upsert, err);
    item_batch_free(&upsert.batch);
    return status ? status : writer_finish(&writer, err);
}
