#include "core/index/postgres_search.h"

#include <stdlib.h>
#include <string.h>

#include "core/index/postgres_catalogue.h"
#include "core/index/postgres_filter.h"
#include "core/index/postgres_items.h"
#include "core/index/postgres_schema.h"

enum {
    EFFORT_DEFAULT = 100, /* hnsw.ef_search */
    EFFORT_MAX = 1000,    /* pgvector's limit */
    OVERFETCH = 5,        /* candidates of the approximate index for each hit wanted */
    OVERFETCH_MAX = 1000, /* more than wanted, at most */
    MARGIN = 16,          /* candidates more than wanted, to be scored here */
    WIDEN = 8,            /* times, when these do not decide */
    CANDIDATES_MAX = 16 * COLLECTION_HITS_MAX,
};

/* Scores of ours and distances of PostgreSQL, both in fp32, differ by less. */
static const float rounding = 4e-6F;

struct candidate {
    struct bytes id; /* in the arena */
    size_t offset;   /* of it */
    float score;
};

/* One search of a call on its way. */
struct job {
    struct postgres_store *store;
    const struct collection_spec *spec;
    uint64_t number;
    bool indexed;
    const struct search *search;
    size_t query; /* its place in the call */
    unsigned parts;
    hit_visit_fn *visit;
    void *context;
    struct postgres_link *link;
    float *embedding;             /* [dim], of a candidate */
    struct candidate *candidates; /* [room], of which `count` */
    size_t room, count;
    struct buffer ids;
    struct postgres_item item;
};

/* ---- candidates ---- */

static float dot(const struct job *job, const float *a, const float *b) {
    float sum = 0;
    for (uint32_t i = 0; i < job->spec->dim; i++) sum += a[i] * b[i];
    return sum;
}

static enum status take_candidate(void *context, const PGresult *row, struct error *err) {
    struct job *job = context;
    const struct search *search = job->search;
    if (job->count == job->room)
        return error_set(err, STATUS_INTERNAL, "more than %zu candidates", job->room);
    struct candidate *candidate = &job->candidates[job->count++];
    struct bytes id = postgres_row_bytes(row, 0);
    float rank = search->words.size ? postgres_row_float4(row, 1) : 0;
    candidate->offset = job->ids.size;
    candidate->id.size = id.size;
    candidate->score = rank;
    if (search->embedding) {
        int column = search->words.size ? 2 : 1;
        if (!postgres_row_vector(job->embedding, row, column, job->spec->dim))
            return error_set(err, STATUS_INTERNAL, "a stored embedding has not %u dimensions",
                             job->spec->dim);
        candidate->score = dot(job, search->embedding, job->embedding);
        if (search->words.size)
            candidate->score = (1 - search->words_weight) * candidate->score +
                               search->words_weight * rank;
    }
    return buffer_append(&job->ids, id.data, id.size, err);
}

static int compare_candidates(const void *left, const void *right) {
    const struct candidate *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    size_t size = a->id.size < b->id.size ? a->id.size : b->id.size;
    int order = memcmp(a->id.data, b->id.data, size);
    return order ? order : (a->id.size > b->id.size) - (a->id.size < b->id.size);
}

/* ---- statements ---- */

/* Numbers of the parameters that all parts of a statement share. */
struct numbers {
    unsigned embedding, words, weight;
};

/* How well the words fit: rank / (rank + 1), which lies between 0 and 1. */
static void add_rank(struct postgres_query *query, const struct numbers *numbers) {
    postgres_query_add(query,
                       "CASE WHEN to_tsvector('simple', text) @@ plainto_tsquery('simple', $%u) "
                       "THEN ts_rank(to_tsvector('simple', text), "
                       "plainto_tsquery('simple', $%u), 32) ELSE 0::float4 END",
                       numbers->words, numbers->words);
}

static void add_matching(struct postgres_query *query, const struct numbers *numbers) {
    postgres_query_add(query,
                       " AND text IS NOT NULL AND to_tsvector('simple', text) @@ "
                       "plainto_tsquery('simple', $%u)",
                       numbers->words);
}

/* The items nearest by the approximate index and, with words, those that fit them best: what
 * is best by both is likely among them. */
static void add_near(struct postgres_query *query, const struct job *job,
                     const struct numbers *numbers, size_t wanted) {
    unsigned long long table = job->number;
    unsigned dim = job->spec->dim;
    size_t more = wanted * (OVERFETCH - 1);
    size_t limit = wanted + (more < OVERFETCH_MAX ? more : OVERFETCH_MAX);
    postgres_query_add(query, "WITH near AS MATERIALIZED (SELECT * FROM clipd_items_%llu WHERE ",
                       table);
    postgres_filter_add(query, job->spec, job->search->filter);
    postgres_query_add(query,
                       " ORDER BY embedding::halfvec(%u) <=> $%u::vector::halfvec(%u) LIMIT %zu) ",
                       dim, numbers->embedding, dim, limit);
    if (!numbers->words) return;
    postgres_query_add(query, ", worded AS MATERIALIZED (SELECT * FROM clipd_items_%llu WHERE ",
                       table);
    postgres_filter_add(query, job->spec, job->search->filter);
    add_matching(query, numbers);
    postgres_query_add(query, " ORDER BY ");
    add_rank(query, numbers);
    postgres_query_add(query, " DESC, id LIMIT %zu), both AS (SELECT * FROM near UNION ALL "
                              "SELECT * FROM worded WHERE id NOT IN (SELECT id FROM near)) ",
                       limit);
}

/* Finds the `wanted` best by PostgreSQL's arithmetic. */
static void write_search(struct postgres_query *query, const struct job *job, size_t wanted,
                         bool approximate) {
    const struct search *search = job->search;
    struct numbers numbers = {0};
    if (search->embedding)
        numbers.embedding = postgres_query_vector(query, search->embedding, job->spec->dim);
    if (search->words.size) numbers.words = postgres_query_bytes(query, search->words);
    if (search->embedding && search->words.size)
        numbers.weight = postgres_query_float8(query, (double)search->words_weight);
    if (approximate) add_near(query, job, &numbers, wanted);
    postgres_query_add(query, "SELECT id");
    if (numbers.words) {
        postgres_query_add(query, ", ");
        add_rank(query, &numbers);
    }
    if (numbers.embedding) postgres_query_add(query, ", embedding");
    if (approximate) {
        postgres_query_add(query, " FROM %s", numbers.words ? "both" : "near");
    } else {
        postgres_query_add(query, " FROM clipd_items_%llu WHERE ",
                           (unsigned long long)job->number);
        postgres_filter_add(query, job->spec, search->filter);
        if (!numbers.embedding) add_matching(query, &numbers);
    }
    postgres_query_add(query, " ORDER BY ");
    /* Embeddings are of length 1: the inner product is the cosine; "<#>" gives its negative. */
    if (numbers.embedding && numbers.words)
        postgres_query_add(query, "(1 - $%u::float8) * (embedding <#> $%u::vector) - $%u::float8 * ",
                           numbers.weight, numbers.embedding, numbers.weight);
    else if (numbers.embedding)
        postgres_query_add(query, "embedding <#> $%u::vector", numbers.embedding);
    else
        postgres_query_add(query, "-");
    if (numbers.words) {
        postgres_query_add(query, "(");
        add_rank(query, &numbers);
        postgres_query_add(query, ")");
    }
    postgres_query_add(query, ", id LIMIT %zu", wanted);
}

/* The settings hold for this statement's transaction only. Relaxed order will do: what comes
 * back is sorted here. */
static void write_settings(struct postgres_query *query, const struct search *search) {
    uint32_t effort = search->effort ? search->effort : EFFORT_DEFAULT;
    postgres_query_add(query,
                       "SELECT set_config('hnsw.ef_search', '%u', true), "
                       "set_config('hnsw.iterative_scan', 'relaxed_order', true)",
                       effort < EFFORT_MAX ? effort : EFFORT_MAX);
}
