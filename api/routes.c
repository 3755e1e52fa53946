#include "api/routes.h"

#include <stdio.h>
#include <string.h>

#include "api/body.h"
#include "api/json_body.h"

enum {
    IMAGES = BODY_JSON | BODY_MULTIPART | BODY_IMAGE,
    ITEMS = BODY_JSON | BODY_NDJSON | BODY_NPY,
};

/* clang-format off */
const struct route routes[] = {
    {HTTP_POST, "/embed/image", "embedImage", IMAGES, 0,
     "model, normalize, encoding, partial, output, layer, class_token, format, dtype", embed_image},
    {HTTP_POST, "/embed/text", "embedText", BODY_JSON, ROUTE_SMALL,
     "model, normalize, encoding, partial, truncate", embed_text},
    {HTTP_POST, "/classify", "classify", IMAGES, 0,
     "model, partial, top_k, labels, template, templates", classify_post},
    {HTTP_GET, "/models", "listModels", 0, ROUTE_QUICK, "", models_get},
    {HTTP_GET, "/collections", "listCollections", 0, 0, "", collections_get},
    {HTTP_GET, "/collections/{name}", "getCollection", 0, 0, "", collection_get},
    {HTTP_PUT, "/collections/{name}", "putCollection", BODY_JSON, ROUTE_SMALL, "", collection_put},
    {HTTP_DELETE, "/collections/{name}", "deleteCollection", 0, 0, "", collection_delete_whole},
    {HTTP_GET, "/collections/{name}/stats", "getStats", 0, 0, "", collection_stats_get},
    {HTTP_GET, "/collections/{name}/count", "countItems", 0, 0, "filter", collection_count_get},
    {HTTP_POST, "/collections/{name}/reindex", "reindex", 0, 0, "", collection_reindex_post},
    {HTTP_GET, "/collections/{name}/export", "exportItems", 0, 0,
     "filter, format, include, encoding", collection_export},
    {HTTP_POST, "/collections/{name}/search", "search", BODY_JSON, 0, "", collection_search_post},
    {HTTP_POST, "/collections/{name}/duplicates", "findDuplicates", BODY_JSON, ROUTE_SMALL,
     "", collection_duplicates_post},
    {HTTP_POST, "/collections/{name}/items", "upsertItems", ITEMS, ROUTE_LINES,
     "model, prefix", items_post},
    {HTTP_GET, "/collections/{name}/items", "listItems", 0, 0,
     "filter, limit, after, include, encoding", items_get},
    {HTTP_DELETE, "/collections/{name}/items", "deleteItems", 0, 0, "filter", items_delete},
    {HTTP_GET, "/collections/{name}/items/{id}", "getItem", 0, 0, "include, encoding", item_get},
    {HTTP_DELETE, "/collections/{name}/items/{id}", "deleteItem", 0, 0, "", item_delete},
    {HTTP_GET, "/collections/{name}/items/{id}/thumbnail", "getThumbnail", 0, 0,
     "", item_thumbnail},
    {HTTP_POST, "/collections/{name}/restore", "restoreCollection", BODY_JSON, ROUTE_SMALL,
     "", collection_restore_post},
    {HTTP_GET, "/snapshots", "listSnapshots", 0, 0, "", snapshots_get},
    {HTTP_GET, "/snapshots/{snapshot}", "getSnapshot", 0, 0, "", snapshot_get},
    {HTTP_PUT, "/snapshots/{snapshot}", "putSnapshot", 0, 0, "", snapshot_put},
    {HTTP_DELETE, "/snapshots/{snapshot}", "deleteSnapshot", 0, 0, "", snapshot_delete},
    {HTTP_POST, "/v1/embeddings", "openaiEmbeddings", BODY_JSON, 0, NULL, openai_embeddings},
    {HTTP_GET, "/v1/models", "openaiModels", 0, ROUTE_QUICK, NULL, openai_models},
    {HTTP_GET, "/v1/models/{id}", "openaiModel", 0, ROUTE_QUICK, NULL, openai_model},
    {HTTP_GET, "/livez", "live", 0, ROUTE_ALWAYS | ROUTE_QUICK, NULL, probes_livez},
    {HTTP_GET, "/readyz", "ready", 0, ROUTE_ALWAYS | ROUTE_PROBE, NULL, probes_readyz},
    {HTTP_GET, "/metrics", "metrics", 0, ROUTE_ALWAYS | ROUTE_QUICK, NULL, metrics_get},
    {HTTP_GET, "/openapi.yaml", "openapi", 0, ROUTE_ALWAYS | ROUTE_QUICK, NULL, probes_openapi},
};
/* clang-format on */
const size_t routes_count = sizeof(routes) / sizeof(routes[0]);

static int hex_digit(char character) {
    if (character >= '0' && character <= '9') return character - '0';
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes `size` characters of a path. False when they do not fit, or decode to nothing
 * that can be a string. */
static bool decode(char *out, size_t room, const char *part, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char character = part[i];
        if (character == '%') {
            int high = i + 2 < size ? hex_digit(part[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(part[i + 2]) : -1;
            if (low < 0) return false;
            character = (char)(high << 4 | low);
            i += 2;
        }
        if (!character || length + 1 >= room) return false;
        out[length++] = character;
    }
    if (!room) return false;
    out[length] = '\0';
    return true;
}

/* Part by part, so that a slash can stand encoded in a name. */
static bool matches(struct http_request *request, const char *row) {
    const char *path = request->path;
    size_t count = 0, used = 0;
    while (*row == '/' && *path == '/') {
        char *out = request->params_text + used;
        size_t row_size = strcspn(++row, "/"), size = strcspn(++path, "/");
        if (!decode(out, sizeof(request->params_text) - used, path, size)) return false;
        if (*row == '{') {
            if (!*out) return false;
            request->params[count++] = out;
            used += strlen(out) + 1;
        } else if (strlen(out) != row_size || memcmp(out, row, row_size) != 0) {
            return false;
        }
        row += row_size;
        path += size;
    }
    return !*row && !*path;
}

const struct route *routes_find(const struct route **other, struct http_request *request) {
    enum http_method method = request->method == HTTP_HEAD ? HTTP_GET : request->method;
    *other = NULL;
    for (size_t i = 0; i < routes_count; i++) {
        if (!matches(request, routes[i].path)) continue;
        if (routes[i].method == method) return &routes[i];
        *other = &routes[i];
    }
    return NULL;
}

/* Whether `name` is one of `names`, which have ", " between. */
static bool is_listed(const char *names, const char *name) {
    size_t size = strlen(name);
    for (const char *at = names; *at;) {
        size_t length = strcspn(at, ",");
        if (length == size && memcmp(at, name, size) == 0) return true;
        at += length;
        at += strspn(at, ", ");
    }
    return false;
}

static enum status check_parameter(void *context, const char *name, struct bytes value,
                                   struct error *err) {
    const struct route *route = *(const struct route *const *)context;
    char pointer[JSON_POINTER_SIZE];
    (void)value;
    if (is_listed(route->query, name)) return STATUS_OK;
    json_body_point(pointer, "", name);
    return error_set_at(err, STATUS_INVALID, pointer,
                        "\"%.64s\" is not a parameter of this request, %s%s", name,
                        *route->query ? "expected some of: " : "which has none", route->query);
}

enum status routes_check_query(const struct route *route, const struct http_request *request,
                               struct error *err) {
    return route->query ? request->each_query(request, check_parameter, &route, err) : STATUS_OK;
}

void routes_allowed(char out[ROUTES_ALLOWED_SIZE], const struct route *route) {
    size_t size = 0;
    for (size_t i = 0; i < routes_count; i++) {
        if (strcmp(routes[i].path, route->path) != 0) continue;
        size += (size_t)snprintf(out + size, ROUTES_ALLOWED_SIZE - size, "%s%s%s", size ? ", " : "",
                                 routes_method_name(routes[i].method),
                                 routes[i].method == HTTP_GET ? ", HEAD" : "");
    }
}

const char *routes_method_name(enum http_method method) {
    switch (method) {
    case HTTP_GET: return "GET";
    case HTTP_HEAD: return "HEAD";
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    case HTTP_DELETE: return "DELETE";
    case HTTP_OTHER: break;
    }
    return "other";
}
