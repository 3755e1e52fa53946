/* collection.h - the door of retrieval: items are put in, found and taken out.
 *
 * A collection holds items of one model: an id, an embedding, metadata (a JSON object) and,
 * if wanted, a text to search by words, a thumbnail and the digest of the file that it
 * came from. Callers bring embeddings; nothing here knows of models, images or JSON
 * beyond passing it on. Where items are kept is one of two stores behind the same calls:
 * SQLite in a directory, with the search in memory, or PostgreSQL with pgvector.
 *
 * What upsert or delete has acknowledged survives the death of the process and of the
 * machine, and is seen by every later call of anybody.
 *
 * Scores are cosines in fp32, computed by the same code for either store; hits come best
 * first, ties by id. Every function may be called from any thread and blocks. Stores that
 * cannot be reached give STATUS_UNAVAILABLE. Strings and bytes that a visitor is given are
 * borrowed until it returns. */
#ifndef CORE_INDEX_COLLECTION_H
#define CORE_INDEX_COLLECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/sha256.h"
#include "core/index/filter.h"

struct collections;

/* The folder for snapshots in the directory of a store: where it looks for those that a crash cut
 * short. */
#define COLLECTIONS_SNAPSHOTS "snapshots"

enum {
    COLLECTION_NAME_MAX = 64, /* bytes: letters, digits, "-", "_", "."; not "." first */
    COLLECTION_ID_MAX = 512,  /* bytes of UTF-8, no control characters */
    COLLECTION_FIELDS_MAX = 32,
    COLLECTION_DIM_MAX = 4096,
    COLLECTION_BATCH_MAX = 1000,     /* items in one upsert */
    COLLECTION_METADATA_MAX = 65536, /* bytes of one item's */
    COLLECTION_TEXT_MAX = 65536,
    COLLECTION_THUMBNAIL_MAX = 1 << 20,
    COLLECTION_WORDS_MAX = 4096,           /* bytes of a search by words */
    COLLECTION_HITS_MAX = 10000,           /* offset + top_k; ids in one call */
    COLLECTION_HITS_TOGETHER_MAX = 100000, /* of the searches of one call */
    COLLECTION_EFFORT_MAX = 10000,
    COLLECTION_TIMEOUT_MS = 10000,
};

struct collections_options {
    /* A directory, made if it is not there, or "postgresql://...". */
    const char *store;
    unsigned features; /* instruction sets for the search, core/kernels/isa.h */
    uint32_t threads;  /* that search in memory; 0: one per usable core */
    /* Items from which on an approximate index answers instead of a scan; 0: the default,
     * UINT64_MAX: never. */
    uint64_t approximate_from;
    uint32_t connections; /* to PostgreSQL at most; 0: the default */
    uint32_t timeout_ms;  /* for an answer of the store; 0: COLLECTION_TIMEOUT_MS */
};

enum status collections_open(struct collections **out, const struct collections_options *options,
                             struct error *err);
/* No call may be in flight. NULL is allowed. */
void collections_close(struct collections *collections);
/* STATUS_OK while the store answers: for readiness. Fast, unless a disk hangs. */
enum status collections_ping(struct collections *collections, struct error *err);

/* ---- collections ---- */

enum collection_precision { COLLECTION_INT8, COLLECTION_BF16, COLLECTION_FP32 };
enum collection_field_kind { COLLECTION_TEXT, COLLECTION_NUMBER, COLLECTION_BOOL };

/* A field of the metadata that filters name often: the store keeps an index of it. Filters
 * may name others, too. */
struct collection_field {
    char path[FILTER_FIELD_MAX + 1];
    enum collection_field_kind kind;
};

struct collection_spec {
    char name[COLLECTION_NAME_MAX + 1];
    char model[129];                    /* the name it was made under, for people */
    char model_digest[SHA256_HEX_SIZE]; /* of the weights: embeddings of another are refused */
    uint32_t dim;
    enum collection_precision precision; /* of the scan in memory; hits are rescored in fp32 */
    struct collection_field fields[COLLECTION_FIELDS_MAX];
    size_t fields_count;
};

/* Makes a collection. If it is there already and is the same, *created is false; if it is
 * another, STATUS_CONFLICT says in what. */
enum status collection_create(struct collections *collections, const struct collection_spec *spec,
                              bool *created, struct error *err);
/* STATUS_NOT_FOUND if there is none: so does every function below that names one. */
enum status collection_describe(struct collections *collections, const char *name,
                                struct collection_spec *out, struct error *err);
enum status collection_drop(struct collections *collections, const char *name, struct error *err);
typedef enum status collection_visit_fn(void *context, const struct collection_spec *spec,
                                        struct error *err);
/* In the order of their names. What the visitor returns, if not STATUS_OK, ends the walk and
 * is returned. */
enum status collection_list(struct collections *collections, collection_visit_fn *visit,
                            void *context, struct error *err);

/* ---- items ---- */

struct item {
    struct bytes id;
    const float *embedding;   /* [dim], of any length but 0: it is scaled to 1 */
    const char *model_digest; /* the collection's; only of items that are read */
    struct bytes metadata;    /* a JSON object without U+0000; empty: {} */
    struct bytes text;        /* what a search by words looks at; may be empty */
    struct bytes thumbnail;   /* an image file; may be empty */
    uint32_t dim;             /* of the embedding: STATUS_CONFLICT if it is not the collection's */
    bool has_digest;
    uint8_t digest[SHA256_SIZE]; /* of the file that the item was made from */
};

struct collection_upserted {
    uint64_t inserted, updated;
};

/* Puts items in, or in the place of those with the same id, all or none. Of several with
 * one id in a call, the last counts. `model_digest` is that of the model which made the
 * embeddings: STATUS_CONFLICT when the collection has another. STATUS_INVALID, with the
 * item's number in err->input, for a bad id, or an embedding that is 0 or not finite. */
enum status collection_upsert(struct collections *collections, const char *name,
                              const char *model_digest, const struct item *items, size_t count,
                              struct collection_upserted *out, struct error *err);
/* What upsert checks of each item, for callers that can do without a bad one. */
enum status collection_check_item(const struct collection_spec *spec, const struct item *item,
                                  struct error *err);

/* Which parts of an item a call wants; its id comes always. */
enum item_part {
    ITEM_METADATA = 1,
    ITEM_TEXT = 2,
    ITEM_THUMBNAIL = 4,
    ITEM_DIGEST = 8,
    ITEM_EMBEDDING = 16,
};

typedef enum status item_visit_fn(void *context, const struct item *item, struct error *err);
/* Who is given the items. What it returns, if not STATUS_OK, ends the call and is returned. */
struct item_visitor {
    unsigned parts; /* enum item_part */
    item_visit_fn *visit;
    void *context;
};

/* Those of the items that are there, in the order of `ids`. */
enum status collection_fetch(struct collections *collections, const char *name,
                             const struct bytes *ids, size_t count,
                             const struct item_visitor *visitor, struct error *err);
/* At most `limit` items that fit the filter, in the order of their ids' bytes, those after
 * `after` (empty: from the start). A walk in several calls sees every item that was there all
 * the time. */
enum status collection_scroll(struct collections *collections, const char *name,
                              const struct filter *filter, struct bytes after, size_t limit,
                              const struct item_visitor *visitor, struct error *err);
enum status collection_count(struct collections *collections, const char *name,
                             const struct filter *filter, uint64_t *out, struct error *err);
/* *deleted says how many of them were there. */
enum status collection_delete(struct collections *collections, const char *name,
                              const struct bytes *ids, size_t count, uint64_t *deleted,
                              struct error *err);
enum status collection_delete_where(struct collections *collections, const char *name,
                                    const struct filter *filter, uint64_t *deleted,
                                    struct error *err);

/* ---- search ---- */

struct search {
    const float *embedding;   /* [dim], of any length but 0; NULL: by words alone */
    uint32_t dim;             /* STATUS_CONFLICT if it is not the collection's */
    const char *model_digest; /* of what made the embedding, the same; NULL: it is not known */
    /* For the items' text; empty: by embedding alone. A text matches if it has all of them,
     * in any order, whatever their case. */
    struct bytes words;
    /* With both: score = (1 - words_weight) * cosine + words_weight * rank, the rank of the
     * words' match between 0 and 1, and 0 without a match. By words alone only matches are
     * hits, and the score is the rank. */
    float words_weight;
    uint32_t top_k, offset;      /* together at most COLLECTION_HITS_MAX */
    float score_min;             /* hits below are left out; -1 or less: none */
    const struct filter *filter; /* NULL: every item */
    bool exact;                  /* never by the approximate index */
    uint32_t effort;             /* of the approximate index ("ef"); 0: the default */
};

struct hit {
    size_t query; /* which of the searches; their hits come one search after the other */
    size_t rank;  /* from `offset` on */
    float score;
    struct item item;
};

typedef enum status hit_visit_fn(void *context, const struct hit *hit, struct error *err);
struct hit_visitor {
    unsigned parts; /* enum item_part */
    hit_visit_fn *visit;
    void *context;
};

/* Answers several searches in one pass. With a filter there are min(top_k, matches) hits,
 * however few match. */
enum status collection_search(struct collections *collections, const char *name,
                              const struct search *searches, size_t count,
                              const struct hit_visitor *visitor, struct error *err);

/* ---- care ---- */

struct collection_stats {
    uint64_t items;
    /* In SQLite of the whole database: the share of one collection could only be told by reading
     * all of its pages. */
    uint64_t bytes_stored;
    uint64_t bytes_in_memory;
    const char *store; /* "sqlite", "postgresql" */
    const char *index; /* "scan", "hnsw" */
    uint64_t indexed;  /* items in the approximate index */
    bool building;     /* it is being built or brought up to date */
};
enum status collection_stats(struct collections *collections, const char *name,
                             struct collection_stats *out, struct error *err);

/* Builds the index anew from the store, in the background; searches go on. */
enum status collection_reindex(struct collections *collections, const char *name,
                               struct error *err);

/* SQLite only, else STATUS_UNSUPPORTED: copies all of the store's collections to a file while
 * the service goes on, and takes one collection back from such a file, in the place of what
 * it holds now. */
enum status collections_snapshot(struct collections *collections, const char *path,
                                 struct error *err);
enum status collection_restore(struct collections *collections, const char *name, const char *path,
                               struct error *err);

#endif
