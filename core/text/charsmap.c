#include "core/text/charsmap.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/little_endian.h"
#include "core/text/unicode.h"

enum {
    BLOB_MAX = 16 << 20,
    UNIT_SIZE = 4,
    CLUSTER_MAX = 6, /* tokenizers looks up clusters of fewer bytes */
    LABEL_MASK = 0xFF,
};
#define LEAF_BIT 0x80000000U

enum status charsmap_open(struct charsmap *out, struct bytes blob, struct error *err) {
    *out = (struct charsmap){.units_count = 0};
    if (!blob.size) return STATUS_OK;
    size_t trie = blob.size < UNIT_SIZE ? 0 : (size_t)little_endian(blob.data, UNIT_SIZE);
    if (blob.size > BLOB_MAX || blob.size <= UNIT_SIZE || trie > blob.size - UNIT_SIZE - 1 ||
        trie % UNIT_SIZE || !trie || blob.data[blob.size - 1])
        return error_set(err, STATUS_INVALID,
                         "a charsmap of %zu bytes says that its trie has %zu, expected a trie and "
                         "strings that end in NUL",
                         blob.size, trie);
    size_t wrong;
    struct bytes strings = {blob.data + UNIT_SIZE + trie, blob.size - UNIT_SIZE - trie};
    if (!unicode_valid(strings, &wrong))
        return error_set(err, STATUS_INVALID, "the strings of a charsmap are not valid UTF-8");
    out->units_count = trie / UNIT_SIZE;
    out->strings_size = blob.size - UNIT_SIZE - trie;
    out->units = malloc(trie);
    out->strings = malloc(out->strings_size);
    if (!out->units || !out->strings) {
        charsmap_close(out);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a charsmap");
    }
    for (size_t i = 0; i < out->units_count; i++)
        out->units[i] = (uint32_t)little_endian(blob.data + UNIT_SIZE * (i + 1), UNIT_SIZE);
    memcpy(out->strings, blob.data + UNIT_SIZE + trie, out->strings_size);
    return STATUS_OK;
}

void charsmap_close(struct charsmap *map) {
    free(map->units);
    free(map->strings);
    *map = (struct charsmap){.units_count = 0};
}

/* A trie may end its keys, and point into the strings, amid a character; texts must stay valid. */
static bool begins_character(const uint8_t *at) {
    return (*at & 0xC0) != 0x80;
}

/* The fields of a unit as the darts-clone library lays them out. */
static size_t offset_of(uint32_t unit) {
    return (size_t)(unit >> 10) << ((unit & (1U << 9)) >> 6);
}

size_t charsmap_match(const struct charsmap *map, struct bytes text, bool shortest,
                      struct bytes *replacement) {
    size_t matched = 0;
    const uint8_t *last = NULL; /* what replaces it; measured only once, it may be long */
    if (!map->units_count) return 0;
    size_t at = offset_of(map->units[0]);
    for (size_t i = 0; i < text.size; i++) {
        at ^= text.data[i];
        if (!text.data[i] || at >= map->units_count) break;
        uint32_t unit = map->units[at];
        if ((unit & (LEAF_BIT | LABEL_MASK)) != text.data[i]) break;
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1)) continue; /* no entry ends here */
        if (at >= map->units_count) break;
        size_t string = map->units[at] & ~LEAF_BIT;
        if (string >= map->strings_size) break;
        const uint8_t *value = (const uint8_t *)map->strings + string;
        bool whole = i + 1 == text.size || begins_character(text.data + i + 1);
        if (!whole || !begins_character(value)) continue;
        last = value;
        matched = i + 1;
        if (shortest) break;
    }
    if (last) *replacement = (struct bytes){last, strlen((const char *)last)};
    return matched;
}

/* What replaces the whole of `text` in tokenizers, which asks for the first entry only. */
static bool replace_whole(struct buffer *out, const struct charsmap *map, struct bytes text,
                          enum status *status, struct error *err) {
    struct bytes replacement;
    if (!charsmap_match(map, text, true, &replacement)) return false;
    *status = buffer_append(out, replacement.data, replacement.size, err);
    return true;
}

static enum status apply_cluster(struct buffer *out, const struct charsmap *map,
                                 struct bytes cluster, struct error *err) {
    enum status status = STATUS_OK;
    if (cluster.size < CLUSTER_MAX && replace_whole(out, map, cluster, &status, err)) return status;
    for (size_t at = 0, size; at < cluster.size && !status; at += size) {
        uint32_t point;
        size = unicode_decode(&point, cluster.data + at);
        struct bytes character = {cluster.data + at, size};
        if (!replace_whole(out, map, character, &status, err))
            status = buffer_append(out, character.data, size, err);
    }
    return status;
}

enum status charsmap_apply(struct buffer *out, const struct charsmap *map, struct bytes text,
                           struct error *err) {
    enum status status = STATUS_OK;
    for (size_t at = 0, size; at < text.size && !status; at += size) {
        size = unicode_cluster((struct bytes){text.data + at, text.size - at});
        status = apply_cluster(out, map, (struct bytes){text.data + at, size}, err);
    }
    return status;
}
