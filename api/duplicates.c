/* POST /collections/{name}/duplicates: a line for each cluster, as soon as it is known, and
 * a last one with the totals. The search goes on while the client listens. */
#include <stdlib.h>
#include <string.h>

#include "api/collection_model.h"
#include "api/filter_json.h"
#include "api/response.h"
#include "core/index/duplicates.h"

enum { VALUES_MAX = 16 + FILTER_NODES_MAX + FILTER_VALUES_MAX, LINE_MAX_SIZE = 1 << 30 };

/* All that the search needs after the request is gone. */
struct finding {
    struct collections *collections;
    char name[COLLECTION_NAME_MAX + 1];
    struct duplicates_options options;
    struct buffer text; /* of the body: what the filter points into */
    struct json_body json;
    struct filter_json filter;
    struct http_sink *sink;
    struct buffer line;
    uint64_t clusters;
};

static enum status send_line(struct finding *finding, struct error *err) {
    enum status status = finding->sink->write(finding->sink, buffer_view(&finding->line), err);
    finding->line.size = 0;
    return status;
}

static enum status visit(void *context, enum duplicates_tier tier, const struct duplicate *items,
                         size_t count, struct error *err) {
    struct finding *finding = context;
    struct writer writer;
    writer_init(&writer, &finding->line);
    writer_begin_object(&writer);
    writer_key(&writer, "tier");
    writer_text(&writer, tier == DUPLICATES_FILES ? "file" : "embedding");
    writer_key(&writer, "items");
    writer_begin_array(&writer);
    for (size_t i = 0; i < count; i++) {
        writer_begin_object(&writer);
        writer_key(&writer, "id");
        writer_string(&writer, items[i].id);
        writer_key(&writer, "score");
        writer_float(&writer, items[i].score);
        writer_end_object(&writer);
    }
    writer_end_array(&writer);
    writer_end_object(&writer);
    writer_line(&writer);
    finding->clusters++;
    enum status status = writer_finish(&writer, err);
    return status ? status : send_line(finding, err);
}

static enum status ask_whether_wanted(void *context, struct error *err) {
    struct finding *finding = context;
    return finding->sink->write(finding->sink, (struct bytes){0}, err);
}

static enum status produce(void *context, struct http_sink *sink, struct error *err) {
    struct finding *finding = context;
    struct duplicates_visitor visitor = {visit, ask_whether_wanted, finding};
    struct writer writer;
    uint64_t items = 0;
    finding->sink = sink;
    buffer_init(&finding->line, LINE_MAX_SIZE);
    enum status status = duplicates_find(finding->collections, finding->name, &finding->options,
                                         &visitor, &items, err);
    if (status) return status;
    writer_init(&writer, &finding->line);
    writer_begin_object(&writer);
    writer_key(&writer, "total");
    writer_begin_object(&writer);
    writer_key(&writer, "items");
    writer_uint(&writer, items);
    writer_key(&writer, "clusters");
    writer_uint(&writer, finding->clusters);
    writer_end_object(&writer);
    writer_end_object(&writer);
    writer_line(&writer);
    status = writer_finish(&writer, err);
    return status ? status : send_line(finding, err);
}

static void release(void *context) {
    struct finding *finding = context;
    filter_json_free(&finding->filter);
    json_body_free(&finding->json);
    buffer_free(&finding->text);
    buffer_free(&finding->line);
    free(finding);
}

static enum status read_tiers(struct finding *finding, struct error *err) {
    static const char *const words[] = {"file", "embedding"};
    const json_t *tiers = json_object_get(finding->json.root, "tiers");
    enum status status = STATUS_OK;
    finding->options.files = finding->options.embeddings = !tiers;
    if (tiers && (!json_is_array(tiers) || !json_array_size(tiers))) {
        return error_set_at(err, STATUS_INVALID, "/tiers",
                            "tiers is %s, an array of file, embedding or both is expected",
                            json_is_array(tiers) ? "empty" : json_body_kind(tiers));
    }
    for (size_t i = 0; i < json_array_size(tiers) && !status; i++) {
        char where[JSON_POINTER_SIZE];
        size_t word = 0;
        json_body_point_at(where, "/tiers", i);
        status =
            json_body_word(&word, &finding->json, json_array_get(tiers, i), where, words, 2, err);
        if (word == 0)
            finding->options.files = true;
        else
            finding->options.embeddings = true;
    }
    return status;
}

static enum status read_body(struct finding *finding, struct bytes body, struct error *err) {
    static const char *const names[] = {"threshold", "filter", "tiers"};
    double threshold = 0.95;
    buffer_init(&finding->text, body.size);
    enum status status = buffer_append(&finding->text, body.data, body.size, err);
    if (!status)
        status =
            json_body_parse(&finding->json, buffer_view(&finding->text), VALUES_MAX, NULL, err);
    const json_t *root = finding->json.root;
    if (!status) status = json_body_members(root, "", "this request", names, 3, err);
    const json_t *given = json_object_get(root, "threshold");
    if (!status && given) status = json_body_double(&threshold, given, "/threshold", err);
    if (!status && !(threshold > 0 && threshold <= 1)) {
        status = error_set_at(err, STATUS_INVALID, "/threshold",
                              "threshold is %g, expected above 0 and at most 1", threshold);
    }
    finding->options.threshold = (float)threshold;
    if (!status) status = read_tiers(finding, err);
    if (!status) {
        status = filter_json_read(&finding->filter, &finding->json, json_object_get(root, "filter"),
                                  "/filter", err);
    }
    finding->options.filter = finding->filter.root;
    return status;
}

enum status collection_duplicates_post(struct api *api, struct http_request *request,
                                       struct http_response *response, struct error *err) {
    struct collection_spec spec;
    struct finding *finding = calloc(1, sizeof(*finding));
    if (!finding) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    struct bytes body = request->body.size ? request->body : bytes_of("{}");
    enum status status = collection_model_store(&finding->collections, api, err);
    if (!status) status = collection_describe(finding->collections, request->params[0], &spec, err);
    if (!status) status = read_body(finding, body, err);
    if (status) {
        release(finding);
        return status;
    }
    memcpy(finding->name, spec.name, sizeof(finding->name));
    response_init(response, 200, "application/x-ndjson");
    response->produce = produce;
    response->release = release;
    response->context = finding;
    return STATUS_OK;
}
