/* bpe.c - byte pair encoding of one word.
 *
 * The references take the pair of lowest rank and merge all its occurrences, over and
 * over. Here a heap holds the pairs by rank and position, so that a word of a megabyte
 * takes n log n steps. Both give the same symbols as long as every merge that makes a
 * symbol ranks before the merges that use it, which holds for any trained list.
 *
 * Entries of the heap are never removed early: an entry whose pair was broken by another
 * merge no longer agrees with its symbol, and is skipped when it comes up. A symbol that
 * was merged into its left neighbour has no pair. */
#include "core/text/bpe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/keyed_hash.h"

enum { PAIRS_MIN = 16 };
#define NONE UINT32_MAX

/* A slot of the hash table from (left, right) to what they become. */
struct pair {
    uint32_t left, right;
    uint32_t rank; /* NONE: an empty slot */
    uint32_t result;
};

struct bpe {
    struct pair *pairs; /* [1 << (64 - shift)], at most half of them full */
    unsigned shift;
    uint64_t multiplier; /* odd and random, so that no list can have all its pairs in one place */
    uint32_t byte_ids[256], last_byte_ids[256];
};

/* Where the pair is, or the empty slot where it would be. The highest bits of a product with a
 * random odd number are a universal hash (Dietzfelbinger et al. 1997). */
static uint32_t find_slot(const struct bpe *bpe, uint32_t left, uint32_t right) {
    uint64_t key = (uint64_t)left << 32 | right;
    uint32_t mask = (uint32_t)(((uint64_t)1 << (64 - bpe->shift)) - 1);
    uint32_t slot = (uint32_t)(key * bpe->multiplier >> bpe->shift);
    while (bpe->pairs[slot].rank != NONE &&
           (bpe->pairs[slot].left != left || bpe->pairs[slot].right != right))
        slot = (slot + 1) & mask;
    return slot;
}

enum status bpe_create_merges(struct bpe **out, const struct vocabulary_merge *merges,
                              const uint32_t *ranks, size_t count, struct error *err) {
    struct keyed_hash random;
    enum status status = keyed_hash_init(&random, err);
    if (status) return status;
    unsigned bits = 1;
    while ((size_t)1 << bits < 2 * count || 1 << bits < PAIRS_MIN) bits++;
    struct bpe *bpe = calloc(1, sizeof(*bpe));
    struct pair *pairs = malloc(sizeof(*pairs) << bits);
    if (!bpe || !pairs) {
        free(bpe);
        free(pairs);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu merges", count);
    }
    memset(pairs, 0xFF, sizeof(*pairs) << bits);
    bpe->pairs = pairs;
    bpe->shift = 64 - bits;
    bpe->multiplier = random.key[0] | 1;
    for (size_t i = 0; i < count; i++) {
        /* Of a pair that is listed twice the last rank counts, as in the references. */
        const struct vocabulary_merge *merge = &merges[i];
        pairs[find_slot(bpe, merge->left, merge->right)] =
            (struct pair){merge->left, merge->right, ranks ? ranks[i] : (uint32_t)i, merge->result};
    }
    *out = bpe;
    return STATUS_OK;
}

enum status bpe_create(struct bpe **out, const struct vocabulary *vocabulary, struct error *err) {
    enum status status =
        bpe_create_merges(out, vocabulary->merges, NULL, vocabulary->merges_count, err);
    if (status) return status;
    memcpy((*out)->byte_ids, vocabulary->byte_ids, sizeof((*out)->byte_ids));
    memcpy((*out)->last_byte_ids, vocabulary->last_byte_ids, sizeof((*out)->last_byte_ids));
    return STATUS_OK;
}

void bpe_destroy(struct bpe *bpe) {
    if (!bpe) return;
    free(bpe->pairs);
    free(bpe);
}

void bpe_workspace_init(struct bpe_workspace *workspace) {
    workspace->symbols = workspace->small_symbols;
    workspace->heap = workspace->small_heap;
    workspace->capacity = BPE_WORD_ON_STACK;
}

void bpe_workspace_free(struct bpe_workspace *workspace) {
    if (workspace->symbols != workspace->small_symbols) free(workspace->symbols);
    if (workspace->heap != workspace->small_heap) free(workspace->heap);
    bpe_workspace_init(workspace);
}

static enum status make_room(struct bpe_workspace *workspace, size_t size, struct error *err) {
    if (size <= workspace->capacity) return STATUS_OK;
    bpe_workspace_free(workspace);
    struct bpe_symbol *symbols = malloc(size * sizeof(*symbols));
    uint64_t *heap = malloc(2 * size * sizeof(*heap));
    if (!symbols || !heap) {
        free(symbols);
        free(heap);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a word of %zu bytes", size);
    }
    workspace->symbols = symbols;
    workspace->heap = heap;
    workspace->capacity = size;
    return STATUS_OK;
}

static void heap_push(uint64_t *heap, size_t *count, uint64_t value) {
    size_t at = (*count)++;
    for (size_t parent; at > 0 && heap[parent = (at - 1) / 2] > value; at = parent)
        heap[at] = heap[parent];
    heap[at] = value;
}

static uint64_t heap_pop(uint64_t *heap, size_t *count) {
    uint64_t top = heap[0], value = heap[--*count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < *count; at = child) {
        if (child + 1 < *count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[at] = heap[child];
    }
    heap[at] = value;
    return top;
}

/* Looks up what joins the symbol with the next one, and queues it. */
static void queue_pair(const struct bpe *bpe, struct bpe_workspace *workspace, size_t *queued,
                       uint32_t at) {
    struct bpe_symbol *symbol = &workspace->symbols[at];
    symbol->pair = NONE;
    if (symbol->next == NONE) return;
    uint32_t slot = find_slot(bpe, symbol->id, workspace->symbols[symbol->next].id);
    uint32_t rank = bpe->pairs[slot].rank;
    if (rank == NONE) return;
    symbol->pair = slot;
    heap_push(workspace->heap, queued, (uint64_t)rank << 32 | at);
}

/* Every merge takes one entry and adds at most two, so 2 x size entries are enough. */
static void merge_all(const struct bpe *bpe, struct bpe_workspace *workspace, size_t size) {
    struct bpe_symbol *symbols = workspace->symbols;
    size_t queued = 0;
    for (uint32_t i = 0; i < size; i++) queue_pair(bpe, workspace, &queued, i);
    while (queued) {
        uint64_t entry = heap_pop(workspace->heap, &queued);
        uint32_t at = (uint32_t)entry;
        struct bpe_symbol *left = &symbols[at];
        if (left->pair == NONE || bpe->pairs[left->pair].rank != entry >> 32) continue;
        struct bpe_symbol *right = &symbols[left->next];
        left->id = bpe->pairs[left->pair].result;
        left->next = right->next;
        right->pair = NONE;
        if (left->next != NONE) symbols[left->next].previous = at;
        if (left->previous != NONE) queue_pair(bpe, workspace, &queued, left->previous);
        queue_pair(bpe, workspace, &queued, at);
    }
}

void bpe_push(struct tokens *out, size_t limit, uint32_t id) {
    if (out->count < limit) out->ids[out->count++] = id;
    out->total++;
}

enum status bpe_encode(struct tokens *out, size_t limit, const struct bpe *bpe,
                       struct bpe_workspace *workspace, struct bytes word, struct error *err) {
    assert(word.size > 0 && word.size < NONE);
    enum status status = make_room(workspace, word.size, err);
    if (status) return status;
    uint32_t last = (uint32_t)word.size - 1;
    for (uint32_t i = 0; i <= last; i++)
        workspace->symbols[i] = (struct bpe_symbol){
            .id = i == last ? bpe->last_byte_ids[word.data[i]] : bpe->byte_ids[word.data[i]],
            .previous = i ? i - 1 : NONE,
            .next = i == last ? NONE : i + 1,
        };
    merge_all(bpe, workspace, word.size);
    for (uint32_t at = 0; at != NONE; at = workspace->symbols[at].next)
        bpe_push(out, limit, workspace->symbols[at].id);
    return STATUS_OK;
}

enum status bpe_join(uint32_t *ids, size_t *count, const struct bpe *bpe,
                     struct bpe_workspace *workspace, struct error *err) {
    assert(*count > 0 && *count < NONE);
    enum status status = make_room(workspace, *count, err);
    if (status) return status;
    struct bpe_symbol *symbols = workspace->symbols;
    for (uint32_t i = 0; i < *count; i++)
        symbols[i] = (struct bpe_symbol){
            .id = ids[i], .previous = i ? i - 1 : NONE, .next = i + 1 == *count ? NONE : i + 1};
    merge_all(bpe, workspace, *count);
    size_t left = 0;
    for (uint32_t at = 0; at != NONE; at = symbols[at].next) ids[left++] = symbols[at].id;
    *count = left;
    return STATUS_OK;
}
