/* POST /collections/{name}/items: one JSON object with all or nothing, NDJSON in batches of
 * which a bad line fails alone, or a .npy file whose rows get numbers for ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/embedding_json.h"
#include "api/item_batch.h"
#include "api/npy_body.h"
#include "api/problem.h"
#include "api/response.h"

enum {
    LINE_BATCH = 256,   /* lines that are put in together */
    VALUES_OF_ITEM = 64 /* JSON values of one item beside its embedding */
};

/* One request's use of one collection. */
struct upsert {
    struct api *api;
    struct http_request *request;
    struct collection_spec spec;
    struct item_batch batch;
    struct json_body *lines; /* [LINE_BATCH] */
    struct writer *writer;
    size_t first_line; /* of the batch, from 1 */
    struct item_batch_result total;
    size_t failed;
};

static size_t values_max(const struct upsert *upsert, size_t items) {
    size_t values;
    return size_multiply(&values, items, upsert->spec.dim + VALUES_OF_ITEM) ? values + 16
                                                                            : SIZE_MAX;
}

static void write_count(struct writer *writer, const char *name, uint64_t count) {
    writer_key(writer, name);
    writer_uint(writer, count);
}

static void write_result(struct writer *writer, const struct item_batch_result *result) {
    write_count(writer, "inserted", result->inserted);
    write_count(writer, "updated", result->updated);
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
        json_body_parse(&json, upsert->request->body, values_max(upsert, options->items_max), err);
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
        write_result(upsert->writer, &upsert->total);
        if (partial) {
            writer_key(upsert->writer, "errors");
            problem_write_items(upsert->writer, upsert->batch.errors, count);
        }
        writer_end_object(upsert->writer);
    }
    json_body_free(&json);
    return status;
}

/* ---- NDJSON ---- */

static void write_line_error(struct writer *writer, size_t line, const struct error *error) {
    writer_begin_object(writer);
    write_count(writer, "line", line);
    write_count(writer, "status", (uint64_t)problem_status(error->status));
    writer_key(writer, "code");
    writer_text(writer, status_name(error->status));
    writer_key(writer, "detail");
    writer_text(writer, error->message);
    if (error->where[0]) {
        writer_key(writer, "pointer");
        writer_text(writer, error->where);
    }
    writer_end_object(writer);
}

static void end_line(struct writer *writer) {
    writer_end_object(writer);
    writer_line(writer);
}

/* Puts the collected lines in and writes a line about them. */
static enum status run_batch(struct upsert *upsert, struct error *err) {
    struct item_batch *batch = &upsert->batch;
    struct writer *writer = upsert->writer;
    struct item_batch_result result;
    size_t count = batch->count;
    if (!count) return STATUS_OK;
    enum status status = item_batch_prepare(batch, upsert->api, upsert->request, err);
    if (!status) status = item_batch_put(&result, batch, upsert->api, err);
    for (size_t i = 0; i < count; i++) json_body_free(&upsert->lines[i]);
    if (status) return status;
    upsert->total.inserted += result.inserted;
    upsert->total.updated += result.updated;
    writer_begin_object(writer);
    write_count(writer, "line", upsert->first_line);
    write_count(writer, "lines", count);
    write_result(writer, &result);
    writer_key(writer, "errors");
    writer_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        if (!batch->errors[i].status) continue;
        write_line_error(writer, upsert->first_line + i, &batch->errors[i]);
        upsert->failed++;
    }
    writer_end_array(writer);
    end_line(writer);
    item_batch_clear(batch);
    upsert->first_line += count;
    return writer_finish(writer, err);
}

/* A line that is no JSON is an item that is bad. */
static void add_line(struct upsert *upsert, struct bytes line) {
    struct item_batch *batch = &upsert->batch;
    struct json_body *json = &upsert->lines[batch->count];
    struct error error = ERROR_NONE;
    enum status status = json_body_parse(json, line, values_max(upsert, 1), &error);
    if (status) *json = (struct json_body){0};
    item_batch_add(batch, json, json->root, "");
    if (status) batch->errors[batch->count - 1] = error;
}

static enum status upsert_lines(struct upsert *upsert, struct error *err) {
    const struct api_options *options = &upsert->api->options;
    struct bytes rest = upsert->request->body;
    size_t images = options->images_max;
    enum status status = item_batch_init(&upsert->batch, &upsert->spec, LINE_BATCH, images, err);
    if (status) return status;
    upsert->lines = calloc(LINE_BATCH, sizeof(*upsert->lines));
    if (!upsert->lines) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    upsert->first_line = 1;
    while (rest.size && !status) {
        const uint8_t *feed = memchr(rest.data, '\n', rest.size);
        struct bytes line = {rest.data, feed ? (size_t)(feed - rest.data) : rest.size};
        size_t taken = line.size + (feed != NULL);
        add_line(upsert, line);
        rest.data += taken;
        rest.size -= taken;
        if (item_batch_is_full(&upsert->batch)) status = run_batch(upsert, err);
    }
    if (!status) status = run_batch(upsert, err);
    for (size_t i = 0; i < upsert->batch.count; i++) json_body_free(&upsert->lines[i]);
    free(upsert->lines);
    if (status) return status;
    writer_begin_object(upsert->writer);
    writer_key(upsert->writer, "total");
    writer_begin_object(upsert->writer);
    write_result(upsert->writer, &upsert->total);
    write_count(upsert->writer, "failed", upsert->failed);
    writer_end_object(upsert->writer);
    end_line(upsert->writer);
    return STATUS_OK;
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
    struct bytes data;
    size_t rows;
    enum status status = npy_body_read(&data, &rows, upsert->request->body, upsert->spec.dim, err);
    if (!status && prefix && strlen(prefix) > COLLECTION_ID_MAX) {
        status = error_set_at(err, STATUS_INVALID, "/prefix",
                              "the prefix has %zu bytes, the limit "
                              "is %d",
                              strlen(prefix), COLLECTION_ID_MAX);
    }
    for (size_t from = 0; !status && from < rows; from += LINE_BATCH) {
        size_t count = rows - from < LINE_BATCH ? rows - from : LINE_BATCH;
        status = put_rows(upsert, data, prefix ? prefix : "", from, count, err);
    }
    if (status) return status;
    writer_begin_object(upsert->writer);
    write_result(upsert->writer, &upsert->total);
    writer_end_object(upsert->writer);
    return STATUS_OK;
}

/* ---- the route ---- */

enum status items_post(struct api *api, struct http_request *request,
                       struct http_response *response, struct error *err) {
    struct collections *collections;
    struct writer writer;
    struct upsert upsert = {.api = api, .request = request, .writer = &writer};
    enum body_content content = body_content(request->header(request, "Content-Type"));
    const char *model = request->query(request, "model");
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_describe(collections, request->params[0], &upsert.spec, err);
    if (!status && model) status = collection_model_check(api, request, &upsert.spec, model, err);
    if (status) return status;
    response_init(response, 200,
                  content == BODY_NDJSON ? "application/x-ndjson" : "application/json");
    writer_init(&writer, &response->body);
    if (content == BODY_NDJSON)
        status = upsert_lines(&upsert, err);
    else if (content == BODY_NPY)
        status = upsert_npy(&upsert, err);
    else
        status = upsert_json(&upsert, err);
    item_batch_free(&upsert.batch);
    return status ? status : writer_finish(&writer, err);
}
