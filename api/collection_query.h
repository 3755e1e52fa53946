/* collection_query.h - what the query of a request says about items: which, how many, which
 * parts. A parameter that is not known is ignored, as in any query. */
#ifndef API_COLLECTION_QUERY_H
#define API_COLLECTION_QUERY_H

#include "api/context.h"
#include "api/filter_json.h"
#include "api/item_json.h"

struct collection_query {
    /* Owned, because they may outlive the request: the filter, and the tree of it that
     * `filter` points into; `include`, which `how` points into. */
    char *text;
    struct json_body json;
    char *include;
    struct filter_json filter;
    bool has_filter;
    struct bytes after; /* an id; empty: from the start */
    uint32_t limit;
    struct item_json how;
};

/* Reads `filter` (JSON), `after`, `limit`, `include` and `encoding`. `how` is
 * what holds when the last two are not given. Release it with collection_query_free(), on
 * failure as well. `after` borrows from the request. */
enum status collection_query_read(struct collection_query *out, const struct api *api,
                                  const struct http_request *request, struct item_json how,
                                  struct error *err);
void collection_query_free(struct collection_query *query);

#endif
