/* keyed_hash.h - hashes for tables whose keys come from outside: without the table's own random
 * key nobody can choose keys that fall together, and make each look-up walk over all of them. */
#ifndef CORE_BASE_KEYED_HASH_H
#define CORE_BASE_KEYED_HASH_H

#include "core/base/bytes.h"

struct keyed_hash {
    uint64_t key[2];
};

/* Draws a key; STATUS_UNAVAILABLE when the system has no random numbers. */
enum status keyed_hash_init(struct keyed_hash *hash, struct error *err);
/* SipHash-1-3. */
uint64_t keyed_hash_of(const struct keyed_hash *hash, struct bytes text);

#endif
