#include "core/index/sqlite/filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The kinds in values_N are those of enum filter_value_kind. */

/* The value of a parameter. A path is an offset: the buffer moves while it grows. */
struct sqlite_bound {
    enum { BOUND_VALUE, BOUND_FIELD, BOUND_PATH } what;
    struct filter_value value;
    size_t at; /* a field's index, or a path's offset */
};

enum { SQL_MAX = 1 << 20, PATHS_MAX = 1 << 20, NO_FIELD = COLLECTION_FIELDS_MAX };

/* What is common to all conditions while the text is made. */
struct writer {
    struct sqlite_filter *out;
    const struct collection_spec *spec;
    struct error *err;
    enum status status; /* of what was written so far; later writing does nothing */
};

static void write_text(struct writer *writer, const char *text) {
    if (writer->status) return;
    writer->status = buffer_append(&writer->out->sql, text, strlen(text), writer->err);
}

static size_t bound_count(const struct sqlite_filter *filter) {
    return filter->bound.size / sizeof(struct sqlite_bound);
}

/* Writes "?7" and keeps what it stands for. */
static void write_parameter(struct writer *writer, const struct sqlite_bound *bound) {
    struct sqlite_filter *out = writer->out;
    if (writer->status) return;
    writer->status =
        buffer_printf(&out->sql, writer->err, "?%d", out->first + (int)bound_count(out));
    if (writer->status) return;
    writer->status = buffer_append(&out->bound, bound, sizeof(*bound), writer->err);
}

static void write_value(struct writer *writer, const struct filter_value *value) {
    write_parameter(writer, &(struct sqlite_bound){.what = BOUND_VALUE, .value = *value});
}

static void write_field(struct writer *writer, size_t field) {
    write_parameter(writer, &(struct sqlite_bound){.what = BOUND_FIELD, .at = field});
}

/* Steps have no quotes, filter_check() saw to that. */
void sqlite_filter_path(char out[SQLITE_PATH_SIZE], const char *field) {
    char *end = stpcpy(out, "$.\"");
    for (const char *c = field; *c; c++) {
        if (*c == '.')
            end = stpcpy(end, "\".\"");
        else
            *end++ = *c;
    }
    memcpy(end, "\"", 2);
}

static size_t keep_path(struct writer *writer, const char *field) {
    struct buffer *paths = &writer->out->paths;
    size_t at = paths->size;
    char path[SQLITE_PATH_SIZE];
    sqlite_filter_path(path, field);
    if (!writer->status) writer->status = buffer_append(paths, path, strlen(path) + 1, writer->err);
    return at;
}

static void write_path(struct writer *writer, size_t path) {
    write_parameter(writer, &(struct sqlite_bound){.what = BOUND_PATH, .at = path});
}

static size_t find_field(const struct collection_spec *spec, const char *path) {
    for (size_t i = 0; i < spec->fields_count; i++) {
        if (strcmp(spec->fields[i].path, path) == 0) return i;
    }
    return NO_FIELD;
}

static size_t count_kind(const struct filter *filter, enum filter_value_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < filter->count; i++) count += filter->values[i].kind == kind;
    return count;
}

/* "(?1, ?2)": the values of one kind. */
static void write_list(struct writer *writer, const struct filter *filter,
                       enum filter_value_kind kind) {
    const char *separator = "(";
    for (size_t i = 0; i < filter->count; i++) {
        if (filter->values[i].kind != kind) continue;
        write_text(writer, separator);
        write_value(writer, &filter->values[i]);
        separator = ", ";
    }
    write_text(writer, ")");
}

static const char *const kind_numbers[] = {"0", "1", "2"};
static const char *const kind_types[] = {"('true', 'false')", "('integer', 'real')", "('text')"};

/* The rows of an IN: one search of the index for each kind, since a value of another kind is
 * another value. */
static void write_in_rows(struct writer *writer, const struct filter *filter, size_t field) {
    const char *separator = "";
    for (int kind = FILTER_BOOL; kind <= FILTER_TEXT; kind++) {
        if (!count_kind(filter, (enum filter_value_kind)kind)) continue;
        write_text(writer, separator);
        write_text(writer, "SELECT row FROM values_@ WHERE field = ");
        write_field(writer, field);
        write_text(writer, " AND kind = ");
        write_text(writer, kind_numbers[kind]);
        write_text(writer, " AND value IN ");
        write_list(writer, filter, (enum filter_value_kind)kind);
        separator = " UNION ALL ";
    }
}

/* json_each() takes an array apart and makes one row of a plain value; the members of an
 * object are no values of the field. */
static void write_scanned_in(struct writer *writer, const struct filter *filter, size_t path) {
    const char *separator = " <> 'object' AND (";
    write_text(writer, "EXISTS (SELECT 1 FROM json_each(i.metadata, ");
    write_path(writer, path);
    write_text(writer, ") e WHERE json_type(i.metadata, ");
    write_path(writer, path);
    write_text(writer, ")");
    for (int kind = FILTER_BOOL; kind <= FILTER_TEXT; kind++) {
        if (!count_kind(filter, (enum filter_value_kind)kind)) continue;
        write_text(writer, separator);
        write_text(writer, "(e.type IN ");
        write_text(writer, kind_types[kind]);
        write_text(writer, " AND e.value IN ");
        write_list(writer, filter, (enum filter_value_kind)kind);
        write_text(writer, ")");
        separator = " OR ";
    }
    write_text(writer, "))");
}

static const char *const above[] = {" > ", " >= "}, *const below[] = {" < ", " <= "};

static enum filter_value_kind kind_of_range(const struct filter *filter) {
    return filter->low.set ? filter->low.value.kind : filter->high.value.kind;
}

static void write_range_rows(struct writer *writer, const struct filter *filter, size_t field) {
    const struct filter_bound *low = &filter->low, *high = &filter->high;
    write_text(writer, "SELECT row FROM values_@ WHERE field = ");
    write_field(writer, field);
    write_text(writer, " AND kind = ");
    write_text(writer, kind_numbers[kind_of_range(filter)]);
    write_text(writer, " AND whole = 1");
    if (low->set) {
        write_text(writer, " AND value");
        write_text(writer, above[low->inclusive]);
        write_value(writer, &low->value);
    }
    if (high->set) {
        write_text(writer, " AND value");
        write_text(writer, below[high->inclusive]);
        write_value(writer, &high->value);
    }
}

static void write_scanned_bound(struct writer *writer, size_t path,
                                const struct filter_bound *bound,
                                const char *const comparisons[2]) {
    if (!bound->set) return;
    write_text(writer, " AND json_extract(i.metadata, ");
    write_path(writer, path);
    write_text(writer, ")");
    write_text(writer, comparisons[bound->inclusive]);
    write_value(writer, &bound->value);
}

static void write_scanned_range(struct writer *writer, const struct filter *filter, size_t path) {
    write_text(writer, "coalesce(json_type(i.metadata, ");
    write_path(writer, path);
    write_text(writer, ") IN ");
    write_text(writer, kind_types[kind_of_range(filter)]);
    write_scanned_bound(writer, path, &filter->low, above);
    write_scanned_bound(writer, path, &filter->high, below);
    write_text(writer, ", 0)");
}

/* Whether the index alone can tell which rows the condition means. */
static bool is_indexed(const struct collection_spec *spec, const struct filter *filter) {
    if (filter->kind == FILTER_IN && filter->count == 0) return false;
    return (filter->kind == FILTER_IN || filter->kind == FILTER_RANGE) &&
           find_field(spec, filter->field) != NO_FIELD;
}

static void write_indexed_rows(struct writer *writer, const struct filter *filter) {
    size_t field = find_field(writer->spec, filter->field);
    if (filter->kind == FILTER_IN)
        write_in_rows(writer, filter, field);
    else
        write_range_rows(writer, filter, field);
}

static void write_field_condition(struct writer *writer, const struct filter *filter) {
    if (filter->kind == FILTER_IN && filter->count == 0) {
        write_text(writer, "0");
        return;
    }
    if (is_indexed(writer->spec, filter)) {
        write_text(writer, "i.row IN (");
        write_indexed_rows(writer, filter);
        write_text(writer, ")");
        return;
    }
    size_t path = keep_path(writer, filter->field);
    if (filter->kind == FILTER_IN) {
        write_scanned_in(writer, filter, path);
    } else if (filter->kind == FILTER_RANGE) {
        write_scanned_range(writer, filter, path);
    } else {
        write_text(writer, "coalesce(json_type(i.metadata, ");
        write_path(writer, path);
        write_text(writer, "), 'null') <> 'null'");
    }
}

/* Recursion ends at FILTER_DEPTH_MAX. */
static void write_condition(struct writer *writer, const struct filter *filter) {
    bool all = filter->kind == FILTER_AND;
    switch (filter->kind) {
    case FILTER_NOT:
        write_text(writer, "NOT (");
        write_condition(writer, &filter->children[0]);
        write_text(writer, ")");
        return;
    case FILTER_AND:
    case FILTER_OR:
        write_text(writer, all ? "(1" : "(0");
        for (size_t i = 0; i < filter->count; i++) {
            write_text(writer, all ? " AND " : " OR ");
            write_condition(writer, &filter->children[i]);
        }
        write_text(writer, ")");
        return;
    case FILTER_IN:
    case FILTER_RANGE:
    case FILTER_EXISTS: write_field_condition(writer, filter); return;
    }
}

static struct writer begin(struct sqlite_filter *out, const struct collection_spec *spec, int first,
                           struct error *err) {
    *out = (struct sqlite_filter){.first = first};
    buffer_init(&out->sql, SQL_MAX);
    buffer_init(&out->bound, SQL_MAX);
    buffer_init(&out->paths, PATHS_MAX);
    return (struct writer){.out = out, .spec = spec, .err = err};
}

static enum status end(struct writer *writer) {
    if (!writer->status) writer->status = buffer_append(&writer->out->sql, "", 1, writer->err);
    return writer->status;
}

enum status sqlite_filter_init(struct sqlite_filter *out, const struct collection_spec *spec,
                               const struct filter *filter, int first, struct error *err) {
    struct writer writer = begin(out, spec, first, err);
    if (filter)
        write_condition(&writer, filter);
    else
        write_text(&writer, "1");
    return end(&writer);
}

/* Whether the condition looks at anything but the numbers of rows. */
static bool reads_items(const struct collection_spec *spec, const struct filter *filter) {
    bool inner =
        filter->kind == FILTER_AND || filter->kind == FILTER_OR || filter->kind == FILTER_NOT;
    if (!inner) return !is_indexed(spec, filter);
    for (size_t i = 0; i < filter->count; i++) {
        if (reads_items(spec, &filter->children[i])) return true;
    }
    return false;
}

/* A query for the rows that fit, in any order and perhaps more than once. Where the index can
 * tell them, the items are left alone, which is several times faster. */
static enum status init_rows(struct sqlite_filter *out, const struct collection_spec *spec,
                             const struct filter *filter, struct error *err) {
    struct writer writer = begin(out, spec, 1, err);
    const struct filter *first = filter;
    if (filter && filter->kind == FILTER_AND && filter->count) first = &filter->children[0];
    if (!filter || !is_indexed(spec, first) || reads_items(spec, filter)) {
        write_text(&writer, "SELECT i.row FROM items_@ i WHERE ");
        if (filter)
            write_condition(&writer, filter);
        else
            write_text(&writer, "1");
        return end(&writer);
    }
    write_text(&writer, "SELECT i.row FROM (");
    write_indexed_rows(&writer, first);
    write_text(&writer, ") i WHERE 1");
    for (size_t i = 1; first != filter && i < filter->count; i++) {
        write_text(&writer, " AND ");
        write_condition(&writer, &filter->children[i]);
    }
    return end(&writer);
}

void sqlite_filter_free(struct sqlite_filter *filter) {
    buffer_free(&filter->sql);
    buffer_free(&filter->bound);
    buffer_free(&filter->paths);
}

const char *sqlite_filter_text(const struct sqlite_filter *filter) {
    return (const char *)filter->sql.data;
}

static void bind_value(sqlite3_stmt *statement, int parameter, const struct filter_value *value) {
    switch (value->kind) {
    case FILTER_BOOL: sqlite_bind_number(statement, parameter, value->boolean); break;
    case FILTER_NUMBER: sqlite3_bind_double(statement, parameter, value->number); break;
    case FILTER_TEXT: sqlite_bind_text(statement, parameter, value->text); break;
    }
}

void sqlite_filter_bind(const struct sqlite_filter *filter, sqlite3_stmt *statement) {
    const struct sqlite_bound *bound =
        (const struct sqlite_bound *)(const void *)filter->bound.data;
    for (size_t i = 0; i < bound_count(filter); i++) {
        int parameter = filter->first + (int)i;
        const char *path = (const char *)filter->paths.data + bound[i].at;
        switch (bound[i].what) {
        case BOUND_VALUE: bind_value(statement, parameter, &bound[i].value); break;
        case BOUND_FIELD: sqlite_bind_number(statement, parameter, (int64_t)bound[i].at); break;
        case BOUND_PATH: sqlite_bind_text(statement, parameter, bytes_of(path)); break;
        }
    }
}

/* ---- rows ---- */

struct rows {
    uint64_t *data;
    size_t count, capacity;
};

static enum status append_row(struct rows *rows, uint64_t row, struct error *err) {
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? rows->capacity * 2 : 1024;
        uint64_t *data = realloc(rows->data, capacity * sizeof(*data));
        if (!data)
            return error_set(err, STATUS_NO_MEMORY, "out of memory for the %zu rows of a filter",
                             capacity);
        rows->data = data;
        rows->capacity = capacity;
    }
    rows->data[rows->count++] = row;
    return STATUS_OK;
}

static int compare_rows(const void *left, const void *right) {
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void sort_rows(struct rows *rows) {
    size_t sorted = 1, kept = 0;
    while (sorted < rows->count && rows->data[sorted - 1] < rows->data[sorted]) sorted++;
    if (sorted >= rows->count) return;
    qsort(rows->data, rows->count, sizeof(*rows->data), compare_rows);
    for (size_t i = 0; i < rows->count; i++) {
        if (kept == 0 || rows->data[kept - 1] != rows->data[i]) rows->data[kept++] = rows->data[i];
    }
    rows->count = kept;
}

enum status sqlite_filter_rows(uint64_t **rows, size_t *count, struct sqlite_connection *connection,
                               int64_t number, const struct collection_spec *spec,
                               const struct filter *filter, struct error *err) {
    struct sqlite_filter query;
    struct rows found = {0};
    sqlite3_stmt *statement;
    bool row;
    enum status status = init_rows(&query, spec, filter, err);
    if (!status)
        status = sqlite_prepare(&statement, connection, sqlite_filter_text(&query), number, err);
    if (!status) sqlite_filter_bind(&query, statement);
    while (!status) {
        status = sqlite_step(connection, statement, &row, err);
        if (status || !row) break;
        status = append_row(&found, (uint64_t)sqlite3_column_int64(statement, 0), err);
    }
    sqlite_filter_free(&query);
    if (status) {
        free(found.data);
        return status;
    }
    sort_rows(&found);
    *rows = found.data;
    *count = found.count;
    return STATUS_OK;
}
