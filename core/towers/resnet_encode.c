#include "core/towers/resnet_encode.h"

#include <math.h>
#include <string.h>

#include "core/base/bytes.h"

/* ---- memory ---- */

bool resnet_measure(struct map_sizes *out, const struct resnet *resnet, size_t height,
                    size_t width) {
    size_t side[2] = {height, width}, next[2] = {0, 0}, pixels;
    *out = (struct map_sizes){0};
    if (!size_multiply(&pixels, height, width)) return false;
    if (!size_multiply(&out->stream, pixels, 3 * sizeof(float))) return false;
    for (uint32_t i = 0; i < RESNET_STEM; i++) {
        size_t *map = i + 1 < RESNET_STEM ? &out->hidden : &out->stream;
        if (!maps_follow(out, map, &resnet->stem[i], side, next)) return false;
        memcpy(side, next, sizeof(side));
    }
    for (uint32_t i = 0; i < resnet->count; i++) {
        const struct conv *convs = resnet->blocks[i].convs;
        size_t reduced[2], spatial[2];
        if (!maps_follow(out, &out->hidden, &convs[RESNET_REDUCE], side, reduced) ||
            !maps_follow(out, &out->hidden, &convs[RESNET_SPATIAL], reduced, spatial) ||
            !maps_follow(out, &out->stream, &convs[RESNET_EXPAND], spatial, next)) {
            return false;
        }
        if (convs[RESNET_SHORTCUT].window &&
            !maps_follow(out, &out->stream, &convs[RESNET_SHORTCUT], side, next)) {
            return false;
        }
        memcpy(side, next, sizeof(side));
    }
    return true;
}

/* ---- convolutions ---- */

/* The maps of a pass: what is read and what is written, of the stream and within a block. */
struct maps {
    struct map stream, other;
    float *hidden[2];
};

static struct map map_after(const struct conv *conv, const struct map *in, float *data) {
    size_t channels = conv->product.weight.n;
    return (struct map){.data = data,
                        .height = conv_side(conv, in->height),
                        .width = conv_side(conv, in->width),
                        .channels = channels,
                        .stride = channels};
}

/* max(conv(in), 0). */
static struct map rectify(const struct pass *pass, const struct conv *conv, const struct map *in,
                          float *data) {
    struct map out = map_after(conv, in, data);
    conv_run(pass, conv, in, &out, GEMM_RELU, GEMM_STORE_F32);
    return out;
}

static void run_stem(const struct resnet *resnet, const struct pass *pass, struct maps *maps) {
    struct map first = rectify(pass, &resnet->stem[0], &maps->stream, maps->hidden[0]);
    struct map second = rectify(pass, &resnet->stem[1], &first, maps->hidden[1]);
    maps->stream = rectify(pass, &resnet->stem[2], &second, maps->stream.data);
}

/* stream = max(shortcut(stream) + expand(spatial(reduce(stream))), 0). */
static void run_block(const struct bottleneck *block, const struct pass *pass, struct maps *maps) {
    const struct conv *shortcut = &block->convs[RESNET_SHORTCUT];
    const struct conv *expand = &block->convs[RESNET_EXPAND];
    struct map reduced =
        rectify(pass, &block->convs[RESNET_REDUCE], &maps->stream, maps->hidden[0]);
    struct map spatial = rectify(pass, &block->convs[RESNET_SPATIAL], &reduced, maps->hidden[1]);
    if (shortcut->window) {
        struct map to = map_after(shortcut, &maps->stream, maps->other.data);
        to.stride = map_padded_stride(to.channels);
        conv_run(pass, shortcut, &maps->stream, &to, GEMM_LINEAR, GEMM_STORE_F32);
        maps->other = maps->stream;
        maps->stream = to;
    }
    conv_run(pass, expand, &spatial, &maps->stream, GEMM_LINEAR, GEMM_ADD_RELU_F32);
}

/* One image through all blocks, to the rows of the attention: the mean of the pixels, then
 * the pixels, each with its position. */
static void run_image(const struct towers *towers, const struct pass *pass,
                      const struct map_image *image, float *rows) {
    const struct resnet *resnet = &towers->resnet;
    struct lane *lane = pass->lane;
    size_t height = image->info->image_size, width = image->info->image_width,
           channels = towers->vision.shape.width;
    struct maps maps = {
        .stream = {.data = lane->x, .height = height, .width = width, .channels = 3, .stride = 3},
        .other = {.data = lane->wide},
        .hidden = {lane->hidden, lane->input}};
    maps_enter(pass, image, lane->x);
    run_stem(resnet, pass, &maps);
    for (uint32_t i = 0; i < resnet->count; i++) {
        run_block(&resnet->blocks[i], pass, &maps);
        if (pass->trace) maps_trace(pass, &maps.stream, i, channels);
    }
    maps_average(rows, &maps.stream);
    for (size_t i = 1; i < towers->vision.tokens_max; i++) {
        memcpy(rows + i * channels, maps.stream.data + (i - 1) * maps.stream.stride,
               channels * sizeof(*rows));
    }
    for (size_t i = 0; i < towers->vision.tokens_max * channels; i++)
        rows[i] += towers->vision.positions[i];
}

/* ---- attention ---- */

struct attend {
    const struct towers *towers;
    const struct pass *pass;
};

/* Units are heads of all images; the result of an image is a row of x. */
static void attend_heads(void *context, size_t begin, size_t end, uint32_t member) {
    const struct attend *attend = context;
    const struct tower *tower = &attend->towers->vision;
    const struct lane *lane = attend->pass->lane;
    size_t width = tower->shape.width, depth = width / tower->shape.heads;
    size_t stride = workspace_qkv_stride(3 * width);
    void *scratch = attend->pass->workspace->lanes[member].scratch.attention;
    for (size_t i = begin; i < end; i++) {
        size_t image = i / tower->shape.heads, column = i % tower->shape.heads * depth;
        const float *q = (const float *)lane->qkv + image * tower->tokens_max * stride + column;
        struct attention_call call = {.q = q,
                                      .k = q + width,
                                      .v = q + 2 * width,
                                      .stride = stride,
                                      .tokens = tower->tokens_max,
                                      .head_dim = depth,
                                      .query_end = 1,
                                      .scale = 1 / sqrtf((float)depth),
                                      .out = lane->x + image * width + column,
                                      .out_stride = width,
                                      .output = GEMM_STORE_F32};
        attention_run(tower->attention, &call, scratch);
    }
}

/* The rows, which lie in lane->qkv, to queries, keys and values, which replace them. */
static void project_rows(const struct towers *towers, const struct pass *pass, size_t count) {
    const struct tower *tower = &towers->vision;
    struct lane *lane = pass->lane;
    size_t width = tower->shape.width, tokens = tower->tokens_max;
    size_t stride = workspace_qkv_stride(3 * width), between = workspace_wide_stride(width);
    float *qkv = lane->qkv;
    struct pass_rows first = {.from = qkv, .stride = tokens * width},
                     all = {.from = qkv, .stride = width};
    pass_prepare(pass, &first, &towers->resnet.query, lane->input, count);
    pass_multiply(pass, &towers->resnet.query, count, lane->wide, between);
    pass_prepare(pass, &all, &towers->resnet.key_value, lane->input, count * tokens);
    pass_multiply(pass, &towers->resnet.key_value, count * tokens, qkv + width, stride);
    for (size_t i = 0; i < count; i++) {
        memcpy(qkv + i * tokens * stride, lane->wide + i * between, width * sizeof(*qkv));
    }
}

void resnet_encode(const struct towers *towers, const struct model_info *info,
                   const struct levels *levels, const struct pass *pass,
                   const struct vision_input *inputs, size_t count, float *const *embeddings) {
    const struct tower *tower = &towers->vision;
    struct lane *lane = pass->lane;
    size_t width = tower->shape.width, dim = tower->projection.weight.n;
    for (size_t i = 0; i < count; i++) {
        struct map_image image = {.info = info, .levels = levels, .input = &inputs[i]};
        run_image(towers, pass, &image, (float *)lane->qkv + i * tower->tokens_max * width);
    }
    project_rows(towers, pass, count);
    struct attend attend = {.towers = towers, .pass = pass};
    team_run(pass->team, count * tower->shape.heads, attend_heads, &attend);
    if (pass->trace) {
        memcpy(pass->trace + towers->resnet.count * width, lane->x, width * sizeof(*lane->x));
    }
    struct pass_rows rows = {.from = lane->x, .stride = width};
    pass_prepare(pass, &rows, &tower->projection, lane->input, count);
    pass_multiply(pass, &tower->projection, count, lane->wide, dim);
    for (size_t i = 0; i < count; i++) {
        memcpy(embeddings[i], lane->wide + i * dim, dim * sizeof(*lane->wide));
    }
}
