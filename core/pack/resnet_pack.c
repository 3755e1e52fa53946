#include "core/pack/resnet_pack.h"

#include "core/pack/conv_pack.h"

static enum status pack_block(const struct bottleneck *to, const struct blueprint_bottleneck *from,
                              struct error *err) {
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < RESNET_CONVS && !status; i++) {
        if (to->convs[i].window) status = conv_pack(&to->convs[i], &from->convs[i], err);
    }
    return status;
}

enum status resnet_pack(const struct towers *towers, const struct blueprint *from,
                        const struct plan *plan, struct error *err) {
    const struct resnet *to = &towers->resnet;
    const struct tower *tower = &towers->vision;
    uint8_t pool = plan->layers[PLAN_VISION][to->count][PLAN_QKV];
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < RESNET_STEM && !status; i++) {
        status = conv_pack(&to->stem[i], &from->resnet.stem[i], err);
    }
    for (uint32_t i = 0; i < to->count && !status; i++) {
        status = pack_block(&to->blocks[i], &from->resnet.blocks[i], err);
    }
    if (status) return status;
    pack_vector(tower->positions, &from->vision.positions);
    status = pack_linear(&to->query, &from->resnet.query, NULL, pool, err);
    if (!status) status = pack_linear(&to->key_value, &from->resnet.key_value, NULL, pool, err);
    if (status) return status;
    return pack_linear(&tower->projection, &from->vision.projection, NULL,
                       plan->projection[PLAN_VISION], err);
}
