/* SipHash of Aumasson and Bernstein ("SipHash: a fast short-input PRF", 2012), with one round
 * for each word and three at the end, as Python and Rust have it in their tables. */
#include "core/base/keyed_hash.h"

#include <unistd.h>

#include "core/base/little_endian.h"

enum { WORD = 8, LAST_ROUNDS = 3 };

struct state {
    uint64_t a, b, c, d; /* v0 to v3 of the paper */
};

enum status keyed_hash_init(struct keyed_hash *hash, struct error *err) {
    if (!getentropy(hash->key, sizeof(hash->key))) return STATUS_OK;
    return error_set(err, STATUS_UNAVAILABLE, "the system has no random numbers for a table");
}

static uint64_t turn(uint64_t word, int bits) {
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *s) {
    s->a += s->b;
    s->c += s->d;
    s->b = turn(s->b, 13) ^ s->a;
    s->d = turn(s->d, 16) ^ s->c;
    s->a = turn(s->a, 32) + s->d;
    s->c += s->b;
    s->d = turn(s->d, 21) ^ s->a;
    s->b = turn(s->b, 17) ^ s->c;
    s->c = turn(s->c, 32);
}

static void take(struct state *s, uint64_t word) {
    s->d ^= word;
    mix(s);
    s->a ^= word;
}

uint64_t keyed_hash_of(const struct keyed_hash *hash, struct bytes text) {
    const uint64_t *key = hash->key;
    /* "somepseudorandomlygeneratedbytes" */
    struct state s = {key[0] ^ 0x736F6D6570736575U, key[1] ^ 0x646F72616E646F6DU,
                      key[0] ^ 0x6C7967656E657261U, key[1] ^ 0x7465646279746573U};
    size_t at = 0;
    for (; text.size - at >= WORD; at += WORD) take(&s, little_endian(text.data + at, WORD));
    take(&s, (uint64_t)text.size << 56 | little_endian(text.data + at, text.size - at));
    s.c ^= 0xFF;
    for (int i = 0; i < LAST_ROUNDS; i++) mix(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
