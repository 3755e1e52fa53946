#include "core/checkpoint/config.h"

void config_init(struct model_config *out) {
    *out = (struct model_config){
        .pooling = MODEL_POOL_ARGMAX,
        .vision = {.layer_norm_eps = 1e-5f},
        .text = {.layer_norm_eps = 1e-5f},
        .preprocess = {.filter = 3,
                       .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                       .std = {0.26862954f, 0.26130258f, 0.27577711f},
                       .rescale = 1 / 255.0f},
    };
}
