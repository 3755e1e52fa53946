/* context.h - what the handlers share. Only the files of api/ include it. */
#ifndef API_CONTEXT_H
#define API_CONTEXT_H

#include <stdatomic.h>

#include "api/api.h"
#include "core/base/turn.h"
#include "core/index/collection.h"

struct metrics;

/* Immutable after the start, but for what is atomic or has a lock of its own. */
struct api {
    struct api_options options;
    struct registry *registry; /* borrowed */
    /* Not to be looked at while loading. */
    struct collections *collections; /* borrowed; NULL: none are kept */
    const char *snapshots;           /* borrowed: the directory; NULL: the store has none */
    struct classifier *classifier;
    struct metrics *metrics;
    /* One at a time is counted and made, so that there are no more than the options say. */
    struct turn making_collection, making_snapshot;
    _Atomic int state;                      /* enum api_state */
    struct budget states;                   /* hidden states in answers that are not sent yet */
    api_server_stats_fn *read_server_stats; /* NULL: not set */
    void *server_context;
};

/* A handler fills `response` with a success, or fails and leaves `response` to
 * api_handle(). Called from many threads at a time. */
typedef enum status api_handler(struct api *api, struct http_request *request,
                                struct http_response *response, struct error *err);

api_handler embed_image;
api_handler embed_text;
api_handler states_post;
api_handler classify_post;
api_handler openai_embeddings;
api_handler openai_models;
api_handler openai_model;
api_handler models_get;
api_handler collections_get;
api_handler collection_put;
api_handler collection_get;
api_handler collection_delete_whole;
api_handler collection_stats_get;
api_handler collection_count_get;
api_handler collection_reindex_post;
api_handler collection_export;
api_handler collection_duplicates_post;
api_handler collection_search_post;
api_handler collection_restore_post;
api_handler snapshots_get;
api_handler snapshot_get;
api_handler snapshot_put;
api_handler snapshot_delete;
api_handler items_post;
api_handler items_get;
api_handler items_delete;
api_handler item_get;
api_handler item_delete;
api_handler item_thumbnail;
api_handler metrics_get;
api_handler probes_livez;
api_handler probes_readyz;
api_handler probes_openapi;

#endif
