/* A weight file: the header, every tensor's data, and the model that is packed from it. */
#include "core/blueprint/blueprint.h"
#include "core/kernels/isa.h"
#include "core/pack/pack.h"
#include "core/pack/packed_file.h"
#include "core/weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ELEMENTS_MAX = 4096, IMAGE_SIZE = 8, PACKED_MAX = 16 << 20 };

static void widen_all(const struct tensors *tensors) {
    float values[ELEMENTS_MAX];
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->list[i];
        size_t count = tensor_elements(tensor);
        if (!tensor_is_floating(tensor)) continue;
        tensor_widen(values, tensor, 0, count < ELEMENTS_MAX ? count : ELEMENTS_MAX);
    }
}

static void pack(const struct blueprint *blueprint, const struct model_info *info,
                 enum model_precision precision) {
    struct towers towers;
    struct plan plan;
    struct packed packed;
    plan_fill(&plan, precision);
    if (towers_create(&towers, info, &plan, isa_detect(), NULL)) return;
    if (towers.bytes < PACKED_MAX && !packed_allocate(&packed, towers.bytes, NULL)) {
        towers_place(&towers, info, &plan, isa_detect(), packed.block.data);
        pack_towers(&towers, blueprint, &plan, NULL);
        packed_close(&packed);
    }
    towers_free(&towers);
}

static void draw(struct tensors *tensors, uint32_t image_size) {
    struct blueprint blueprint;
    struct model_config config;
    struct model_info info = {.image_size = image_size};
    config_init(&config);
    config.head_width = 2;
    if (!blueprint_draw(&blueprint, &info, tensors, &config, NULL)) {
        pack(&blueprint, &info, MODEL_FP32);
        pack(&blueprint, &info, MODEL_BF16);
        pack(&blueprint, &info, MODEL_INT8);
    }
    blueprint_free(&blueprint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tensors tensors;
    if (safetensors_parse(&tensors, (struct bytes){data, size}, NULL)) return 0;
    widen_all(&tensors);
    if (!tensors_strip(&tensors, NULL)) {
        draw(&tensors, 0);
        draw(&tensors, IMAGE_SIZE);
    }
    tensors_free(&tensors);
    return 0;
}
