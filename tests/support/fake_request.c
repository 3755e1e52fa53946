#include "tests/support/fake_request.h"

#include <string.h>
#include <strings.h>

#include "core/base/clock.h"

static const char *get_header(const struct http_request *request, const char *name) {
    const struct fake_request *fake = request->transport;
    return strcasecmp(name, "Content-Type") == 0 ? fake->content_type : NULL;
}

static const char *get_query(const struct http_request *request, const char *name) {
    const struct fake_request *fake = request->transport;
    for (size_t i = 0; i + 1 < FAKE_QUERY_SIZE && fake->query[i]; i += 2) {
        if (strcmp(fake->query[i], name) == 0) return fake->query[i + 1];
    }
    return NULL;
}

static enum status walk_queries(const struct http_request *request, http_query_fn *visit,
                                void *context, struct error *err) {
    const struct fake_request *fake = request->transport;
    enum status status = STATUS_OK;
    for (size_t i = 0; i + 1 < FAKE_QUERY_SIZE && fake->query[i] && !status; i += 2) {
        status = visit(context, fake->query[i], bytes_of(fake->query[i + 1]), err);
    }
    return status;
}

void fake_request_init(struct fake_request *fake, const char *path, const char *content_type,
                       struct bytes body) {
    uint64_t now = clock_now_ns();
    *fake = (struct fake_request){.content_type = content_type};
    fake->request = (struct http_request){
        .method = HTTP_POST,
        .path = path,
        .id = "test",
        .received_ns = now,
        .waiting_ns = now,
        .body = body,
        .header = get_header,
        .query = get_query,
        .each_query = walk_queries,
        .transport = fake,
    };
}
