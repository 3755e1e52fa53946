/* vocabulary_draft.c - a vocabulary while its files are read.
 *
 * Symbols are compared as strings until the merges are known by id. Limits: see
 * vocabulary.h; the draft itself is some 130 KB and is gone after reading. */
#include "core/text/vocabulary_draft.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/unicode.h"

enum { SHOWN_MAX = 40, SYMBOL_MAX = 4096 };

struct vocabulary_draft *vocabulary_draft_create(struct vocabulary *vocabulary, struct error *err) {
    struct vocabulary_draft *draft = calloc(1, sizeof(*draft));
    if (!draft) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for a vocabulary");
        return NULL;
    }
    draft->vocabulary = vocabulary;
    symbols_init(&draft->symbols);
    return draft;
}

void vocabulary_draft_destroy(struct vocabulary_draft *draft) {
    if (!draft) return;
    symbols_free(&draft->symbols);
    free(draft);
}

static int shown(struct bytes text) {
    return text.size < SHOWN_MAX ? (int)text.size : SHOWN_MAX;
}

static enum status check_symbol(struct bytes symbol, struct error *err) {
    size_t offset;
    if (symbol.size == 0 || symbol.size > SYMBOL_MAX)
        return error_set(err, STATUS_INVALID, "a symbol has %zu bytes, expected 1 to %d",
                         symbol.size, SYMBOL_MAX);
    if (!unicode_valid(symbol, &offset))
        return error_set(err, STATUS_INVALID, "a symbol is not valid UTF-8");
    return STATUS_OK;
}

enum status vocabulary_draft_symbol(struct vocabulary_draft *draft, struct bytes symbol, int64_t id,
                                    struct error *err) {
    enum status status = check_symbol(symbol, err);
    if (status) return status;
    if (id < 0 || id >= VOCABULARY_IDS_MAX)
        return error_set(err, STATUS_INVALID, "symbol \"%.*s\" has id %lld, expected 0 to %d",
                         shown(symbol), (const char *)symbol.data, (long long)id,
                         VOCABULARY_IDS_MAX - 1);
    uint8_t bit = (uint8_t)(1U << (id & 7));
    if (draft->ids[id >> 3] & bit)
        return error_set(err, STATUS_INVALID, "id %lld of symbol \"%.*s\" is taken by another",
                         (long long)id, shown(symbol), (const char *)symbol.data);
    draft->ids[id >> 3] |= bit;
    if (draft->vocabulary->size <= id) draft->vocabulary->size = (uint32_t)id + 1;
    return symbols_put(&draft->symbols, symbol, (uint32_t)id, err);
}

static enum status find(uint32_t *id, const struct vocabulary_draft *draft, struct bytes symbol,
                        struct error *err) {
    if (symbols_find(id, &draft->symbols, symbol)) return STATUS_OK;
    return error_set(err, STATUS_INVALID, "symbol \"%.*s\" of merge %zu is not in the vocabulary",
                     shown(symbol), (const char *)symbol.data, draft->vocabulary->merges_count);
}

static enum status make_room(struct vocabulary_draft *draft, struct error *err) {
    struct vocabulary *vocabulary = draft->vocabulary;
    if (vocabulary->merges_count == VOCABULARY_MERGES_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d merges", VOCABULARY_MERGES_MAX);
    if (vocabulary->merges_count < draft->merges_capacity) return STATUS_OK;
    size_t capacity = draft->merges_capacity ? draft->merges_capacity * 2 : 1024;
    void *merges = realloc(vocabulary->merges, capacity * sizeof(*vocabulary->merges));
    if (!merges) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu merges", capacity);
    vocabulary->merges = merges;
    draft->merges_capacity = capacity;
    return STATUS_OK;
}

enum status vocabulary_draft_merge(struct vocabulary_draft *draft, struct bytes left,
                                   struct bytes right, struct error *err) {
    enum status status = check_symbol(left, err);
    if (!status) status = check_symbol(right, err);
    if (!status) status = make_room(draft, err);
    if (status) return status;
    uint8_t both[2 * SYMBOL_MAX];
    memcpy(both, left.data, left.size);
    memcpy(both + left.size, right.data, right.size);
    struct vocabulary_merge merge;
    status = find(&merge.left, draft, left, err);
    if (!status) status = find(&merge.right, draft, right, err);
    if (!status) {
        struct bytes result = {both, left.size + right.size};
        status = find(&merge.result, draft, result, err);
    }
    if (!status) draft->vocabulary->merges[draft->vocabulary->merges_count++] = merge;
    return status;
}

enum status vocabulary_draft_added(struct vocabulary_draft *draft, struct bytes text, int64_t id,
                                   bool normalized, struct error *err) {
    struct vocabulary *vocabulary = draft->vocabulary;
    uint32_t known;
    enum status status = STATUS_OK;
    if (!symbols_find(&known, &draft->symbols, text))
        status = vocabulary_draft_symbol(draft, text, id, err);
    else if (known != id)
        status = error_set(err, STATUS_INVALID, "added token \"%.*s\" has id %lld, but %u before",
                           shown(text), (const char *)text.data, (long long)id, known);
    if (status) return status;
    if (vocabulary->added_count == VOCABULARY_ADDED_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d added tokens", VOCABULARY_ADDED_MAX);
    size_t room = (vocabulary->added_count + 1) * sizeof(*vocabulary->added);
    struct vocabulary_added *added = realloc(vocabulary->added, room);
    uint8_t *copy = malloc(text.size);
    if (added) vocabulary->added = added;
    if (!added || !copy) {
        free(copy);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for added tokens");
    }
    memcpy(copy, text.data, text.size);
    added[vocabulary->added_count++] =
        (struct vocabulary_added){copy, text.size, (uint32_t)id, normalized};
    return STATUS_OK;
}

size_t vocabulary_byte_symbol(uint8_t out[VOCABULARY_BYTE_SYMBOL_MAX], uint8_t byte, bool last) {
    /* Printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100
     * and what follows, in their order (SPEC 5.1). */
    uint32_t point = byte;
    if (byte < 0x21)
        point = 0x100U + byte;
    else if (byte >= 0x7F && byte < 0xA1)
        point = 0x121U + (byte - 0x7FU);
    else if (byte == 0xAD)
        point = 0x143U;
    size_t size = unicode_encode(out, point);
    if (!last) return size;
    static const uint8_t mark[] = {'<', '/', 'w', '>'};
    memcpy(out + size, mark, sizeof(mark));
    return size + sizeof(mark);
}

static enum status find_bytes(uint32_t ids[256], const struct vocabulary_draft *draft, bool last,
                              struct error *err) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t symbol[VOCABULARY_BYTE_SYMBOL_MAX];
        size_t size = vocabulary_byte_symbol(symbol, (uint8_t)byte, last);
        if (!symbols_find(&ids[byte], &draft->symbols, (struct bytes){symbol, size}))
            return error_set(err, STATUS_INVALID, "the vocabulary has no symbol \"%.*s\"",
                             (int)size, (const char *)symbol);
    }
    return STATUS_OK;
}

static int compare_added(const void *a, const void *b) {
    size_t x = ((const struct vocabulary_added *)a)->size;
    size_t y = ((const struct vocabulary_added *)b)->size;
    return (x < y) - (x > y);
}

enum status vocabulary_draft_finish(struct vocabulary_draft *draft, struct error *err) {
    struct vocabulary *vocabulary = draft->vocabulary;
    struct bytes start = bytes_of(VOCABULARY_START), end = bytes_of(VOCABULARY_END);
    if (!symbols_find(&vocabulary->start_id, &draft->symbols, start) ||
        !symbols_find(&vocabulary->end_id, &draft->symbols, end))
        return error_set(err, STATUS_INVALID, "the vocabulary lacks %s or %s", VOCABULARY_START,
                         VOCABULARY_END);
    enum status status = find_bytes(vocabulary->byte_ids, draft, false, err);
    if (!status) status = find_bytes(vocabulary->last_byte_ids, draft, true, err);
    if (!status && !draft->lists_added) {
        status = vocabulary_draft_added(draft, start, vocabulary->start_id, false, err);
        if (!status) status = vocabulary_draft_added(draft, end, vocabulary->end_id, false, err);
    }
    if (!status && vocabulary->added_count)
        qsort(vocabulary->added, vocabulary->added_count, sizeof(*vocabulary->added),
              compare_added);
    return status;
}
