/* JPEG files through the decoder and every way of preprocessing. */
#include "tests/support/fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_image((struct bytes){.data = data, .size = size}, IMAGE_JPEG);
    return 0;
}
