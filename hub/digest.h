/* digest.h - the digest by which a hub names what a file holds: SHA-256 of its bytes for
 * large files (64 hexadecimal digits), git's name of a blob for the rest (40). */
#ifndef HUB_DIGEST_H
#define HUB_DIGEST_H

#include "core/base/bytes.h"

enum { DIGEST_HEX_SIZE = 65 }; /* of the longer one, with a NUL */

/* True for a text that is such a name. */
bool digest_is_name(const char *name);

struct digest;

/* Begins one of the kind of `name`, for so many bytes; NULL without memory. */
struct digest *digest_begin(const char *name, uint64_t size);
void digest_add(struct digest *digest, struct bytes part);
/* Writes the name and frees the digest. NULL in: "". */
void digest_end(struct digest *digest, char hex[DIGEST_HEX_SIZE]);

#endif
