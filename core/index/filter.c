/* filter.c - the limits of filters, held before any store sees one. */
#include "core/index/filter.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/text/unicode.h"

/* What has been seen of a filter so far. */
struct tally {
    size_t nodes, values;
};

enum status filter_check_field(const char *field, struct error *err) {
    size_t size = strlen(field), offset;
    if (size == 0) return error_set(err, STATUS_INVALID, "the path of a field is empty");
    if (size > FILTER_FIELD_MAX)
        return error_set(err, STATUS_INVALID, "the path of a field has %zu bytes, the limit is %d",
                         size, FILTER_FIELD_MAX);
    if (!unicode_valid(bytes_of(field), &offset))
        return error_set(err, STATUS_INVALID, "the path of a field is not UTF-8 at byte %zu",
                         offset);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)field[i];
        if (c < 0x20 || c == 0x7F || c == '"' || c == '\\')
            return error_set(
                err, STATUS_INVALID,
                "the path of a field has a quote, backslash or control character at byte %zu", i);
    }
    if (field[0] == '.' || field[size - 1] == '.' || strstr(field, ".."))
        return error_set(err, STATUS_INVALID, "the path \"%s\" has an empty step", field);
    return STATUS_OK;
}

static enum status check_value(const struct filter_value *value, struct error *err) {
    size_t offset;
    switch (value->kind) {
    case FILTER_BOOL: return STATUS_OK;
    case FILTER_NUMBER:
        if (isfinite(value->number)) return STATUS_OK;
        return error_set(err, STATUS_INVALID, "a number in the filter is not finite");
    case FILTER_TEXT:
        if (!unicode_valid(value->text, &offset))
            return error_set(err, STATUS_INVALID, "a text in the filter is not UTF-8 at byte %zu",
                             offset);
        if (value->text.size && memchr(value->text.data, 0, value->text.size))
            return error_set(err, STATUS_INVALID, "a text in the filter holds U+0000");
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "a value of no known kind in the filter");
}

static enum status check_in(const struct filter *filter, struct tally *tally, struct error *err) {
    if (filter->count > FILTER_VALUES_MAX - tally->values)
        return error_set(err, STATUS_INVALID, "the filter has more than %d values",
                         FILTER_VALUES_MAX);
    tally->values += filter->count;
    for (size_t i = 0; i < filter->count; i++) {
        enum status status = check_value(&filter->values[i], err);
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status check_range(const struct filter *filter, struct error *err) {
    const struct filter_bound *bounds[] = {&filter->low, &filter->high};
    if (!filter->low.set && !filter->high.set)
        return error_set(err, STATUS_INVALID, "the range of \"%s\" has no bound", filter->field);
    for (size_t i = 0; i < 2; i++) {
        if (!bounds[i]->set) continue;
        if (bounds[i]->value.kind == FILTER_BOOL)
            return error_set(err, STATUS_INVALID,
                             "a bound of \"%s\" is a boolean, expected a number or a text",
                             filter->field);
        enum status status = check_value(&bounds[i]->value, err);
        if (status) return status;
    }
    if (filter->low.set && filter->high.set && filter->low.value.kind != filter->high.value.kind)
        return error_set(err, STATUS_INVALID, "the bounds of \"%s\" are a number and a text",
                         filter->field);
    return STATUS_OK;
}

static enum status check_node(const struct filter *filter, size_t depth, struct tally *tally,
                              struct error *err) {
    enum status status;
    if (depth > FILTER_DEPTH_MAX)
        return error_set(err, STATUS_INVALID, "the filter is deeper than %d", FILTER_DEPTH_MAX);
    if (++tally->nodes > FILTER_NODES_MAX)
        return error_set(err, STATUS_INVALID, "the filter has more than %d conditions",
                         FILTER_NODES_MAX);
    switch (filter->kind) {
    case FILTER_NOT:
        if (filter->count != 1)
            return error_set(err, STATUS_INVALID, "\"not\" has %zu conditions, expected 1",
                             filter->count);
        return check_node(&filter->children[0], depth + 1, tally, err);
    case FILTER_AND:
    case FILTER_OR:
        for (size_t i = 0; i < filter->count; i++) {
            status = check_node(&filter->children[i], depth + 1, tally, err);
            if (status) return status;
        }
        return STATUS_OK;
    case FILTER_IN:
    case FILTER_RANGE:
    case FILTER_EXISTS:
        status = filter_check_field(filter->field, err);
        if (status || filter->kind == FILTER_EXISTS) return status;
        if (filter->kind == FILTER_IN) return check_in(filter, tally, err);
        return check_range(filter, err);
    }
    return error_set(err, STATUS_INVALID, "a condition of no known kind in the filter");
}

enum status filter_check(const struct filter *filter, struct error *err) {
    struct tally tally = {0};
    return filter ? check_node(filter, 1, &tally, err) : STATUS_OK;
}
