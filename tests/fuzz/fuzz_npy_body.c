/* Any bytes as a .npy file. What is found lies within it. */
#include <stdlib.h>

#include "api/npy_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes file = {data, size}, found;
    size_t rows;
    if (npy_body_read(&found, &rows, file, 4, NULL)) return 0;
    if (found.data < data || found.size != rows * 16 ||
        found.size > size - (size_t)(found.data - data)) {
        abort();
    }
    return 0;
}
