/* /collections/{name}/items: looked at and taken out, one by one or by filter. */
#include <stdlib.h>
#include <string.h>

#include "api/collection_model.h"
#include "api/collection_query.h"
#include "api/metrics.h"
#include "api/response.h"

/* ---- GET /collections/{name}/items ---- */

/* Cut to a page that fits into memory, whatever the items hold. */
struct page {
    struct http_response *response;
    struct writer *writer;
    struct item_json how;
    uint32_t count;
    bool cut;
    struct buffer last; /* the id of the last item */
};

static enum status visit_page(void *context, const struct item *item, struct error *err) {
    struct page *page = context;
    if (response_is_full(page->response)) page->cut = true;
    if (page->cut) return STATUS_OK;
    writer_begin_object(page->writer);
    item_json_write(page->writer, item, &page->how);
    writer_end_object(page->writer);
    page->count++;
    page->last.size = 0;
    enum status status = buffer_append(&page->last, item->id.data, item->id.size, err);
    if (!status) status = writer_finish(page->writer, err);
    return status ? status : response_charge(page->response, err);
}

static enum status write_page(struct http_response *response, struct collections *collections,
                              const char *name, const struct collection_query *query,
                              struct error *err) {
    struct writer writer;
    struct page page = {.response = response, .writer = &writer, .how = query->how};
    buffer_init(&page.last, COLLECTION_ID_MAX);
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "items");
    writer_begin_array(&writer);
    enum status status =
        collection_scroll(collections, name, query->filter.root, query->after, query->limit,
                          &(struct item_visitor){query->how.parts, visit_page, &page}, err);
    writer_end_array(&writer);
    writer_key(&writer, "next");
    if (page.cut || page.count == query->limit)
        writer_string(&writer, buffer_view(&page.last));
    else
        writer_null(&writer);
    writer_end_object(&writer);
    buffer_free(&page.last);
    return status ? status : writer_finish(&writer, err);
}

enum status items_get(struct api *api, struct http_request *request, struct http_response *response,
                      struct error *err) {
    struct collections *collections;
    struct collection_query query = {.has_filter = false};
    struct item_json how = {.parts = ITEM_JSON_DEFAULT};
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_query_read(&query, api, request, how, err);
    if (!status) status = write_page(response, collections, request->params[0], &query, err);
    collection_query_free(&query);
    return status;
}

/* ---- DELETE ---- */

static enum status answer_deleted(struct api *api, const struct http_request *request,
                                  struct http_response *response, uint64_t deleted,
                                  struct error *err) {
    item_counts_add(metrics_item_counts(api->metrics), request->params[0], -(int64_t)deleted);
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"deleted\":%llu}", (unsigned long long)deleted);
}

/* Without a filter it would be easy to lose everything by a slip. */
enum status items_delete(struct api *api, struct http_request *request,
                         struct http_response *response, struct error *err) {
    struct collections *collections;
    struct collection_query query = {.has_filter = false};
    uint64_t deleted = 0;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_query_read(&query, api, request, (struct item_json){0}, err);
    if (!status && !query.has_filter) {
        status = error_set_at(err, STATUS_INVALID, "/filter",
                              "a filter is expected; {\"and\":[]} is every item");
    }
    if (!status) {
        status = collection_delete_where(collections, request->params[0], query.filter.root,
                                         &deleted, err);
    }
    collection_query_free(&query);
    return status ? status : answer_deleted(api, request, response, deleted, err);
}

static enum status refuse_id(const struct http_request *request, struct error *err) {
    return error_set(err, STATUS_NOT_FOUND, "collection \"%s\" has no item \"%.100s\"",
                     request->params[0], request->params[1]);
}

enum status item_delete(struct api *api, struct http_request *request,
                        struct http_response *response, struct error *err) {
    struct collections *collections;
    struct bytes id = bytes_of(request->params[1]);
    uint64_t deleted = 0;
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_delete(collections, request->params[0], &id, 1, &deleted, err);
    if (!status && !deleted) status = refuse_id(request, err);
    return status ? status : answer_deleted(api, request, response, deleted, err);
}

/* ---- one item ---- */

struct one {
    struct http_response *response;
    struct item_json how;
    bool found;
};

static enum status visit_one(void *context, const struct item *item, struct error *err) {
    struct one *one = context;
    struct writer writer;
    one->found = true;
    response_init(one->response, 200, "application/json");
    writer_init(&writer, &one->response->body);
    writer_begin_object(&writer);
    item_json_write(&writer, item, &one->how);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

enum status item_get(struct api *api, struct http_request *request, struct http_response *response,
                     struct error *err) {
    struct collections *collections;
    struct collection_query query = {.has_filter = false};
    struct bytes id = bytes_of(request->params[1]);
    struct item_json how = {.parts = ITEM_METADATA | ITEM_TEXT | ITEM_DIGEST};
    enum status status = collection_model_store(&collections, api, err);
    if (!status) status = collection_query_read(&query, api, request, how, err);
    struct one one = {.response = response, .how = query.how};
    if (!status) {
        status = collection_fetch(collections, request->params[0], &id, 1,
                                  &(struct item_visitor){one.how.parts, visit_one, &one}, err);
    }
    collection_query_free(&query);
    if (!status && !one.found) status = refuse_id(request, err);
    return status;
}

/* The type of an image by its first bytes; what is none may be anything. */
static const char *sniff(struct bytes image) {
    static const struct {
        const char *type, *magic;
        size_t offset, size;
    } types[] = {{"image/jpeg", "\xff\xd8\xff", 0, 3},
                 {"image/png", "\x89PNG\r\n\x1a\n", 0, 8},
                 {"image/webp", "WEBP", 8, 4},
                 {"image/gif", "GIF8", 0, 4}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (image.size >= types[i].offset + types[i].size &&
            !memcmp(image.data + types[i].offset, types[i].magic, types[i].size)) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static enum status visit_thumbnail(void *context, const struct item *item, struct error *err) {
    struct one *one = context;
    if (!item->thumbnail.size) return STATUS_OK;
    one->found = true;
    response_init(one->response, 200, sniff(item->thumbnail));
    /* Whoever put it in need not be whoever looks at it, in a browser perhaps. */
    response_header(one->response, "X-Content-Type-Options", "nosniff");
    return buffer_append(&one->response->body, item->thumbnail.data, item->thumbnail.size, err);
}

enum status item_thumbnail(struct api *api, struct http_request *request,
                           struct http_response *response, struct error *err) {
    struct collections *collections;
    struct bytes id = bytes_of(request->params[1]);
    struct one one = {.response = response};
    enum status status = collection_model_store(&collections, api, err);
    if (!status) {
        status =
            collection_fetch(collections, request->params[0], &id, 1,
                             &(struct item_visitor){ITEM_THUMBNAIL, visit_thumbnail, &one}, err);
    }
    if (status || one.found) return status;
    return error_set(err, STATUS_NOT_FOUND,
                     "collection \"%s\" has no item \"%.100s\" with a "
                     "thumbnail",
                     request->params[0], request->params[1]);
}
