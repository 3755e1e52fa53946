/* checksum.h - finds damage in files that we wrote ourselves, at memory speed. Not a
 * protection against somebody who wants to deceive us. */
#ifndef CORE_BASE_CHECKSUM_H
#define CORE_BASE_CHECKSUM_H

#include "core/base/bytes.h"

/* XXH3, 64 bits. */
uint64_t checksum(struct bytes data);

#endif
