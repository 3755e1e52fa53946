/* pieces.h - strings and their ids, looked up whole or followed byte by byte.
 *
 * What SentencePiece and WordPiece look for in a text: all pieces that begin at a place. The
 * strings are sorted, so that those with a common beginning stand together, and one more
 * byte narrows the range. Filled once, then immutable and safe from any number of threads.
 */
#ifndef CORE_TEXT_PIECES_H
#define CORE_TEXT_PIECES_H

#include <stdbool.h>

#include "core/base/bytes.h"

enum { PIECES_SIZE_MAX = 4096 }; /* bytes of one piece */
#define PIECES_NONE UINT32_MAX

struct piece {
    uint32_t offset, size, id;
};

/* Zeroed memory is an empty set. */
struct pieces {
    struct piece *sorted; /* [count]; in the order of bytes after pieces_sort() */
    size_t count, capacity;
    struct buffer text;
    uint32_t first[257]; /* where the strings that begin with a byte begin */
};

void pieces_init(struct pieces *pieces);
void pieces_free(struct pieces *pieces);
/* An empty string, one of more than PIECES_SIZE_MAX bytes or one that is not UTF-8 is
 * STATUS_INVALID. */
enum status pieces_add(struct pieces *pieces, struct bytes text, uint32_t id, struct error *err);
/* Makes the set ready. Of a string that was added twice the last id counts, as in the
 * references. */
void pieces_sort(struct pieces *pieces);

/* The id of the whole string, or PIECES_NONE. */
uint32_t pieces_find(const struct pieces *pieces, struct bytes text);

/* The strings that begin with the bytes taken so far. */
struct pieces_walk {
    const struct pieces *pieces;
    size_t low, high, depth;
};

struct pieces_walk pieces_begin(const struct pieces *pieces);
/* False when no string begins like this. *id is the string that ends here, or PIECES_NONE. */
bool pieces_step(struct pieces_walk *walk, uint8_t byte, uint32_t *id);
/* The longest string that the text begins with: its size, and its id; 0 if there is none. */
size_t pieces_longest(const struct pieces *pieces, struct bytes text, uint32_t *id);

#endif
