#include "api/routes.h"

#include <string.h>

#include "api/body.h"

enum { IMAGES = BODY_JSON | BODY_MULTIPART | BODY_IMAGE };

/* clang-format off */
const struct route routes[] = {
    {HTTP_POST, "/embed/image", "embedImage", IMAGES, false, false, embed_image},
    {HTTP_POST, "/embed/text", "embedText", BODY_JSON, true, false, embed_text},
    {HTTP_POST, "/classify", "classify", IMAGES, false, false, classify_post},
    {HTTP_GET, "/models", "listModels", 0, false, false, models_get},
    {HTTP_POST, "/v1/embeddings", "openaiEmbeddings", BODY_JSON, false, false, openai_embeddings},
    {HTTP_GET, "/v1/models", "openaiModels", 0, false, false, openai_models},
    {HTTP_GET, "/livez", "live", 0, false, true, probes_livez},
    {HTTP_GET, "/readyz", "ready", 0, false, true, probes_readyz},
    {HTTP_GET, "/metrics", "metrics", 0, false, true, metrics_get},
    {HTTP_GET, "/openapi.yaml", "openapi", 0, false, true, probes_openapi},
};
/* clang-format on */
const size_t routes_count = sizeof(routes) / sizeof(routes[0]);

const struct route *routes_find(const struct route **other, const char *path,
                                enum http_method method) {
    if (method == HTTP_HEAD) method = HTTP_GET;
    *other = NULL;
    for (size_t i = 0; i < routes_count; i++) {
        if (strcmp(routes[i].path, path) != 0) continue;
        if (routes[i].method == method) return &routes[i];
        *other = &routes[i];
    }
    return NULL;
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
