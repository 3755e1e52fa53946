/* Any bytes as the body of a search, with its filters, and as a filter alone: a refusal says
 * why and where, and what is read keeps to the limits. */
#include <stdlib.h>
#include <string.h>

#include "api/search_body.h"
#include "tests/support/fake_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 4 };

static void require(bool holds) {
    if (!holds) abort();
}

static void check_refusal(enum status status, const struct error *err) {
    require(err->status == status && err->message[0]);
    require(!err->where[0] || err->where[0] == '/');
}

static void read_search(struct bytes text) {
    static struct api api = {.options = {.images_max = 4, .texts_max = 8, .items_max = 10}};
    static const struct collection_spec spec = {.name = "c", .dim = DIM};
    struct fake_request fake;
    struct search_body body;
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/collections/c/search", "application/json", text);
    enum status status = search_body_read(&body, &api, &fake.request, &spec, &err);
    require(body.texts.count <= 8 && body.images.count <= 4);
    if (status) {
        check_refusal(status, &err);
    } else {
        require(body.queries_count >= 1 && body.queries_count <= SEARCH_QUERIES_MAX);
        for (size_t i = 0; i < body.terms_count; i++) {
            char pointer[JSON_POINTER_SIZE];
            search_body_point(pointer, &body, &body.terms[i]);
            require(pointer[0] == '/' && body.terms[i].query < body.queries_count);
        }
        for (size_t i = 0; i < body.queries_count; i++)
            require(filter_check(body.queries[i].filter.root, NULL) == STATUS_OK);
    }
    search_body_free(&body);
}

static void read_filter(struct bytes text) {
    struct json_body json;
    struct filter_json filter;
    struct error err = ERROR_NONE;
    if (json_body_parse(&json, text, 10000, NULL, NULL)) return;
    enum status status = filter_json_read(&filter, &json, json.root, "/filter", &err);
    if (status) check_refusal(status, &err);
    require(filter.nodes_count <= FILTER_NODES_MAX && filter.values_count <= FILTER_VALUES_MAX);
    filter_json_free(&filter);
    json_body_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_search((struct bytes){data, size});
    read_filter((struct bytes){data, size});
    return 0;
}
