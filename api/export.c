/* GET /collections/{name}/export: every item, in the order of ids, as lines that
 * POST .../items takes back, or their embeddings as a .npy file. Made while it is sent, a page of
 * the store at a time, which ends early when its items are large: the store is not held up while
 * the client reads. */
#include <stdlib.h>
#include <string.h>

#include "api/collection_model.h"
#include "api/collection_query.h"
#include "api/npy_body.h"
#include "api/response.h"

enum {
    PAGE_FIRST = 16, /* items of the first page; the next are longer, unless one was cut */
    PAGE_ITEMS = 256,
    PIECE_SIZE = 512 << 10, /* bytes that end a page */
    PIECE_MAX = 4 << 20,    /* with an item more, the largest of which has 2 MiB */
};

/* All that the export needs after the request is gone. */
struct export {
    struct collections *collections;
    char name[COLLECTION_NAME_MAX + 1];
    struct collection_query query;
    bool npy;
    uint32_t dim;
    char model_digest[SHA256_HEX_SIZE];
    uint64_t rows; /* still to come, of a .npy file */
    struct http_sink *sink;
    struct buffer piece, last;
    size_t page, visited; /* items of this page at most, and so far */
    bool cut;             /* it has bytes enough */
};

static enum status flush(struct export *export, struct error *err) {
    enum status status = export->sink->write(export->sink, buffer_view(&export->piece), err);
    export->piece.size = 0;
    return status;
}

static enum status visit(void *context, const struct item *item, struct error *err) {
    struct export *export = context;
    struct buffer *piece = &export->piece;
    enum status status = STATUS_OK;
    struct writer writer;
    if (item->dim != export->dim || strcmp(item->model_digest, export->model_digest) != 0)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" was made anew meanwhile",
                         export->name);
    if (export->npy && !export->rows)
        return error_set(err, STATUS_CONFLICT, "items were put in meanwhile");
    export->visited++;
    export->last.size = 0;
    writer_init(&writer, piece);
    if (export->npy) {
        export->rows--;
        writer_floats_raw(&writer, item->embedding, item->dim);
    } else {
        writer_begin_object(&writer);
        item_json_write(&writer, item, &export->query.how);
        writer_end_object(&writer);
        writer_line(&writer);
    }
    status = writer_finish(&writer, err);
    if (!status) status = buffer_append(&export->last, item->id.data, item->id.size, err);
    export->cut = !status && piece->size >= PIECE_SIZE;
    return export->cut ? STATUS_CANCELLED : status;
}

/* The next page: the items behind `last`. */
static enum status make_page(struct export *export, struct error *err) {
    const struct collection_query *query = &export->query;
    struct error error = ERROR_NONE;
    export->visited = 0;
    export->cut = false;
    enum status status = collection_scroll(
        export->collections, export->name, query->filter.root, buffer_view(&export->last),
        export->page, &(struct item_visitor){query->how.parts, visit, export}, &error);
    /* What the store says of a walk that we ended is of no matter. */
    if (status && !export->cut) return error_pass(err, &error);
    return flush(export, err);
}

/* Makes ready for the next page, if there is one. A store may read to the end of a page that was
 * cut, so the next one has as many items as fitted. */
static bool turn_page(struct export *export) {
    bool more = export->cut || export->visited == export->page;
    export->page = export->cut ? export->visited : 2 * export->page;
    if (export->page > PAGE_ITEMS) export->page = PAGE_ITEMS;
    return more;
}

static enum status produce(void *context, struct http_sink *sink, struct error *err) {
    struct export *export = context;
    enum status status = STATUS_OK;
    export->sink = sink;
    export->page = PAGE_FIRST;
    buffer_init(&export->piece, PIECE_MAX);
    buffer_init(&export->last, COLLECTION_ID_MAX);
    const size_t shape[] = {export->rows, export->dim};
    if (export->npy) status = npy_body_write_header(&export->piece, "<f4", shape, 2, err);
    do {
        if (!status) status = make_page(export, err);
    } while (!status && turn_page(export));
    if (!status && export->rows)
        status = error_set(err, STATUS_CONFLICT, "items were taken out meanwhile");
    buffer_free(&export->piece);
    buffer_free(&export->last);
    return status;
}

static void release(void *context) {
    struct export *export = context;
    collection_query_free(&export->query);
    free(export);
}

static enum status read_query(struct export *export, const struct api *api,
                              const struct http_request *request, struct error *err) {
    const char *format = request->query(request, "format");
    struct item_json how = {.parts = ITEM_JSON_ALL, .base64 = true};
    export->npy = format && !strcmp(format, "npy");
    if (format && !export->npy && strcmp(format, "ndjson") != 0) {
        return error_set_at(err, STATUS_INVALID, "/format",
                            "format is \"%.32s\", ndjson or npy is "
                            "expected",
                            format);
    }
    enum status status = collection_query_read(&export->query, api, request, how, err);
    if (export->npy) export->query.how.parts = ITEM_EMBEDDING;
    return status;
}

enum status collection_export(struct api *api, struct http_request *request,
                              struct http_response *response, struct error *err) {
    struct collection_spec spec;
    struct export *export = calloc(1, sizeof(*export));
    if (!export) return error_set(err, STATUS_NO_MEMORY, "out of memory for an export");
    enum status status = collection_model_store(&export->collections, api, err);
    if (!status) status = collection_describe(export->collections, request->params[0], &spec, err);
    if (!status) status = read_query(export, api, request, err);
    if (!status && export->npy) {
        status = collection_count(export->collections, spec.name, export->query.filter.root,
                                  &export->rows, err);
    }
    response_init(response, 200, export->npy ? "application/x-npy" : "application/x-ndjson");
    if (!status) status = response_reserve(response, PIECE_SIZE, err);
    if (status) {
        release(export);
        return status;
    }
    memcpy(export->name, spec.name, sizeof(export->name));
    export->dim = spec.dim;
    memcpy(export->model_digest, spec.model_digest, sizeof(export->model_digest));
    response->produce = produce;
    response->release = release;
    response->context = export;
    return STATUS_OK;
}
