/* collection_query.h - what the query of a request says about items: which, how many, which
 * parts. A parameter that is not known is ignored, as in any query. */
#ifndef API_COLLECTION_QUERY_H
#define API_COLLECTION_QUERY_H

#include "api/context.h"
#include "api/filter_json.h"
#include "api/item_json.h"

struct collection_query {
    struct json_body json; /* what the filter points into */
    struct filter_json filter;
    bool has_filter;
    struct bytes after; /* an id; empty: from the start */
    uint32_t limit;
    struct item_json how;
};

/* Reads `filter` (JSON), `after`, `limit`, `include` and `encoding`. `parts` and `base64` are
 * what holds when the last two are not given. Release it with collection_query_free(), on
 * failure as well. What was read borrows from the request. */
enum status collection_query_read(struct collection_query *out, const struct api *api,
                                  const struct http_request *request, struct item_json how,
                                  struct error *err);
void collection_query_free(struct collection_query *query);

#endif
