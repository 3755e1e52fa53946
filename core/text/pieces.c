#include "core/text/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/unicode.h"

enum { COUNT_MAX = 1 << 21, TEXT_MAX = 64 << 20, CAPACITY_MIN = 1024 };

void pieces_init(struct pieces *pieces) {
    *pieces = (struct pieces){.count = 0};
    buffer_init(&pieces->text, TEXT_MAX);
}

void pieces_free(struct pieces *pieces) {
    free(pieces->sorted);
    buffer_free(&pieces->text);
    pieces_init(pieces);
}

static enum status make_room(struct pieces *pieces, struct error *err) {
    if (pieces->count == COUNT_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d pieces", COUNT_MAX);
    if (pieces->count < pieces->capacity) return STATUS_OK;
    size_t capacity = pieces->capacity ? pieces->capacity * 2 : CAPACITY_MIN;
    struct piece *sorted = realloc(pieces->sorted, capacity * sizeof(*sorted));
    if (!sorted) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu pieces", capacity);
    pieces->sorted = sorted;
    pieces->capacity = capacity;
    return STATUS_OK;
}

enum status pieces_add(struct pieces *pieces, struct bytes text, uint32_t id, struct error *err) {
    size_t wrong;
    if (!text.size || text.size > PIECES_SIZE_MAX)
        return error_set(err, STATUS_INVALID, "piece %u has %zu bytes, expected 1 to %d", id,
                         text.size, PIECES_SIZE_MAX);
    if (!unicode_valid(text, &wrong))
        return error_set(err, STATUS_INVALID, "piece %u is not valid UTF-8", id);
    enum status status = make_room(pieces, err);
    size_t offset = pieces->text.size;
    if (!status) status = buffer_append(&pieces->text, text.data, text.size, err);
    if (status) return status;
    pieces->sorted[pieces->count++] = (struct piece){(uint32_t)offset, (uint32_t)text.size, id};
    return STATUS_OK;
}

static struct bytes text_of(const struct pieces *pieces, size_t at) {
    return (struct bytes){pieces->text.data + pieces->sorted[at].offset, pieces->sorted[at].size};
}

static int compare_bytes(struct bytes x, struct bytes y) {
    int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
    return order ? order : (x.size > y.size) - (x.size < y.size);
}

/* Equal strings in the order in which they were added. */
static int compare(const void *a, const void *b, void *text) {
    const struct piece *x = a, *y = b;
    const uint8_t *data = text;
    int order = compare_bytes((struct bytes){data + x->offset, x->size},
                              (struct bytes){data + y->offset, y->size});
    return order ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

void pieces_sort(struct pieces *pieces) {
    size_t kept = 0, at = 0;
    if (pieces->count)
        qsort_r(pieces->sorted, pieces->count, sizeof(*pieces->sorted), compare, pieces->text.data);
    for (size_t i = 0; i < pieces->count; i++) {
        bool again = kept && compare_bytes(text_of(pieces, kept - 1), text_of(pieces, i)) == 0;
        pieces->sorted[again ? kept - 1 : kept++] = pieces->sorted[i];
    }
    pieces->count = kept;
    for (unsigned byte = 0; byte < 256; byte++) {
        pieces->first[byte] = (uint32_t)at;
        while (at < pieces->count && *text_of(pieces, at).data == byte) at++;
    }
    pieces->first[256] = (uint32_t)at;
}

struct pieces_walk pieces_begin(const struct pieces *pieces) {
    return (struct pieces_walk){.pieces = pieces, .high = pieces->count};
}

/* The first of [low, high) whose byte at `depth` is at least `byte`; strings that end there
 * come first. */
static size_t lower_bound(const struct pieces_walk *walk, size_t low, size_t high, unsigned byte) {
    const struct pieces *pieces = walk->pieces;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct piece *piece = &pieces->sorted[middle];
        if (piece->size <= walk->depth || pieces->text.data[piece->offset + walk->depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool pieces_step(struct pieces_walk *walk, uint8_t byte, uint32_t *id) {
    const struct pieces *pieces = walk->pieces;
    if (walk->depth) {
        walk->low = lower_bound(walk, walk->low, walk->high, byte);
        walk->high = lower_bound(walk, walk->low, walk->high, byte + 1U);
    } else {
        walk->low = pieces->first[byte];
        walk->high = pieces->first[byte + 1];
    }
    walk->depth++;
    *id = PIECES_NONE;
    if (walk->low == walk->high) return false;
    const struct piece *piece = &pieces->sorted[walk->low];
    if (piece->size == walk->depth) *id = piece->id;
    return true;
}

uint32_t pieces_find(const struct pieces *pieces, struct bytes text) {
    struct pieces_walk walk = pieces_begin(pieces);
    uint32_t id = PIECES_NONE;
    for (size_t i = 0; i < text.size; i++)
        if (!pieces_step(&walk, text.data[i], &id)) return PIECES_NONE;
    return id;
}

size_t pieces_longest(const struct pieces *pieces, struct bytes text, uint32_t *id) {
    struct pieces_walk walk = pieces_begin(pieces);
    size_t longest = 0;
    uint32_t here;
    for (size_t i = 0; i < text.size && pieces_step(&walk, text.data[i], &here); i++) {
        if (here == PIECES_NONE) continue;
        longest = i + 1;
        *id = here;
    }
    return longest;
}
