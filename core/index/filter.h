/* filter.h - which items are meant, by their metadata.
 *
 * A tree that the caller builds and owns; the stores translate it to SQL with bound
 * parameters. A field is a path into the metadata, its steps parted by dots
 * ("camera.model"). A field that an item lacks, or that holds another kind of value,
 * fits no condition, and so fits the negation of every one. */
#ifndef CORE_INDEX_FILTER_H
#define CORE_INDEX_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/bytes.h"

enum filter_kind {
    FILTER_AND,    /* every child; with none: everything */
    FILTER_OR,     /* any child; with none: nothing */
    FILTER_NOT,    /* not its only child */
    FILTER_IN,     /* the field is one of `values`, or an array that holds one of them */
    FILTER_RANGE,  /* the field lies between the bounds, numbers or texts (by bytes) */
    FILTER_EXISTS, /* the field is there, and not null */
};

enum filter_value_kind { FILTER_BOOL, FILTER_NUMBER, FILTER_TEXT };

struct filter_value {
    enum filter_value_kind kind;
    bool boolean;
    double number;
    struct bytes text; /* UTF-8, borrowed */
};

struct filter_bound {
    bool set, inclusive;
    struct filter_value value; /* a number or a text; both bounds of one kind */
};

struct filter {
    enum filter_kind kind;
    struct filter *children;           /* [count] for AND, OR, NOT */
    const char *field;                 /* for the others */
    const struct filter_value *values; /* [count] for IN */
    size_t count;
    struct filter_bound low, high; /* RANGE */
};

enum {
    FILTER_DEPTH_MAX = 16,
    FILTER_NODES_MAX = 256,
    FILTER_VALUES_MAX = 4096, /* of all its conditions together */
    FILTER_FIELD_MAX = 200
};

/* STATUS_INVALID for what is deeper, larger or less sensible than stores take: an empty
 * path or step, a quote, backslash or control character in it, a range without a bound or
 * with bounds of two kinds. NULL, every item, is fine. */
enum status filter_check(const struct filter *filter, struct error *err);
/* The same for the path of a field alone. */
enum status filter_check_field(const char *field, struct error *err);

#endif
