#include "core/model/invent_resnet.h"

#include <math.h>
#include <stdlib.h>

static struct source make(uint64_t *seed, size_t rows, size_t columns, double scale) {
    return (struct source){.kind = SOURCE_RANDOM,
                           .rows = rows,
                           .columns = columns,
                           .seed = (*seed)++,
                           .scale = (float)scale};
}

/* Behind a ReLU half of the inputs are gone, so weights of this size keep that of their
 * results (He et al. 2015). Those that are added to the stream are smaller by `share`. */
static struct blueprint_conv make_conv(uint64_t *seed, struct resnet_channels channels,
                                       size_t window, double share) {
    size_t k = window * window * channels.in;
    struct source ones = {.kind = SOURCE_GAIN, .rows = 1, .columns = channels.out};
    struct blueprint_conv conv = {.gain = ones, .variance = ones};
    conv.weight = make(seed, channels.out, k, share * sqrt(2 / (double)k));
    conv.bias = make(seed, 1, channels.out, 0.1);
    conv.mean = make(seed, 1, channels.out, 0.1);
    return conv;
}

static struct blueprint_linear make_linear(uint64_t *seed, size_t n, size_t k) {
    struct blueprint_linear linear = {.parts = 1};
    linear.weights[0] = make(seed, n, k, 1 / sqrt((double)k));
    linear.biases[0] = make(seed, 1, n, 0.01);
    return linear;
}

enum status invent_resnet(struct blueprint *out, const struct model_info *info, uint64_t *seed,
                          struct error *err) {
    struct blueprint_resnet *resnet = &out->resnet;
    const double shares[RESNET_CONVS] = {
        [RESNET_REDUCE] = 1, [RESNET_SPATIAL] = 1, [RESNET_EXPAND] = 0.3, [RESNET_SHORTCUT] = 0.7};
    uint32_t count = info->vision.layers - 1;
    size_t width = info->vision.width, tokens = model_image_tokens(info);
    resnet->blocks = calloc(count, sizeof(*resnet->blocks));
    if (!resnet->blocks) return error_set(err, STATUS_NO_MEMORY, "out of memory for the blocks");
    for (uint32_t i = 0; i < RESNET_STEM; i++) {
        resnet->stem[i] = make_conv(seed, resnet_stem_channels(&info->resnet, i), 3, 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct resnet_block block = resnet_block_at(&info->resnet, i);
        for (uint32_t j = 0; j < RESNET_CONVS; j++) {
            resnet->blocks[i].convs[j] =
                make_conv(seed, resnet_block_channels(&block, (enum resnet_conv)j),
                          j == RESNET_SPATIAL ? 3 : 1, shares[j]);
        }
    }
    out->vision.positions = make(seed, tokens, width, 1 / sqrt((double)width));
    resnet->query = make_linear(seed, width, width);
    resnet->key_value = make_linear(seed, 2 * width, width);
    out->vision.projection = make_linear(seed, info->embed_dim, width);
    return STATUS_OK;
}
