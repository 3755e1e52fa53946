#include "api/collection_model.h"

#include <stdio.h>
#include <string.h>

enum status collection_model_store(struct collections **out, const struct api *api,
                                   struct error *err) {
    *out = api->collections;
    if (*out) return STATUS_OK;
    return error_set(err, STATUS_NOT_FOUND,
                     "this server keeps no collections: store.location is none");
}

struct tally {
    const char *name;
    size_t others;
    bool there;
};

static enum status count(void *context, const struct collection_spec *spec, struct error *err) {
    struct tally *tally = context;
    (void)err;
    if (strcmp(spec->name, tally->name) != 0)
        tally->others++;
    else
        tally->there = true;
    return STATUS_OK;
}

enum status collection_model_take_room(struct api *api, const struct http_request *request,
                                       const char *name, struct error *err) {
    struct tally tally = {.name = name};
    size_t most = api->options.collections_max;
    if (!turn_take(&api->making_collection, encode_deadline(api, request)))
        return error_set(err, STATUS_OVERLOADED, "other collections are being made");
    enum status status = collection_list(api->collections, count, &tally, err);
    if (!status && !tally.there && tally.others >= most)
        status = error_set(err, STATUS_CONFLICT, "there are %zu collections, the limit is %zu",
                           tally.others, most);
    if (status) turn_give(&api->making_collection);
    return status;
}

void collection_model_give_room(struct api *api) {
    turn_give(&api->making_collection);
}

enum status collection_model_acquire(struct encode *out, struct api *api,
                                     struct http_request *request,
                                     const struct collection_spec *spec, struct error *err) {
    struct error error = ERROR_NONE;
    *out = (struct encode){.api = api, .request = request, .truncate = true};
    enum status status =
        registry_acquire_digest(api->registry, spec->model_digest, spec->model,
                                encode_deadline(api, request), &out->engine, &error);
    /* Who made the collection may have named our model, with dimensions that are not its own. */
    if (!status && engine_info(out->engine)->embed_dim != spec->dim) {
        status = error_set(err, STATUS_CONFLICT,
                           "collection \"%s\" has %u dimensions, its model %s has %u: only ready "
                           "embeddings can be used with it",
                           spec->name, spec->dim, spec->model, engine_info(out->engine)->embed_dim);
        encode_free(out);
        return status;
    }
    if (status != STATUS_NOT_FOUND) return error_pass(err, &error);
    return error_set(err, STATUS_CONFLICT,
                     "collection \"%s\" is of model %s (%.12s...), which is not here: only "
                     "ready embeddings can be used with it",
                     spec->name, spec->model, spec->model_digest);
}

enum status collection_model_check(struct api *api, struct http_request *request,
                                   const struct collection_spec *spec, const char *stated,
                                   struct error *err) {
    struct encode encode = {0};
    if (!*stated || !strcmp(stated, spec->model_digest)) return STATUS_OK;
    bool is_digest =
        strlen(stated) == SHA256_HEX_SIZE - 1 && !stated[strspn(stated, "0123456789abcdef")];
    const char *digest = stated;
    if (!is_digest) {
        enum status status = encode_init(&encode, api, request, stated, err);
        if (status) return status;
        digest = engine_info(encode.engine)->sha256;
    }
    enum status status = STATUS_OK;
    if (strcmp(digest, spec->model_digest) != 0) {
        status = error_set_at(err, STATUS_CONFLICT, "/model",
                              "collection \"%s\" is of model %s (%.12s...), not of %.64s "
                              "(%.12s...)",
                              spec->name, spec->model, spec->model_digest,
                              is_digest ? "another" : stated, digest);
    }
    encode_free(&encode);
    return status;
}
