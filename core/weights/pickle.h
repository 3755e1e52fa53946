/* pickle.h - Python's pickles, read as inert data (SPEC 7.2).
 *
 * A pickle is a program for a stack machine, and Python's machine calls what the program
 * names. This one calls nothing: a global is its name, a call is a record of what would
 * have been called with which arguments, and only the instructions that weight files use
 * are known. Values, links, stack and memo are bounded by the pickle's own size and by
 * PICKLE_VALUES_MAX. Whoever walks the values bounds his steps: they may share parts, and
 * even contain themselves. */
#ifndef CORE_WEIGHTS_PICKLE_H
#define CORE_WEIGHTS_PICKLE_H

#include <stdbool.h>

#include "core/base/bytes.h"

enum { PICKLE_VALUES_MAX = 1 << 20 };

/* No value, and the end of a chain of links. */
#define PICKLE_NOTHING UINT32_MAX

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_FLOAT,
    PICKLE_LONG, /* an integer of more than eight bytes: `text` has them */
    PICKLE_TEXT, /* strings and bytes */
    PICKLE_GLOBAL,
    PICKLE_PERSISTENT, /* what the file keeps elsewhere: `callee` is the tuple that says where */
    PICKLE_TUPLE,
    PICKLE_LIST, /* sets, too */
    PICKLE_DICT, /* items are key, value, key, value ... */
    PICKLE_OBJECT,
};

struct pickle_value {
    enum pickle_kind kind;
    /* Containers and objects: their items, as a chain of links. */
    uint32_t first, last, count;
    union {
        int64_t integer; /* PICKLE_BOOL, PICKLE_INTEGER */
        double number;
        struct {
            struct bytes text; /* in the file; of PICKLE_GLOBAL the name */
            struct bytes module;
        };
        struct {
            uint32_t callee, arguments, state; /* PICKLE_OBJECT; values */
        };
    };
};

struct pickle_link {
    uint32_t value, next;
};

struct pickle {
    struct pickle_value *values;
    struct pickle_link *links;
    size_t values_count, links_count;
    size_t values_capacity, links_capacity;
    uint32_t root;
};

/* Reads one pickle from the start of `file`, of which *used bytes were it. The texts
 * borrow the file. STATUS_UNSUPPORTED for an instruction that is not known, with its
 * place; nothing needs to be freed after an error. */
enum status pickle_parse(struct pickle *out, size_t *used, struct bytes file, struct error *err);
void pickle_free(struct pickle *pickle);

/* NULL for PICKLE_NOTHING. */
const struct pickle_value *pickle_get(const struct pickle *pickle, uint32_t value);
/* Item `index` of a tuple or a list; PICKLE_NOTHING if it has fewer. */
uint32_t pickle_item(const struct pickle *pickle, uint32_t value, uint32_t index);
/* True for that global. */
bool pickle_is_global(const struct pickle *pickle, uint32_t value, const char *module,
                      const char *name);
bool pickle_is_text(const struct pickle *pickle, uint32_t value, const char *text);
/* A whole number that is not negative and fits; false for everything else. */
bool pickle_read_size(const struct pickle *pickle, uint32_t value, size_t *out);

#endif
