#include "api/collection_query.h"

#include <stdlib.h>
#include <string.h>

#include "api/body.h"

enum { LIMIT_DEFAULT = 100 };

static enum status read_limit(uint32_t *out, const char *text, uint32_t most, struct error *err) {
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && i < 10; i++) number = number * 10 + (uint64_t)(text[i] - '0');
    if (!digits || digits > 10 || text[digits] || number < 1 || number > most) {
        return error_set_at(err, STATUS_INVALID, "/limit",
                            "limit must be a whole number from 1 to %u", most);
    }
    *out = (uint32_t)number;
    return STATUS_OK;
}

static enum status read_filter(struct collection_query *out, const char *text, struct error *err) {
    struct error error = ERROR_NONE;
    out->text = strdup(text);
    if (!out->text) return error_set(err, STATUS_NO_MEMORY, "out of memory for a filter");
    enum status status = json_body_parse(&out->json, bytes_of(out->text),
                                         FILTER_NODES_MAX + FILTER_VALUES_MAX, NULL, &error);
    if (status) return error_set_at(err, STATUS_INVALID, "/filter", "filter: %s", error.message);
    out->has_filter = true;
    return filter_json_read(&out->filter, &out->json, out->json.root, "/filter", err);
}

static enum status read_include(struct collection_query *out, const char *text, struct error *err) {
    out->include = strdup(text);
    if (!out->include) return error_set(err, STATUS_NO_MEMORY, "out of memory for a list of parts");
    return item_json_parse_parts(&out->how, out->include, err);
}

enum status collection_query_read(struct collection_query *out, const struct api *api,
                                  const struct http_request *request, struct item_json how,
                                  struct error *err) {
    const char *filter = request->query(request, "filter");
    const char *after = request->query(request, "after");
    const char *limit = request->query(request, "limit");
    const char *include = request->query(request, "include");
    const char *encoding = request->query(request, "encoding");
    uint32_t most = api->options.items_max;
    *out =
        (struct collection_query){.how = how, .limit = LIMIT_DEFAULT < most ? LIMIT_DEFAULT : most};
    if (after) out->after = bytes_of(after);
    enum status status = STATUS_OK;
    if (filter) status = read_filter(out, filter, err);
    if (!status && limit) status = read_limit(&out->limit, limit, most, err);
    if (!status && include) status = read_include(out, include, err);
    if (!status && encoding)
        status = body_parse_encoding(&out->how.base64, bytes_of(encoding), "/encoding", err);
    return status;
}

void collection_query_free(struct collection_query *query) {
    filter_json_free(&query->filter);
    json_body_free(&query->json);
    free(query->text);
    free(query->include);
    query->text = query->include = NULL;
}
