#include "core/blueprint/blueprint_resnet.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/blueprint/blueprint_vit.h"
#include "core/blueprint/draft_conv.h"

enum { PATCH = 32 /* pixels a side of what one pixel of the last map stands for */ };

#define POOL "visual.attnpool."

/* ---- convolutions ---- */

/* A convolution and the BatchNorm behind it. */
static enum status take_conv(struct draft *draft, const char *prefix, const char *const layers[2],
                             struct resnet_channels channels, size_t window,
                             struct blueprint_conv *out, struct error *err) {
    size_t dims[4] = {channels.out, channels.in, window, window};
    return draft_take_conv(draft, prefix, layers[0], layers[1], dims, out, err);
}

static enum status take_stem(struct draft *draft, struct blueprint_resnet *out, struct error *err) {
    static const char *const layers[RESNET_STEM][2] = {
        {"conv1", "bn1"}, {"conv2", "bn2"}, {"conv3", "bn3"}};
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < RESNET_STEM && !status; i++) {
        status = take_conv(draft, "visual.", layers[i],
                           resnet_stem_channels(&draft->info->resnet, i), 3, &out->stem[i], err);
    }
    return status;
}

static enum status take_block(struct draft *draft, uint32_t number,
                              struct blueprint_bottleneck *out, struct error *err) {
    static const char *const layers[RESNET_CONVS][2] = {
        {"conv1", "bn1"}, {"conv2", "bn2"}, {"conv3", "bn3"}, {"downsample.0", "downsample.1"}};
    struct resnet_block block = resnet_block_at(&draft->info->resnet, number);
    char prefix[48];
    snprintf(prefix, sizeof(prefix), "visual.layer%u.%u.", block.stage + 1, block.index);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < RESNET_CONVS && !status; i++) {
        if (i == RESNET_SHORTCUT && !block.has_shortcut) continue;
        status =
            take_conv(draft, prefix, layers[i], resnet_block_channels(&block, (enum resnet_conv)i),
                      i == RESNET_SPATIAL ? 3 : 1, &out->convs[i], err);
    }
    return status;
}

/* ---- the shape ---- */

static uint32_t count_blocks(const struct draft *draft, uint32_t stage) {
    char prefix[48];
    snprintf(prefix, sizeof(prefix), "visual.layer%u.", stage + 1);
    return draft_count(draft, prefix, PLAN_LAYERS_MAX);
}

static enum status count_stages(struct draft *draft, struct error *err) {
    struct model_resnet *shape = &draft->info->resnet;
    uint32_t total = 0;
    for (uint32_t i = 0; i < MODEL_STAGES; i++) {
        char what[32];
        shape->blocks[i] = count_blocks(draft, i);
        total += shape->blocks[i];
        snprintf(what, sizeof(what), "vision layers[%u]", i);
        enum status status =
            draft_check_stated(what, draft->config->resnet[i], shape->blocks[i], err);
        if (status) return status;
        if (shape->blocks[i]) continue;
        return error_set(err, STATUS_UNPROCESSABLE, "the ModifiedResNet has no visual.layer%u.0",
                         i + 1);
    }
    draft->info->vision.layers = total + 1; /* and the attention */
    if (total < PLAN_LAYERS_MAX) return STATUS_OK;
    return error_set(err, STATUS_TOO_LARGE, "a ModifiedResNet of %u blocks, at most %d", total,
                     PLAN_LAYERS_MAX - 1);
}

static enum status set_shape(struct draft *draft, struct error *err) {
    struct model_info *info = draft->info;
    const struct model_config *config = draft->config;
    struct source first;
    size_t dims[4] = {0, 3, 3, 3};
    uint32_t head_width = config->head_width ? config->head_width : 64;
    enum status status = source_take(&first, draft->tensors, "visual.conv1.weight", dims, 4, err);
    if (status) return status;
    info->resnet.width = 2 * (uint32_t)dims[0];
    status = draft_check_stated("vision width", config->vision.width, info->resnet.width, err);
    if (!status) status = count_stages(draft, err);
    if (status) return status;
    info->patch_size = PATCH;
    info->vision.width = info->vision.pooled_width = 32 * info->resnet.width;
    info->vision.heads = config->vision.heads && !config->head_width
                             ? config->vision.heads
                             : info->vision.width / head_width;
    if (info->vision.heads && info->vision.width % (2 * info->vision.heads) == 0) {
        info->vision.head_width = info->vision.width / info->vision.heads;
        return STATUS_OK;
    }
    return error_set(err, STATUS_UNPROCESSABLE,
                     "attention over %u channels cannot have %u heads, which must divide them and "
                     "have an even width",
                     info->vision.width, info->vision.heads);
}

/* Averages and strides leave nothing over, so that each pixel of the last map stands for as
 * much of the image as another. */
static enum status check_size(const struct model_info *info, struct error *err) {
    if (info->image_size % PATCH == 0 && info->image_width % PATCH == 0) return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "image size %u x %u: a ModifiedResNet takes multiples of %d pixels",
                     info->image_width, info->image_size, PATCH);
}

/* ---- the whole ---- */

static enum status take_attention(struct draft *draft, struct blueprint *out, struct error *err) {
    size_t width = draft->info->vision.width, dim = draft->config->embed_dim;
    struct blueprint_resnet *resnet = &out->resnet;
    enum status status =
        draft_take_linear(draft, POOL, "q_proj", &width, width, &resnet->query, err);
    if (!status)
        status = draft_take_linear(draft, POOL, "k_proj", &width, width, &resnet->key_value, err);
    if (!status)
        status = draft_take_linear(draft, POOL, "v_proj", &width, width, &resnet->key_value, err);
    if (!status)
        status =
            draft_take_linear(draft, POOL, "c_proj", &dim, width, &out->vision.projection, err);
    draft->info->embed_dim = (uint32_t)dim;
    draft->info->vision.projected = draft->info->vision.projection_bias = true;
    return status;
}

enum status blueprint_resnet_draw(struct draft *draft, struct blueprint *out, struct error *err) {
    struct blueprint_resnet *resnet = &out->resnet;
    enum status status = set_shape(draft, err);
    if (status) return status;
    uint32_t blocks = draft->info->vision.layers - 1;
    resnet->blocks = calloc(blocks, sizeof(*resnet->blocks));
    if (!resnet->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the blocks");
    status = take_stem(draft, resnet, err);
    for (uint32_t i = 0; i < blocks && !status; i++) {
        status = take_block(draft, i, &resnet->blocks[i], err);
    }
    if (!status) status = blueprint_vit_take_positions(draft, draft->info->vision.width, out, err);
    if (!status) status = check_size(draft->info, err);
    return status ? status : take_attention(draft, out, err);
}
