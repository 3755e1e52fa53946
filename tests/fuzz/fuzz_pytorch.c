/* A whole file of PyTorch, archive or older form: its tensors are named once each, have the
 * size that their shape says, and can be read to the last byte. */
#include <stdlib.h>
#include <string.h>

#include "core/weights/pytorch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct tensor *tensor) {
    volatile uint8_t sink = 0;
    size_t elements = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) elements *= tensor->shape[i];
    if (tensor->data.size != elements * tensor_type_size(tensor->type)) abort();
    for (size_t i = 0; i < tensor->data.size; i++) sink = (uint8_t)(sink + tensor->data.data[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tensors tensors;
    struct error err = ERROR_NONE;
    enum status status = pytorch_parse(&tensors, (struct bytes){data, size}, &err);
    if (status != err.status || (status && tensors.count)) abort();
    for (size_t i = 0; i < tensors.count; i++) {
        read_all(&tensors.list[i]);
        if (i && strcmp(tensors.list[i - 1].name, tensors.list[i].name) >= 0) abort();
    }
    tensors_strip(&tensors, NULL);
    tensors_free(&tensors);
    return 0;
}
