/* sha1.h - the digest by which git names files. It guards against accidents only; what must
 * not be forged is named by SHA-256. */
#ifndef CORE_BASE_SHA1_H
#define CORE_BASE_SHA1_H

#include "core/base/bytes.h"

enum { SHA1_SIZE = 20 };

/* Of what comes in parts: sha1_begin(), which is NULL without memory, sha1_add() for each
 * part, and sha1_end(), which frees it. */
struct sha1_run;
struct sha1_run *sha1_begin(void);
void sha1_add(struct sha1_run *run, struct bytes part);
void sha1_end(struct sha1_run *run, uint8_t digest[SHA1_SIZE]);

#endif
