/* /collections and /collections/{name}: what is kept, under which model, and its care. */
#include <stdio.h>
#include <string.h>

#include "api/body.h"
#include "api/collection_model.h"
#include "api/collection_query.h"
#include "api/metrics.h"
#include "api/response.h"

static const char *const precisions[] = {"int8", "bf16", "fp32"};
static const char *const kinds[] = {"text", "number", "bool"};

static void write_spec(struct writer *writer, const struct collection_spec *spec) {
    writer_begin_object(writer);
    writer_key(writer, "name");
    writer_text(writer, spec->name);
    writer_key(writer, "model");
    writer_text(writer, spec->model);
    writer_key(writer, "model_digest");
    writer_text(writer, spec->model_digest);
    writer_key(writer, "dim");
    writer_uint(writer, spec->dim);
    writer_key(writer, "precision");
    writer_text(writer, precisions[spec->precision]);
    writer_key(writer, "fields");
    writer_begin_array(writer);
    for (size_t i = 0; i < spec->fields_count; i++) {
        writer_begin_object(writer);
        writer_key(writer, "path");
        writer_text(writer, spec->fields[i].path);
        writer_key(writer, "kind");
        writer_text(writer, kinds[spec->fields[i].kind]);
        writer_end_object(writer);
    }
    writer_end_array(writer);
    writer_end_object(writer);
}

/* ---- GET /collections ---- */

static enum status visit_spec(void *context, const struct collection_spec *spec,
                              struct error *err) {
    struct writer *writer = context;
    write_spec(writer, spec);
    return writer_finish(writer, err);
}

enum status collections_get(struct api *api, struct http_request *request,
                            struct http_response *response, struct error *err) {
    struct collections *collections;
    struct writer writer;
    (void)request;
    enum status status = collection_model_store(&collections, api, err);
    if (status) return status;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "collections");
    writer_begin_array(&writer);
    status = collection_list(collections, visit_spec, &writer, err);
    writer_end_array(&writer);
    writer_end_object(&writer);
    return status ? status : writer_finish(&writer, err);
}

/* ---- PUT /collections/{name} ---- */

/* A model of ours, by its name. */
static enum status take_model(struct collection_spec *spec, struct api *api,
                              struct http_request *request, const char *name, struct error *err) {
    struct encode encode;
    enum status status = encode_init(&encode, api, request, name, err);
    if (status) return status;
    const struct engine_info *info = engine_info(encode.engine);
    snprintf(spec->model, sizeof(spec->model), "%s", info->name);
    snprintf(spec->model_digest, sizeof(spec->model_digest), "%s", info->sha256);
    spec->dim = info->embed_dim;
    encode_free(&encode);
    return STATUS_OK;
}

/* A model of somebody else's: its name, digest and dimensions as they are given. */
static enum status read_model(struct collection_spec *spec, struct api *api,
                              struct http_request *request, const struct json_body *json,
                              struct error *err) {
    const json_t *model = json_object_get(json->root, "model");
    const json_t *digest = json_object_get(json->root, "model_digest");
    const json_t *dim = json_object_get(json->root, "dim");
    struct bytes name = {0}, hex = {0};
    char copy[BODY_MODEL_MAX] = "";
    enum status status = STATUS_OK;
    if (model) status = json_body_string(&name, json, model, "/model", err);
    if (status) return status;
    if (model) body_copy_model(copy, name);
    if (!digest && !dim) return take_model(spec, api, request, copy, err);
    status = json_body_string(&hex, json, digest, "/model_digest", err);
    if (!status) status = json_body_uint(&spec->dim, dim, 1, "/dim", err);
    if (status) return status;
    snprintf(spec->model, sizeof(spec->model), "%s", copy);
    if (hex.size >= sizeof(spec->model_digest)) {
        return error_set_at(err, STATUS_INVALID, "/model_digest",
                            "model_digest has %zu characters, 64 are expected", hex.size);
    }
    memcpy(spec->model_digest, hex.data, hex.size);
    return STATUS_OK;
}

static enum status read_field(struct collection_field *out, const struct json_body *json,
                              const json_t *value, const char *pointer, struct error *err) {
    static const char *const names[] = {"path", "kind"};
    char where[JSON_POINTER_SIZE];
    struct bytes path;
    size_t kind = 0;
    enum status status = json_body_members(value, pointer, "a field", names, 2, err);
    if (status) return status;
    json_body_point(where, pointer, "path");
    status = json_body_string(&path, json, json_object_get(value, "path"), where, err);
    if (status) return status;
    if (path.size >= sizeof(out->path) || memchr(path.data, 0, path.size)) {
        return error_set_at(err, STATUS_INVALID, where, "a path of %zu bytes, the limit is %d",
                            path.size, FILTER_FIELD_MAX);
    }
    memcpy(out->path, path.data, path.size);
    out->path[path.size] = '\0';
    json_body_point(where, pointer, "kind");
    status = json_body_word(&kind, json, json_object_get(value, "kind"), where, kinds, 3, err);
    out->kind = (enum collection_field_kind)kind;
    return status;
}

static enum status read_fields(struct collection_spec *spec, const struct json_body *json,
                               struct error *err) {
    const json_t *fields = json_object_get(json->root, "fields");
    size_t count = json_array_size(fields); /* 0 for NULL */
    if (fields && !json_is_array(fields)) {
        return error_set_at(err, STATUS_INVALID, "/fields", "fields is %s, an array is expected",
                            json_body_kind(fields));
    }
    if (count > COLLECTION_FIELDS_MAX) {
        return error_set_at(err, STATUS_TOO_LARGE, "/fields", "%zu fields, the limit is %d", count,
                            COLLECTION_FIELDS_MAX);
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        char where[JSON_POINTER_SIZE];
        json_body_point_at(where, "/fields", i);
        status = read_field(&spec->fields[i], json, json_array_get(fields, i), where, err);
    }
    spec->fields_count = count;
    return status;
}

static enum status read_spec(struct collection_spec *spec, struct api *api,
                             struct http_request *request, const struct json_body *json,
                             struct error *err) {
    static const char *const names[] = {"model", "model_digest", "dim", "precision", "fields"};
    const json_t *precision = json_object_get(json->root, "precision");
    const char *name = request->params[0];
    size_t index = COLLECTION_INT8;
    enum status status = json_body_members(json->root, "", "a collection", names, 5, err);
    if (!status && strlen(name) > COLLECTION_NAME_MAX) {
        status = error_set(err, STATUS_INVALID,
                           "the name of a collection has %zu bytes, the limit "
                           "is %d",
                           strlen(name), COLLECTION_NAME_MAX);
    }
    if (status) return status;
    snprintf(spec->name, sizeof(spec->name), "%s", name);
    status = read_model(spec, api, request, json, err);
    if (!status && precision)
        status = json_body_word(&index, json, precision, "/precision", precisions, 3, err);
    spec->precision = (enum collection_precision)index;
    return status ? status : read_fields(spec, json, err);
}

enum status collection_put(struct api *api, struct http_request *request,
                           struct http_response *response, struct error *err) {
    struct collections *collections;
    struct collection_spec spec = {0};
    struct json_body json = {0};
    struct writer writer;
    bool created = false;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) {
        struct bytes text = request->body.size ? request->body : bytes_of("{}");
        status = json_body_parse(&json, text, 16 + 4 * COLLECTION_FIELDS_MAX, request->memory, err);
    }
    if (!status) status = read_spec(&spec, api, request, &json, err);
    if (!status) status = collection_model_take_room(api, request, spec.name, err);
    if (!status) {
        status = collection_create(collections, &spec, &created, err);
        collection_model_give_room(api);
    }
    if (!status) status = collection_describe(collections, spec.name, &spec, err);
    json_body_free(&json);
    if (status) return status;
    if (created) item_counts_set(metrics_item_counts(api->metrics), spec.name, 0);
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "created");
    writer_bool(&writer, created);
    writer_key(&writer, "collection");
    write_spec(&writer, &spec);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

/* ---- one collection ---- */

enum status collection_get(struct api *api, struct http_request *request,
                           struct http_response *response, struct error *err) {
    struct collections *collections;
    struct collection_spec spec;
    struct writer writer;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_describe(collections, request->params[0], &spec, err);
    if (status) return status;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    write_spec(&writer, &spec);
    return writer_finish(&writer, err);
}

enum status collection_delete_whole(struct api *api, struct http_request *request,
                                    struct http_response *response, struct error *err) {
    struct collections *collections;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_drop(collections, request->params[0], err);
    if (status) return status;
    item_counts_drop(metrics_item_counts(api->metrics), request->params[0]);
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"deleted\":true}");
}

static void write_number(struct writer *writer, const char *name, uint64_t number) {
    writer_key(writer, name);
    writer_uint(writer, number);
}

enum status collection_stats_get(struct api *api, struct http_request *request,
                                 struct http_response *response, struct error *err) {
    struct collections *collections;
    struct collection_stats stats;
    struct writer writer;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_stats(collections, request->params[0], &stats, err);
    if (status) return status;
    item_counts_set(metrics_item_counts(api->metrics), request->params[0], stats.items);
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    write_number(&writer, "items", stats.items);
    write_number(&writer, "bytes_stored", stats.bytes_stored);
    write_number(&writer, "bytes_in_memory", stats.bytes_in_memory);
    writer_key(&writer, "store");
    writer_text(&writer, stats.store);
    writer_key(&writer, "index");
    writer_text(&writer, stats.index);
    write_number(&writer, "indexed", stats.indexed);
    writer_key(&writer, "building");
    writer_bool(&writer, stats.building);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

enum status collection_count_get(struct api *api, struct http_request *request,
                                 struct http_response *response, struct error *err) {
    struct collections *collections;
    struct collection_query query = {.has_filter = false};
    uint64_t items = 0;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_query_read(&query, api, request, (struct item_json){0}, err);
    if (!status)
        status = collection_count(collections, request->params[0], query.filter.root, &items, err);
    collection_query_free(&query);
    if (status) return status;
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"items\":%llu}", (unsigned long long)items);
}

enum status collection_reindex_post(struct api *api, struct http_request *request,
                                    struct http_response *response, struct error *err) {
    struct collections *collections;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_reindex(collections, request->params[0], err);
    if (status) return status;
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"building\":true}");
}
