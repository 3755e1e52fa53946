/* A weight file: the header, every tensor's data, and the towers made from them. */
#include <stdlib.h>

#include "core/model/load.h"
#include "core/model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ELEMENTS_MAX = 4096, IMAGE_SIZE = 8 };

static void widen_all(const struct tensors *tensors) {
    float values[ELEMENTS_MAX];
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->list[i];
        size_t count = tensor_elements(tensor);
        if (tensor->type != TENSOR_F32 && tensor->type != TENSOR_F16 &&
            tensor->type != TENSOR_BF16) {
            continue;
        }
        tensor_widen(values, tensor, 0, count < ELEMENTS_MAX ? count : ELEMENTS_MAX);
    }
}

static void load(struct tensors *tensors, uint32_t image_size) {
    struct weights weights;
    struct model_config config;
    struct model_info info = {.embed_dim = 0};
    struct vision vision = {0};
    struct text text = {0};
    model_config_init(&config);
    config.head_width = 1;
    weights_init(&weights, tensors);
    load_towers(&vision, &text, &info, &weights, &config, image_size, NULL);
    free(vision.transformer.blocks);
    free(text.transformer.blocks);
    weights_free(&weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tensors tensors;
    if (safetensors_parse(&tensors, (struct bytes){data, size}, NULL)) return 0;
    widen_all(&tensors);
    load(&tensors, 0);
    load(&tensors, IMAGE_SIZE);
    tensors_free(&tensors);
    return 0;
}
