/* search.c - plans searches, runs them in memory, looks their hits up in the file.
 *
 * File and memory are read one after the other, and a writer may come between. Then a hit is not
 * in the file, or an item's old row has left memory while its new one is none of the filter's, or
 * had not come yet; the counter of what was replaced tells. Or all of the collection is not in the
 * file, as it was restored. The search starts again, and after a few times with writers locked
 * out. */
#include "core/index/sqlite/search.h"

#include <stdlib.h>
#include <string.h>

#include "core/index/sqlite/collections.h"
#include "core/index/sqlite/filter.h"
#include "core/index/sqlite/items.h"
#include "core/index/sqlite/words.h"

enum {
    ATTEMPTS = 4,      /* the last one with writers locked out */
    SLACK = 8,         /* hits beyond those wanted, to see whether scores tie across the end */
    TIES_MAX = 100000, /* hits of one score that are put in the order of their ids */
    /* A filter that leaves less than one row in WIDE_PART, or fewer than WIDE_ROWS, is scanned
     * row by row; else the approximate index is asked for more and what fits is kept. */
    WIDE_PART = 10,
    WIDE_ROWS = 50000,
    OVERSAMPLE = 2, /* for chance, on top of what the filter's share asks for */
};

/* Not in the file as memory has it: start again. Never leaves this file. */
static const enum status STATUS_AGAIN = (enum status) - 1;

struct candidate {
    uint64_t row;
    float score;
    size_t id, id_size; /* in `ids` */
};

/* One search on its way. */
struct plan {
    const struct search *search;
    size_t wanted; /* top_k + offset */
    uint64_t *only;
    size_t only_count;
    bool filtered;
    struct sqlite_matches matches;
    struct vectors_hit *near; /* the `top` nearest that were asked for */
    size_t near_count, top;
    bool wide;               /* without the filter, so far */
    struct candidate *found; /* best first */
    size_t count;
};

struct run {
    struct sqlite_store *store;
    const struct collection_spec *spec;
    struct sqlite_collection *collection; /* acquired by each attempt */
    struct sqlite_connection *reader;
    struct plan *plans; /* [count] */
    size_t count;
    bool approximate, locked;
    struct buffer ids;
};

static void plan_clear(struct plan *plan) {
    free(plan->only);
    free(plan->near);
    free(plan->found);
    sqlite_matches_free(&plan->matches);
    *plan = (struct plan){.search = plan->search, .wanted = plan->wanted};
}

static enum status no_memory(struct error *err) {
    error_set(err, STATUS_NO_MEMORY, "out of memory for a search");
    return STATUS_NO_MEMORY;
}

/* ---- before memory: filters and words ---- */

static enum status plan_read(struct run *run, struct plan *plan, struct error *err) {
    const struct search *search = plan->search;
    enum status status = STATUS_OK;
    if (search->filter) {
        plan->filtered = true;
        status =
            sqlite_filter_rows(&plan->only, &plan->only_count, run->reader, run->collection->number,
                               &run->collection->spec, search->filter, err);
    }
    if (!status && search->words.size)
        status = sqlite_words_find(&plan->matches, run->reader, run->collection->number,
                                   search->words, plan->only, plan->only_count, err);
    return status;
}

/* ---- in memory ---- */

static void fill_query(struct vectors_query *out, const struct plan *plan, size_t top,
                       const uint64_t *only, size_t only_count) {
    *out = (struct vectors_query){.embedding = plan->search->embedding,
                                  .top = top,
                                  .score_min = -2, /* below every cosine */
                                  .only = only,
                                  .only_count = only_count,
                                  .exact = plan->search->exact,
                                  .effort = plan->search->effort};
}

/* The `top` nearest of the rows that the filter leaves, or of all with `wide`. */
static void fill_nearest(struct vectors_query *out, const struct plan *plan, size_t top,
                         bool wide) {
    static const uint64_t nothing;
    const uint64_t *only = plan->only ? plan->only : &nothing;
    fill_query(out, plan, top, plan->filtered && !wide ? only : NULL, plan->only_count);
}

/* A filter that leaves much is asked of the approximate index: how many hits it takes for
 * enough of them to fit. */
static bool is_wide(const struct run *run, const struct plan *plan, size_t *top) {
    uint64_t items = run->collection->items;
    if (!plan->filtered || !run->approximate || plan->search->exact ||
        plan->only_count < WIDE_ROWS || plan->only_count < items / WIDE_PART)
        return false;
    *top = (size_t)((double)(plan->wanted + SLACK) * OVERSAMPLE * (double)items /
                    (double)plan->only_count);
    return true;
}

static enum status ask(const struct run *run, struct plan *plan, const struct vectors_query *query,
                       struct error *err) {
    free(plan->near);
    plan->near_count = 0;
    plan->near = malloc((query->top ? query->top : 1) * sizeof(*plan->near));
    if (!plan->near) return no_memory(err);
    return vectors_search(run->collection->vectors, query, 1, &plan->near, &plan->near_count, err);
}

/* The first questions of a call, answered in one pass. */
struct questions {
    struct vectors_query *queries; /* [count], as the others */
    struct vectors_hit **hits;
    size_t *counts, count;
};

static enum status answer(const struct run *run, struct questions *questions, struct error *err) {
    for (size_t i = 0; i < run->count; i++) {
        struct plan *plan = &run->plans[i];
        if (!plan->search->embedding) continue;
        plan->top = plan->wanted + SLACK;
        plan->wide = is_wide(run, plan, &plan->top);
        plan->near = malloc(plan->top * sizeof(*plan->near));
        if (!plan->near) return no_memory(err);
        questions->hits[questions->count] = plan->near;
        fill_nearest(&questions->queries[questions->count++], plan, plan->top, plan->wide);
    }
    if (!questions->count) return STATUS_OK;
    enum status status = vectors_search(run->collection->vectors, questions->queries,
                                        questions->count, questions->hits, questions->counts, err);
    size_t at = 0;
    for (size_t i = 0; i < run->count && !status; i++) {
        if (run->plans[i].search->embedding) run->plans[i].near_count = questions->counts[at++];
    }
    return status;
}

static enum status ask_all(const struct run *run, struct error *err) {
    struct questions questions = {.queries = calloc(run->count + 1, sizeof(*questions.queries)),
                                  .hits = calloc(run->count + 1, sizeof(struct vectors_hit *)),
                                  .counts = calloc(run->count + 1, sizeof(*questions.counts))};
    bool memory = questions.queries && questions.hits && questions.counts;
    enum status status = memory ? answer(run, &questions, err) : no_memory(err);
    free(questions.queries);
    free(questions.hits);
    free(questions.counts);
    return status;
}

static bool has_row(const uint64_t *rows, size_t count, uint64_t row, size_t *at) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return low < count && rows[low] == row;
}

/* Keeps what fits the filter. True if that is enough. */
static bool narrow(struct plan *plan) {
    size_t kept = 0, at;
    for (size_t i = 0; i < plan->near_count; i++) {
        if (has_row(plan->only, plan->only_count, plan->near[i].row, &at))
            plan->near[kept++] = plan->near[i];
    }
    plan->near_count = kept;
    return kept >= plan->wanted;
}

/* Asks again until there are as many hits as wanted, if there are, and all that tie with the
 * last of them. */
static enum status settle(const struct run *run, struct plan *plan, struct error *err) {
    struct vectors_query query;
    if (plan->wide) {
        if (narrow(plan)) return STATUS_OK;
        plan->top = plan->wanted + SLACK;
        fill_nearest(&query, plan, plan->top, false);
        enum status status = ask(run, plan, &query, err);
        if (status) return status;
    }
    if (run->approximate && !plan->search->exact) return STATUS_OK;
    while (plan->near_count == plan->top && plan->top < TIES_MAX &&
           plan->near[plan->top - 1].score == plan->near[plan->wanted - 1].score) {
        plan->top *= 4;
        fill_nearest(&query, plan, plan->top, false);
        enum status status = ask(run, plan, &query, err);
        if (status) return status;
    }
    return STATUS_OK;
}

static void add_candidate(struct plan *plan, uint64_t row, float score) {
    plan->found[plan->count++] = (struct candidate){.row = row, .score = score};
}

/* With words as well. Those that match may be anywhere, so that all of them are scored; of the
 * others only the nearest can be hits. */
static enum status score_hybrid(const struct run *run, struct plan *plan, struct error *err) {
    const struct sqlite_matches *matches = &plan->matches;
    float weight = plan->search->words_weight;
    struct vectors_query query;
    size_t at;
    plan->found = calloc(plan->near_count + matches->count + 1, sizeof(*plan->found));
    if (!plan->found) return no_memory(err);
    for (size_t i = 0; i < plan->near_count; i++) {
        if (!has_row(matches->rows, matches->count, plan->near[i].row, &at))
            add_candidate(plan, plan->near[i].row, (1 - weight) * plan->near[i].score);
    }
    if (!matches->count) return STATUS_OK;
    fill_query(&query, plan, matches->count, matches->rows, matches->count);
    enum status status = ask(run, plan, &query, err);
    for (size_t i = 0; i < plan->near_count && !status; i++) {
        if (has_row(matches->rows, matches->count, plan->near[i].row, &at))
            add_candidate(plan, plan->near[i].row,
                          (1 - weight) * plan->near[i].score + weight * matches->ranks[at]);
    }
    return status;
}

static enum status score_embedding(struct plan *plan, struct error *err) {
    plan->found = calloc(plan->near_count + 1, sizeof(*plan->found));
    if (!plan->found) return no_memory(err);
    for (size_t i = 0; i < plan->near_count; i++)
        add_candidate(plan, plan->near[i].row, plan->near[i].score);
    return STATUS_OK;
}

static enum status score_words(struct plan *plan, struct error *err) {
    const struct sqlite_matches *matches = &plan->matches;
    plan->found = calloc(matches->count + 1, sizeof(*plan->found));
    if (!plan->found) return no_memory(err);
    for (size_t i = 0; i < matches->count; i++)
        add_candidate(plan, matches->rows[i], matches->ranks[i]);
    return STATUS_OK;
}

/* ---- after memory: ids ---- */

static int compare_scores(const void *left, const void *right) {
    const struct candidate *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return (a->row > b->row) - (a->row < b->row);
}

static int compare_ids(const void *left, const void *right, void *ids) {
    const struct candidate *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    const uint8_t *text = ids;
    size_t size = a->id_size < b->id_size ? a->id_size : b->id_size;
    int order = memcmp(text + a->id, text + b->id, size);
    return order ? order : (a->id_size > b->id_size) - (a->id_size < b->id_size);
}

static enum status read_id(struct run *run, struct candidate *candidate, struct error *err) {
    sqlite3_stmt *statement;
    bool there;
    enum status status =
        sqlite_prepare(&statement, run->reader, "SELECT id FROM items_@ WHERE row = ?1",
                       run->collection->number, err);
    if (status) return status;
    sqlite_bind_number(statement, 1, (int64_t)candidate->row);
    status = sqlite_step(run->reader, statement, &there, err);
    if (status) return status;
    if (!there && !run->locked) return STATUS_AGAIN;
    if (!there)
        return sqlite_report_damage(run->reader, err, "row %llu of \"%s\" is missing",
                                    (unsigned long long)candidate->row, run->collection->spec.name);
    struct bytes id = sqlite_column_bytes(statement, 0);
    candidate->id = run->ids.size;
    candidate->id_size = id.size;
    status = buffer_append(&run->ids, id.data, id.size, err);
    sqlite3_reset(statement);
    return status;
}

/* Leaves the candidates that may be hits, in their order. */
static enum status finish(struct run *run, struct plan *plan, struct error *err) {
    size_t count = plan->count, wanted = plan->wanted;
    enum status status = STATUS_OK;
    qsort(plan->found, count, sizeof(*plan->found), compare_scores);
    while (count && !(plan->found[count - 1].score >= plan->search->score_min)) count--;
    if (count > wanted) {
        size_t end = wanted;
        while (end < count && plan->found[end].score == plan->found[wanted - 1].score) end++;
        count = end;
    }
    for (size_t i = 0; i < count && !status; i++) status = read_id(run, &plan->found[i], err);
    if (status) return status;
    qsort_r(plan->found, count, sizeof(*plan->found), compare_ids, run->ids.data);
    plan->count = count < wanted ? count : wanted;
    return STATUS_OK;
}

/* ---- all of it ---- */

static bool reads_first(const struct run *run) {
    for (size_t i = 0; i < run->count; i++) {
        if (run->plans[i].search->filter || run->plans[i].search->words.size) return true;
    }
    return false;
}

static bool asks_memory(const struct run *run) {
    for (size_t i = 0; i < run->count; i++) {
        if (run->plans[i].search->embedding) return true;
    }
    return false;
}

static enum status score(const struct run *run, struct plan *plan, struct error *err) {
    if (!plan->search->embedding) return score_words(plan, err);
    enum status status = settle(run, plan, err);
    if (status) return status;
    return plan->search->words.size ? score_hybrid(run, plan, err) : score_embedding(plan, err);
}

static enum status read_file(struct run *run, struct error *err) {
    enum status status = sqlite_store_read(&run->reader, run->store, run->collection, err);
    if (status || run->reader) return status;
    if (!run->locked) return STATUS_AGAIN;
    return sqlite_collections_report_missing(run->store, run->spec->name, err);
}

static enum status attempt(struct run *run, struct error *err) {
    bool reads = reads_first(run);
    struct vectors_stats stats;
    enum status status = sqlite_collections_acquire(&run->collection, run->store, run->spec, err);
    if (status) return status;
    uint64_t replaced = atomic_load(&run->collection->replaced);
    vectors_read_stats(run->collection->vectors, &stats);
    run->approximate = stats.approximate;
    run->ids.size = 0;
    if (reads) status = read_file(run, err);
    for (size_t i = 0; i < run->count && !status; i++) {
        plan_clear(&run->plans[i]);
        if (reads) status = plan_read(run, &run->plans[i], err);
    }
    if (!status) status = ask_all(run, err);
    for (size_t i = 0; i < run->count && !status; i++) status = score(run, &run->plans[i], err);
    if (!status && asks_memory(run) && !run->locked &&
        atomic_load(&run->collection->replaced) != replaced)
        return STATUS_AGAIN;
    if (!status && !reads) status = read_file(run, err);
    for (size_t i = 0; i < run->count && !status; i++) status = finish(run, &run->plans[i], err);
    return status;
}

static void let_go(struct run *run) {
    if (run->reader) sqlite_store_give_back(run->store, run->reader);
    if (run->collection) sqlite_collections_release(run->store, run->collection);
    run->reader = NULL;
    run->collection = NULL;
}

/* Leaves run->reader looking at the file that the hits were found in, unless it fails. */
static enum status find(struct run *run, struct error *err) {
    enum status status = STATUS_AGAIN;
    for (int i = 0; i < ATTEMPTS && status == STATUS_AGAIN; i++) {
        run->locked = i == ATTEMPTS - 1;
        if (run->locked && sqlite_store_lock(run->store, err)) return STATUS_OVERLOADED;
        status = attempt(run, err);
        if (run->locked) sqlite_store_unlock(run->store);
        if (status) let_go(run);
    }
    return status;
}

static enum status visit_hits(struct run *run, const struct hit_visitor *visitor, float *embedding,
                              struct error *err) {
    const struct sqlite_item_reader reader = {.connection = run->reader,
                                              .collection = run->collection,
                                              .parts = visitor->parts,
                                              .embedding = embedding};
    for (size_t i = 0; i < run->count; i++) {
        const struct plan *plan = &run->plans[i];
        for (size_t rank = plan->search->offset; rank < plan->count; rank++) {
            struct hit hit = {.query = i, .rank = rank, .score = plan->found[rank].score};
            bool found;
            enum status status =
                sqlite_items_read(&hit.item, &found, &reader, plan->found[rank].row, err);
            if (!status && found) status = visitor->visit(visitor->context, &hit, err);
            if (status) return status;
        }
    }
    return STATUS_OK;
}

static enum status search(struct run *run, const struct search *searches,
                          const struct hit_visitor *visitor, struct error *err) {
    float *embedding = malloc(run->spec->dim * sizeof(*embedding));
    if (!embedding) return no_memory(err);
    for (size_t i = 0; i < run->count; i++)
        run->plans[i] =
            (struct plan){.search = &searches[i], .wanted = searches[i].top_k + searches[i].offset};
    enum status status = find(run, err);
    if (!status) status = visit_hits(run, visitor, embedding, err);
    let_go(run);
    for (size_t i = 0; i < run->count; i++) plan_clear(&run->plans[i]);
    free(embedding);
    return status;
}

enum status sqlite_search(void *self, const struct collection_spec *spec,
                          const struct search *searches, size_t count,
                          const struct hit_visitor *visitor, struct error *err) {
    struct run run = {.store = self, .spec = spec, .count = count};
    buffer_init(&run.ids, SIZE_MAX / 2);
    run.plans = calloc(count, sizeof(*run.plans));
    enum status status = run.plans ? search(&run, searches, visitor, err) : no_memory(err);
    buffer_free(&run.ids);
    free(run.plans);
    return status;
}
