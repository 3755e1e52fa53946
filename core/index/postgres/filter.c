#include "core/index/postgres/filter.h"

#include <string.h>

/* Characters of a text that are in its index: btree takes 2,700 bytes at most. */
#define PREFIX_CHARACTERS "200"

const char postgres_filter_bad_numbers[] =
    "jsonb_path_exists(metadata, '$.** ? (@.type() == \"number\" && (@ > 1e308 || @ < -1e308 || "
    "(@ < 1e-307 && @ > -1e-307 && @ != 0)))')";

/* ---- expressions ---- */

/* Step by step: "#>" would take the step "0" for a place in an array. */
void postgres_filter_add_field(struct postgres_query *query, const char *path) {
    postgres_query_add(query, "(metadata");
    for (;;) {
        size_t size = strcspn(path, ".");
        postgres_query_add(query, "->");
        struct bytes step = {.data = (const uint8_t *)path, .size = size};
        postgres_query_add_quoted(query, step);
        if (!path[size]) break;
        path += size + 1;
    }
    postgres_query_add(query, ")");
}

static void add_type_is(struct postgres_query *query, const char *path, const char *type) {
    postgres_query_add(query, "jsonb_typeof");
    postgres_filter_add_field(query, path);
    postgres_query_add(query, " = '%s'", type);
}

void postgres_filter_add_is_array(struct postgres_query *query, const char *path) {
    add_type_is(query, path, "array");
}

void postgres_filter_add_number(struct postgres_query *query, const char *path) {
    postgres_query_add(query, "CASE WHEN ");
    add_type_is(query, path, "number");
    postgres_query_add(query, " THEN ");
    postgres_filter_add_field(query, path);
    postgres_query_add(query, "::float8 END");
}

static void add_text(struct postgres_query *query, const char *path) {
    postgres_query_add(query, "CASE WHEN ");
    add_type_is(query, path, "string");
    postgres_query_add(query, " THEN ");
    postgres_filter_add_field(query, path);
    postgres_query_add(query, " #>> '{}' END");
}

void postgres_filter_add_prefix(struct postgres_query *query, const char *path) {
    postgres_query_add(query, "left(");
    add_text(query, path);
    postgres_query_add(query, ", " PREFIX_CHARACTERS ")");
}

/* ---- conditions ---- */

static size_t count_kind(const struct filter *filter, enum filter_value_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < filter->count; i++) count += filter->values[i].kind == kind;
    return count;
}

/* As a scalar, which an index finds, or in an array. */
static void add_in_numbers(struct postgres_query *query, const struct filter *filter,
                           size_t count) {
    unsigned number = postgres_query_array(query, POSTGRES_FLOAT8, count);
    for (size_t i = 0; i < filter->count; i++) {
        if (filter->values[i].kind == FILTER_NUMBER)
            postgres_query_element_float8(query, filter->values[i].number);
    }
    postgres_query_add(query, "(");
    postgres_filter_add_number(query, filter->field);
    postgres_query_add(query, ") = ANY ($%u::float8[]) OR (", number);
    postgres_filter_add_is_array(query, filter->field);
    /* The CASE within: conditions of an AND are checked in any order. */
    postgres_query_add(query, " AND EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN ");
    postgres_filter_add_is_array(query, filter->field);
    postgres_query_add(query, " THEN ");
    postgres_filter_add_field(query, filter->field);
    postgres_query_add(query,
                       " END) AS element WHERE CASE WHEN jsonb_typeof(element) = 'number' THEN "
                       "element::float8 = ANY ($%u::float8[]) ELSE FALSE END))",
                       number);
}

/* "?|" finds a text alone and in an array, and keys of an object, which are not meant. */
static void add_in_texts(struct postgres_query *query, const struct filter *filter, size_t count) {
    unsigned number = postgres_query_array(query, POSTGRES_TEXT, count);
    for (size_t i = 0; i < filter->count; i++) {
        if (filter->values[i].kind == FILTER_TEXT)
            postgres_query_element(query, filter->values[i].text);
    }
    postgres_query_add(query, "(");
    postgres_filter_add_field(query, filter->field);
    postgres_query_add(query, " ?| $%u::text[] AND NOT ", number);
    add_type_is(query, filter->field, "object");
    postgres_query_add(query, ")");
}

static void add_in(struct postgres_query *query, const struct filter *filter) {
    size_t numbers = count_kind(filter, FILTER_NUMBER), texts = count_kind(filter, FILTER_TEXT);
    bool seen[2] = {false, false};
    const char * or = "";
    postgres_query_add(query, "(");
    if (numbers) {
        add_in_numbers(query, filter, numbers);
        or = " OR ";
    }
    if (texts) {
        postgres_query_add(query, "%s", or);
        add_in_texts(query, filter, texts);
        or = " OR ";
    }
    for (size_t i = 0; i < filter->count; i++) {
        bool value = filter->values[i].boolean;
        if (filter->values[i].kind != FILTER_BOOL || seen[value]) continue;
        seen[value] = true;
        /* An array contains its elements, and a scalar itself. */
        postgres_query_add(query, "%s", or);
        postgres_filter_add_field(query, filter->field);
        postgres_query_add(query, " @> '%s'::jsonb", value ? "true" : "false");
        or = " OR ";
    }
    postgres_query_add(query, filter->count ? ")" : "FALSE)");
}

static bool is_declared(const struct collection_spec *spec, const char *path) {
    for (size_t i = 0; i < spec->fields_count; i++) {
        if (spec->fields[i].kind == COLLECTION_TEXT && strcmp(spec->fields[i].path, path) == 0)
            return true;
    }
    return false;
}

static void add_bound(struct postgres_query *query, const struct collection_spec *spec,
                      const struct filter *filter, const struct filter_bound *bound, char sign) {
    const char *or_equal = bound->inclusive ? "=" : "";
    if (bound->value.kind == FILTER_NUMBER) {
        postgres_query_add(query, "(");
        postgres_filter_add_number(query, filter->field);
        postgres_query_add(query, ") %c%s $%u::float8", sign, or_equal,
                           postgres_query_float8(query, bound->value.number));
        return;
    }
    unsigned number = postgres_query_bytes(query, bound->value.text);
    postgres_query_add(query, "(");
    add_text(query, filter->field);
    postgres_query_add(query, ") COLLATE \"C\" %c%s $%u::text", sign, or_equal, number);
    if (!is_declared(spec, filter->field)) return;
    /* Follows from the above, and is what the index knows. */
    postgres_query_add(query, " AND (");
    postgres_filter_add_prefix(query, filter->field);
    postgres_query_add(query, ") COLLATE \"C\" %c= left($%u::text, " PREFIX_CHARACTERS ")", sign,
                       number);
}

static void add_range(struct postgres_query *query, const struct collection_spec *spec,
                      const struct filter *filter) {
    postgres_query_add(query, "(");
    if (filter->low.set) add_bound(query, spec, filter, &filter->low, '>');
    if (filter->low.set && filter->high.set) postgres_query_add(query, " AND ");
    if (filter->high.set) add_bound(query, spec, filter, &filter->high, '<');
    postgres_query_add(query, ")");
}

void postgres_filter_add(struct postgres_query *query, const struct collection_spec *spec,
                         const struct filter *filter) {
    if (!filter) {
        postgres_query_add(query, "TRUE");
        return;
    }
    bool is_and = filter->kind == FILTER_AND;
    switch (filter->kind) {
    case FILTER_AND:
    case FILTER_OR:
        postgres_query_add(query, "(");
        for (size_t i = 0; i < filter->count; i++) {
            if (i) postgres_query_add(query, is_and ? " AND " : " OR ");
            postgres_filter_add(query, spec, &filter->children[i]);
        }
        if (!filter->count) postgres_query_add(query, is_and ? "TRUE" : "FALSE");
        postgres_query_add(query, ")");
        break;
    case FILTER_NOT:
        postgres_query_add(query, "(");
        postgres_filter_add(query, spec, &filter->children[0]);
        postgres_query_add(query, " IS NOT TRUE)");
        break;
    case FILTER_IN: add_in(query, filter); break;
    case FILTER_RANGE: add_range(query, spec, filter); break;
    case FILTER_EXISTS:
        postgres_query_add(query, "(NOT ");
        add_type_is(query, filter->field, "null");
        postgres_query_add(query, ")");
        break;
    }
}
