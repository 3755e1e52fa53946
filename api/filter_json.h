/* filter_json.h - filters as clients write them.
 *
 * A filter is an object of one of these kinds:
 *
 *   {"and": [FILTER, ...]}    all of them; of none: every item
 *   {"or": [FILTER, ...]}     any of them; of none: no item
 *   {"not": FILTER}
 *   {"field": "cat", "eq": "x"}                  a text, number or boolean
 *   {"field": "tag", "in": ["a", "b"]}           one of them, or an array with one of them
 *   {"field": "taken", "gte": 1, "lt": 5}        gt or gte, lt or lte: numbers, or texts by
 *                                                their bytes
 *   {"field": "camera.model", "exists": true}    or false
 *
 * A path leads through objects: "camera.model". What an item lacks fits no condition. */
#ifndef API_FILTER_JSON_H
#define API_FILTER_JSON_H

#include "api/json_body.h"
#include "core/index/filter.h"

struct filter_json {
    const struct filter *root; /* NULL: every item */
    struct filter *nodes;      /* [FILTER_NODES_MAX], those in use first */
    struct filter_value *values;
    size_t nodes_count, values_count;
};

/* Reads a filter from a request; `pointer` is where it lies. Null is every item. What was
 * read borrows from the request. Release it with filter_json_free(), on failure as well;
 * freeing zeroed memory does nothing. */
enum status filter_json_read(struct filter_json *out, const struct json_body *json,
                             const json_t *value, const char *pointer, struct error *err);
void filter_json_free(struct filter_json *filter);

#endif
