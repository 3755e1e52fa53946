#include "api/collection_model.h"

#include <stdio.h>
#include <string.h>

struct search_by_digest {
    const char *digest;
    char name[129]; /* of the model that has it; "" while none was seen */
};

enum status collection_model_store(struct collections **out, const struct api *api,
                                   struct error *err) {
    *out = api->collections;
    if (*out) return STATUS_OK;
    return error_set(err, STATUS_NOT_FOUND,
                     "this server keeps no collections: store.location is none");
}

static void visit(void *context, struct engine *engine, bool is_default) {
    struct search_by_digest *search = context;
    const struct engine_info *info = engine_info(engine);
    (void)is_default;
    if (search->name[0] || strcmp(info->sha256, search->digest) != 0) return;
    snprintf(search->name, sizeof(search->name), "%s", info->name);
}

enum status collection_model_acquire(struct encode *out, struct api *api,
                                     struct http_request *request,
                                     const struct collection_spec *spec, struct error *err) {
    struct search_by_digest search = {.digest = spec->model_digest};
    registry_each(api->registry, visit, &search);
    if (search.name[0]) return encode_init(out, api, request, search.name, err);
    return error_set(err, STATUS_CONFLICT,
                     "collection \"%s\" is of model %s (%.12s...), which is not loaded: only "
                     "ready embeddings can be used with it",
                     spec->name, spec->model, spec->model_digest);
}

enum status collection_model_check(const struct api *api, const struct collection_spec *spec,
                                   const char *stated, struct error *err) {
    struct engine *engine = NULL;
    if (!*stated || !strcmp(stated, spec->model_digest)) return STATUS_OK;
    bool is_digest =
        strlen(stated) == SHA256_HEX_SIZE - 1 && !stated[strspn(stated, "0123456789abcdef")];
    const char *digest = stated;
    if (!is_digest) {
        struct error error = ERROR_NONE;
        enum status status = registry_acquire(api->registry, stated, &engine, &error);
        if (status) return error_set_at(err, status, "/model", "%s", error.message);
        digest = engine_info(engine)->sha256;
    }
    enum status status = STATUS_OK;
    if (strcmp(digest, spec->model_digest) != 0) {
        status = error_set_at(err, STATUS_CONFLICT, "/model",
                              "collection \"%s\" is of model %s (%.12s...), not of %.64s "
                              "(%.12s...)",
                              spec->name, spec->model, spec->model_digest,
                              is_digest ? "another" : stated, digest);
    }
    if (engine) registry_release(api->registry, engine);
    return status;
}
