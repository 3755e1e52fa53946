#include "core/base/checksum.h"

#include <xxhash.h>

uint64_t checksum(struct bytes data) {
    return XXH3_64bits(data.data, data.size);
}
