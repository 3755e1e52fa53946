/* collection_model.h - the model that a collection is of, among those that are loaded. */
#ifndef API_COLLECTION_MODEL_H
#define API_COLLECTION_MODEL_H

#include "api/encode.h"
#include "core/index/collection.h"

/* The collections of this service; STATUS_NOT_FOUND when it keeps none. */
enum status collection_model_store(struct collections **out, const struct api *api,
                                   struct error *err);

/* STATUS_CONFLICT when a collection of that name would be one too many, STATUS_OVERLOADED when
 * others are made until the request's deadline. Else nobody makes another until the room is
 * given back. */
enum status collection_model_take_room(struct api *api, const struct http_request *request,
                                       const char *name, struct error *err);
void collection_model_give_room(struct api *api);

/* Takes hold of the model with the collection's digest, whatever its name is by now;
 * STATUS_CONFLICT when there is none, or it has other dimensions. To be released with
 * encode_free(). */
enum status collection_model_acquire(struct encode *out, struct api *api,
                                     struct http_request *request,
                                     const struct collection_spec *spec, struct error *err);

/* What a client says of its embeddings, a model's name or digest, against the collection's;
 * "" says nothing. STATUS_CONFLICT for another. */
enum status collection_model_check(struct api *api, struct http_request *request,
                                   const struct collection_spec *spec, const char *stated,
                                   struct error *err);

#endif
