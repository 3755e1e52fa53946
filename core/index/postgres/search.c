#include "core/index/postgres/search.h"

#include <stdlib.h>
#include <string.h>

#include "core/index/postgres/catalogue.h"
#include "core/index/postgres/filter.h"
#include "core/index/postgres/items.h"
#include "core/kernels/scan.h"

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
    const struct hit_visitor *visitor;
    struct postgres_link *link;
    float *embedding;             /* [dim], of a candidate */
    struct candidate *candidates; /* [room], of which `count` */
    size_t room, count;
    struct buffer ids;
    struct postgres_item item;
};

/* ---- candidates ---- */

static enum status take_candidate(void *context, const struct pg_result *row, struct error *err) {
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
        candidate->score =
            scan_dot(job->store->kernel, search->embedding, job->embedding, job->spec->dim);
        if (search->words.size)
            candidate->score =
                (1 - search->words_weight) * candidate->score + search->words_weight * rank;
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

/* Candidates of the approximate index when that many are wanted. */
static size_t count_near(size_t wanted) {
    size_t more = wanted * (OVERFETCH - 1);
    return wanted + (more < OVERFETCH_MAX ? more : OVERFETCH_MAX);
}

/* The items nearest by the approximate index and, with words, those that fit them best: what
 * is best by both is likely among them. */
static void add_near(struct postgres_query *query, const struct job *job,
                     const struct numbers *numbers, size_t wanted) {
    unsigned long long table = job->number;
    unsigned dim = job->spec->dim;
    size_t limit = count_near(wanted);
    postgres_query_add(query,
                       "WITH near AS MATERIALIZED (SELECT id, embedding, text FROM "
                       "clipd_items_%llu WHERE ",
                       table);
    postgres_filter_add(query, job->spec, job->search->filter);
    postgres_query_add(query,
                       " ORDER BY embedding::halfvec(%u) <=> $%u::vector::halfvec(%u) LIMIT %zu) ",
                       dim, numbers->embedding, dim, limit);
    if (!numbers->words) return;
    postgres_query_add(query,
                       ", worded AS MATERIALIZED (SELECT id, embedding, text FROM "
                       "clipd_items_%llu WHERE ",
                       table);
    postgres_filter_add(query, job->spec, job->search->filter);
    add_matching(query, numbers);
    postgres_query_add(query, " ORDER BY ");
    add_rank(query, numbers);
    postgres_query_add(query,
                       " DESC, id LIMIT %zu), both AS (SELECT * FROM near UNION ALL "
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
        postgres_query_add(query, " FROM clipd_items_%llu WHERE ", (unsigned long long)job->number);
        postgres_filter_add(query, job->spec, search->filter);
        if (!numbers.embedding) add_matching(query, &numbers);
    }
    postgres_query_add(query, " ORDER BY ");
    /* Embeddings are of length 1: the inner product is the cosine; "<#>" gives its negative. */
    if (numbers.embedding && numbers.words)
        postgres_query_add(query,
                           "(1 - $%u::float8) * (embedding <#> $%u::vector) - $%u::float8 * ",
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
static void write_settings(struct postgres_query *query, const struct search *search,
                           size_t wanted) {
    size_t effort = search->effort ? search->effort : EFFORT_DEFAULT;
    /* With less, the index is begun again for the rest of the candidates. */
    if (effort < count_near(wanted)) effort = count_near(wanted);
    postgres_query_add(query,
                       "SELECT set_config('hnsw.ef_search', '%zu', true), "
                       "set_config('hnsw.iterative_scan', 'relaxed_order', true)",
                       effort < EFFORT_MAX ? effort : EFFORT_MAX);
}

static enum status take_nothing(void *context, const struct pg_result *row, struct error *err) {
    (void)context;
    (void)row;
    (void)err;
    return STATUS_OK;
}

/* Fills job->candidates with at most `wanted`, best first. */
static enum status find(struct job *job, size_t wanted, bool approximate, uint64_t deadline_ns,
                        struct error *err) {
    struct postgres_query queries[3];
    size_t count = 0;
    struct candidate *room = realloc(job->candidates, wanted * sizeof(*room));
    if (!room) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu hits", wanted);
    job->candidates = room;
    job->room = wanted;
    job->count = job->ids.size = 0;
    /* Hits and their parts are read from one state of the collection. */
    if (job->visitor->parts && postgres_link_is_idle(job->link)) {
        postgres_query_init(&queries[count]);
        postgres_query_add(&queries[count++], "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    }
    if (approximate) {
        postgres_query_init(&queries[count]);
        write_settings(&queries[count], job->search, wanted);
        queries[count++].visit = take_nothing;
    }
    struct postgres_query *query = &queries[count++];
    postgres_query_init(query);
    write_search(query, job, wanted, approximate);
    query->visit = take_candidate;
    query->context = job;
    enum status status = postgres_link_run(job->link, queries, count, deadline_ns, err);
    for (size_t i = 0; i < count; i++) postgres_query_free(&queries[i]);
    if (status) return status;
    /* The buffer moved while it grew. */
    for (size_t i = 0; i < job->count; i++)
        job->candidates[i].id.data = job->ids.data + job->candidates[i].offset;
    qsort(job->candidates, job->count, sizeof(*job->candidates), compare_candidates);
    return STATUS_OK;
}

/* ---- hits ---- */

static enum status visit_hit(struct job *job, size_t rank, const struct item *item,
                             struct error *err) {
    struct hit hit = {
        .query = job->query, .rank = rank, .score = job->candidates[rank].score, .item = *item};
    job->link->delivered = true;
    return job->visitor->visit(job->visitor->context, &hit, err);
}

static enum status take_parts(void *context, const struct pg_result *row, struct error *err) {
    struct job *job = context;
    size_t rank = (size_t)postgres_row_int8(row, 0);
    enum status status =
        postgres_item_read(&job->item, job->spec, row, 1, job->visitor->parts, err);
    return status ? status : visit_hit(job, rank, &job->item.item, err);
}

/* Hands on the hits from `first` to before `end`. */
static enum status deliver(struct job *job, size_t first, size_t end, uint64_t deadline_ns,
                           struct error *err) {
    if (!job->visitor->parts) {
        enum status status = STATUS_OK;
        for (size_t i = first; i < end && !status; i++) {
            struct item item = {.id = job->candidates[i].id,
                                .dim = job->spec->dim,
                                .model_digest = job->spec->model_digest};
            status = visit_hit(job, i, &item, err);
        }
        return status;
    }
    struct postgres_query queries[2], *query = &queries[0];
    postgres_query_init(query);
    postgres_query_init(&queries[1]);
    unsigned ids = postgres_query_array(query, POSTGRES_TEXT, end - first);
    for (size_t i = first; i < end; i++) postgres_query_element(query, job->candidates[i].id);
    postgres_query_add(query, "SELECT n - 1 + $%u::int8, ",
                       postgres_query_int8(query, (int64_t)first));
    postgres_item_add_columns(query, job->visitor->parts);
    postgres_query_add(query,
                       " FROM unnest($%u::text[]) WITH ORDINALITY AS hit (id, n) "
                       "JOIN clipd_items_%llu AS t USING (id) ORDER BY n",
                       ids, (unsigned long long)job->number);
    query->visit = take_parts;
    query->context = job;
    postgres_query_add(&queries[1], "COMMIT");
    enum status status = postgres_link_run(job->link, queries, 2, deadline_ns, err);
    for (size_t i = 0; i < 2; i++) postgres_query_free(&queries[i]);
    return status;
}

/* Whether no item that PostgreSQL has left out can belong to the `wanted` best. Scores of words
 * alone are its own, not computed here, and it sorts by them and by id as we do. */
static bool is_decided(const struct job *job, size_t wanted) {
    if (!job->search->embedding || job->count < job->room) return true;
    float last = job->candidates[job->count - 1].score;
    return job->candidates[wanted - 1].score - last > rounding;
}

static enum status search_one(struct job *job, uint64_t deadline_ns, struct error *err) {
    const struct search *search = job->search;
    size_t wanted = search->offset + search->top_k;
    bool approximate = job->indexed && search->embedding && !search->exact, done = false;
    if (approximate) {
        enum status status = find(job, wanted, true, deadline_ns, err);
        if (status) return status;
        done = job->count >= wanted;
    }
    for (size_t ask = wanted + MARGIN; !done; ask *= WIDEN) {
        enum status status = find(job, ask, false, deadline_ns, err);
        if (status) return status;
        done = is_decided(job, wanted) || ask >= CANDIDATES_MAX;
    }
    size_t end = job->count < wanted ? job->count : wanted;
    while (end && job->candidates[end - 1].score < search->score_min) end--;
    size_t first = search->offset < end ? search->offset : end;
    return deliver(job, first, end, deadline_ns, err);
}

/* ---- a call ---- */

struct call {
    struct job job;
    const struct search *searches;
    size_t count;
};

static enum status search_all(void *context, struct postgres_link *link, uint64_t deadline_ns,
                              struct error *err) {
    struct call *call = context;
    call->job.link = link;
    for (size_t i = 0; i < call->count; i++) {
        call->job.search = &call->searches[i];
        call->job.query = i;
        enum status status = search_one(&call->job, deadline_ns, err);
        if (status) return status;
    }
    return STATUS_OK;
}

enum status postgres_search(void *self, const struct collection_spec *spec,
                            const struct search *searches, size_t count,
                            const struct hit_visitor *visitor, struct error *err) {
    struct postgres_store *store = self;
    struct call call = {.searches = searches, .count = count};
    struct job *job = &call.job;
    *job = (struct job){.store = store, .spec = spec, .visitor = visitor};
    enum status status = postgres_store_find(store, spec, &job->number, err);
    if (!status && store->approximate_from != UINT64_MAX)
        status = postgres_catalogue_is_indexed(store, spec, job->number, &job->indexed, err);
    if (!status) status = postgres_item_init(&job->item, spec, visitor->parts, err);
    if (status) return status;
    buffer_init(&job->ids, (size_t)CANDIDATES_MAX * WIDEN * COLLECTION_ID_MAX);
    job->embedding = calloc(spec->dim, sizeof(*job->embedding));
    if (job->embedding)
        status = postgres_store_run(store, spec, search_all, &call, err);
    else
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for an embedding");
    free(job->embedding);
    free(job->candidates);
    buffer_free(&job->ids);
    postgres_item_free(&job->item);
    return status;
}
