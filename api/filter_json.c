/* Nodes and values come from two arrays of the most that a filter may have, so that a
 * hostile one costs no more than a good one. */
#include "api/filter_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct filter_json *out;
    const struct json_body *json;
};

static enum status read_node(struct filter *node, struct reading *reading, const json_t *value,
                             const char *pointer, struct error *err);

/* `count` nodes side by side. */
static struct filter *take_nodes(struct reading *reading, size_t count, const char *pointer,
                                 struct error *err) {
    struct filter_json *out = reading->out;
    if (count > FILTER_NODES_MAX - out->nodes_count) {
        error_set_at(err, STATUS_INVALID, pointer, "the filter has more than %d conditions",
                     FILTER_NODES_MAX);
        return NULL;
    }
    struct filter *nodes = out->nodes + out->nodes_count;
    out->nodes_count += count;
    return nodes;
}

static struct filter_value *take_values(struct reading *reading, size_t count, const char *pointer,
                                        struct error *err) {
    struct filter_json *out = reading->out;
    if (count > FILTER_VALUES_MAX - out->values_count) {
        error_set_at(err, STATUS_INVALID, pointer, "the filter has more than %d values",
                     FILTER_VALUES_MAX);
        return NULL;
    }
    struct filter_value *values = out->values + out->values_count;
    out->values_count += count;
    return values;
}

static enum status read_children(struct filter *node, struct reading *reading, const json_t *value,
                                 const char *pointer, struct error *err) {
    if (!json_is_array(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, an array is expected",
                            pointer + 1, json_body_kind(value));
    }
    node->count = json_array_size(value);
    node->children = take_nodes(reading, node->count, pointer, err);
    enum status status = node->children ? STATUS_OK : STATUS_INVALID;
    for (size_t i = 0; i < node->count && !status; i++) {
        char child[JSON_POINTER_SIZE];
        json_body_point_at(child, pointer, i);
        status = read_node(&node->children[i], reading, json_array_get(value, i), child, err);
    }
    return status;
}

static enum status read_value(struct filter_value *out, struct reading *reading,
                              const json_t *value, const char *pointer, struct error *err) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        out->kind = FILTER_TEXT;
        return json_body_string(&out->text, reading->json, value, pointer, err);
    case JSON_INTEGER:
    case JSON_REAL:
        out->kind = FILTER_NUMBER;
        out->number = json_number_value(value);
        return STATUS_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        out->kind = FILTER_BOOL;
        out->boolean = json_is_true(value);
        return STATUS_OK;
    default:
        return error_set_at(err, STATUS_INVALID, pointer,
                            "%s is %s, a string, a number or a boolean is expected", pointer + 1,
                            json_body_kind(value));
    }
}

/* "in" and "eq", which is the same with one value. */
static enum status read_in(struct filter *node, struct reading *reading, const json_t *value,
                           const char *pointer, struct error *err) {
    bool one = !json_is_array(value);
    node->kind = FILTER_IN;
    node->count = one ? 1 : json_array_size(value);
    struct filter_value *values = take_values(reading, node->count, pointer, err);
    if (!values) return STATUS_INVALID;
    node->values = values;
    if (one) return read_value(values, reading, value, pointer, err);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < node->count && !status; i++) {
        char item[JSON_POINTER_SIZE];
        json_body_point_at(item, pointer, i);
        status = read_value(&values[i], reading, json_array_get(value, i), item, err);
    }
    return status;
}

static enum status read_bound(struct filter *node, struct reading *reading, const char *name,
                              const json_t *value, const char *pointer, struct error *err) {
    struct filter_bound *bound = name[0] == 'g' ? &node->low : &node->high;
    if (bound->set) {
        return error_set_at(err, STATUS_INVALID, pointer, "two bounds on one side: %s",
                            pointer + 1);
    }
    node->kind = FILTER_RANGE;
    bound->set = true;
    bound->inclusive = name[2] == 'e';
    return read_value(&bound->value, reading, value, pointer, err);
}

/* {"exists": false} is the negation of true: the node becomes "not" of another. */
static enum status read_exists(struct filter *node, struct reading *reading, const json_t *value,
                               const char *pointer, struct error *err) {
    bool exists;
    enum status status = json_body_bool(&exists, value, pointer, err);
    if (status) return status;
    node->kind = FILTER_EXISTS;
    if (exists) return STATUS_OK;
    struct filter *child = take_nodes(reading, 1, pointer, err);
    if (!child) return STATUS_INVALID;
    *child = *node;
    *node = (struct filter){.kind = FILTER_NOT, .children = child, .count = 1};
    return STATUS_OK;
}

static enum status read_field(struct filter *node, struct reading *reading, const json_t *value,
                              const char *pointer, struct error *err) {
    char where[JSON_POINTER_SIZE];
    struct bytes text;
    struct error error = ERROR_NONE;
    json_body_point(where, pointer, "field");
    enum status status =
        json_body_string(&text, reading->json, json_object_get(value, "field"), where, err);
    if (status) return status;
    if (text.size > FILTER_FIELD_MAX || memchr(text.data, 0, text.size)) {
        return error_set_at(err, STATUS_INVALID, where,
                            "the path of a field has %zu bytes, or NUL among them, the limit is %d",
                            text.size, FILTER_FIELD_MAX);
    }
    node->field = (const char *)text.data; /* short strings are the tree's own, with a NUL */
    status = filter_check_field(node->field, &error);
    return status ? error_set_at(err, status, where, "%s", error.message) : STATUS_OK;
}

/* What is said of a field: one condition, or the two bounds of a range. */
static enum status read_condition(struct filter *node, struct reading *reading, const json_t *value,
                                  const char *pointer, struct error *err) {
    static const char *const names[] = {"field", "eq", "in", "gt", "gte", "lt", "lte", "exists"};
    enum status status = json_body_members(value, pointer, "a condition", names, 8, err);
    if (!status) status = read_field(node, reading, value, pointer, err);
    size_t found = 0, bounds = 0;
    for (size_t i = 1; i < 8 && !status; i++) {
        const json_t *operand = json_object_get(value, names[i]);
        char where[JSON_POINTER_SIZE];
        if (!operand) continue;
        json_body_point(where, pointer, names[i]);
        bool is_bound = i >= 3 && i <= 6;
        found++;
        bounds += is_bound;
        if (found > 1 && found != bounds) break;
        if (is_bound)
            status = read_bound(node, reading, names[i], operand, where, err);
        else if (i == 7)
            status = read_exists(node, reading, operand, where, err);
        else if (json_is_array(operand) != (i == 2))
            status = error_set_at(err, STATUS_INVALID, where,
                                  "%s is %s: \"in\" takes an array, "
                                  "\"eq\" one value",
                                  where + 1, json_body_kind(operand));
        else
            status = read_in(node, reading, operand, where, err);
    }
    if (status || (found && (found == 1 || found == bounds))) return status;
    return error_set_at(err, STATUS_INVALID, pointer,
                        "a condition has one of eq, in, exists, or bounds: gt, gte, lt, lte");
}

static enum status read_node(struct filter *node, struct reading *reading, const json_t *value,
                             const char *pointer, struct error *err) {
    static const char *const names[] = {"and", "or", "not"};
    static const enum filter_kind kinds[] = {FILTER_AND, FILTER_OR, FILTER_NOT};
    *node = (struct filter){0};
    for (size_t i = 0; i < 3; i++) {
        const json_t *operand = json_object_get(value, names[i]); /* NULL for no object */
        char where[JSON_POINTER_SIZE];
        if (!operand) continue;
        enum status status = json_body_members(value, pointer, names[i], &names[i], 1, err);
        if (status) return status;
        json_body_point(where, pointer, names[i]);
        node->kind = kinds[i];
        if (node->kind != FILTER_NOT) return read_children(node, reading, operand, where, err);
        node->count = 1;
        node->children = take_nodes(reading, 1, where, err);
        if (!node->children) return STATUS_INVALID;
        return read_node(node->children, reading, operand, where, err);
    }
    return read_condition(node, reading, value, pointer, err);
}

enum status filter_json_read(struct filter_json *out, const struct json_body *json,
                             const json_t *value, const char *pointer, struct error *err) {
    *out = (struct filter_json){0};
    if (!value || json_is_null(value)) return STATUS_OK;
    out->nodes = calloc(FILTER_NODES_MAX, sizeof(*out->nodes));
    out->values = calloc(FILTER_VALUES_MAX, sizeof(*out->values));
    if (!out->nodes || !out->values) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a filter");
    }
    struct reading reading = {.out = out, .json = json};
    struct error error = ERROR_NONE;
    out->nodes_count = 1;
    enum status status = read_node(out->nodes, &reading, value, pointer, err);
    if (status) return status;
    status = filter_check(out->nodes, &error);
    if (status) return error_set_at(err, status, pointer, "%s", error.message);
    out->root = out->nodes;
    return STATUS_OK;
}

void filter_json_free(struct filter_json *filter) {
    free(filter->nodes);
    free(filter->values);
    *filter = (struct filter_json){0};
}
