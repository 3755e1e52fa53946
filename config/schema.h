/* schema.h - every configuration key, once.
 *
 * One table gives the names in the file and in the environment, the kind and the
 * range of each value, and its meaning in a line. The README's table, the man page
 * and the example file are compared with it by a test.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum schema_kind {
    SCHEMA_COUNT,    /* 64 */
    SCHEMA_FRACTION, /* 0.999, 1: the field counts millionths */
    SCHEMA_SIZE,     /* 500, 64KB (of 1000), 20MiB (of 1024) */
    SCHEMA_SECONDS,  /* 30s, 2m: the field counts seconds */
    SCHEMA_MS,       /* 500ms, 30s, 2m: the field counts milliseconds */
    SCHEMA_LISTEN,   /* 127.0.0.1:8080, [::1]:8080, :8080 */
    SCHEMA_CHOICE,   /* one of `choices`; the field is an enum in their order */
    SCHEMA_TEXT,     /* one of `choices` when there are any */
    SCHEMA_SECRET,   /* a text; printed without the password if it is an URL with one */
    SCHEMA_BOOL,     /* true, false */
    SCHEMA_LIST,     /* of texts */
};

struct schema_key {
    const char *name; /* "server.listen": section and key; of a model the key alone */
    enum schema_kind kind;
    bool stands_alone;    /* "store: /data" in the file is short for it; first of its section */
    size_t offset;        /* of the field in struct config, or in struct registry_model */
    size_t width;         /* of a number's field, in bytes: 4 or 8 */
    uint64_t min, max;    /* of numbers, in the units of the field */
    const char *choices;  /* "text|json" */
    const char *variable; /* in the environment; NULL: made of the name */
    const char *meaning;
};

/* For the sizes of arrays; the tables are held up to them at compile time. */
enum { SCHEMA_KEYS_MAX = 48, SCHEMA_MODEL_KEYS_MAX = 24, SCHEMA_NAME_SIZE = 64 };

/* In the order of the file; the keys of a section stand together. */
extern const struct schema_key schema_keys[];
extern const size_t schema_keys_count;
/* The keys of one entry of `models`. */
extern const struct schema_key schema_model_keys[];
extern const size_t schema_model_keys_count;

/* NULL when there is no such key. */
const struct schema_key *schema_find(const char *name);

/* "server.listen" becomes "CLIPD_SERVER_LISTEN", unless the key has a name of its own. */
void schema_environment_name(char out[SCHEMA_NAME_SIZE], const struct schema_key *key);

#endif
