#include "core/towers/convnext_encode.h"

#include <string.h>

#include "core/base/bytes.h"
#include "core/kernels/depthwise.h"
#include "core/towers/pooling.h"

bool convnext_measure(struct map_sizes *out, const struct convnext *convnext, size_t height,
                      size_t width) {
    size_t side[2] = {height, width}, next[2], pixels;
    *out = (struct map_sizes){0};
    if (!size_multiply(&pixels, height, width)) return false;
    if (!size_multiply(&out->stream, pixels, 3 * sizeof(float))) return false;
    if (!maps_follow(out, &out->stream, &convnext->stem, side, next)) return false;
    memcpy(side, next, sizeof(side));
    for (uint32_t i = 0; i < convnext->count; i++) {
        const struct convnext_block *block = &convnext->blocks[i];
        if (block->halve.window) {
            if (!maps_follow(out, &out->stream, &block->halve, side, next)) return false;
            memcpy(side, next, sizeof(side));
        }
        if (!maps_follow(out, &out->hidden, &block->fc, side, next) ||
            !maps_follow(out, &out->stream, &block->proj, side, next)) {
            return false;
        }
    }
    return true;
}

/* ---- steps; their units are lines ---- */

/* Every pixel through the LayerNorm. */
static void normalize(const struct pass *pass, const struct norm *norm, float epsilon,
                      const struct map *from, const struct map *to) {
    maps_normalize(&(struct map_normalize){
        .pass = pass, .from = from, .to = to, .norm = norm, .epsilon = epsilon});
}

/* What all blocks need. */
struct run {
    const struct pass *pass;
    const struct convnext *convnext;
    float epsilon;
};

struct look {
    struct map_normalize normalize; /* of what the windows see, where it is */
    depthwise_fn *run;
    struct depthwise_call call;
};

static void look_lines(void *context, size_t begin, size_t end, uint32_t member) {
    struct look *look = context;
    for (size_t y = begin; y < end; y++) {
        look->run(&look->call, y, y + 1);
        maps_normalize_lines(&look->normalize, y, y + 1, member);
    }
}

/* to = LN(windows(from)). */
static void look_around(const struct run *run, const struct convnext_block *block,
                        const struct map *from, const struct map *to) {
    struct look look = {.normalize = {.pass = run->pass,
                                      .from = to,
                                      .to = to,
                                      .norm = &block->norm,
                                      .epsilon = run->epsilon},
                        .run = run->convnext->depthwise,
                        .call = {.in = from->data,
                                 .height = from->height,
                                 .width = from->width,
                                 .channels = from->channels,
                                 .weights = block->window,
                                 .bias = block->window_bias,
                                 .window = CONVNEXT_WINDOW,
                                 .stride = 1,
                                 .out = to->data,
                                 .out_stride = to->stride}};
    team_run(run->pass->team, from->height, look_lines, &look);
}

/* ---- images ---- */

static struct map map_like(const struct map *map, float *data, size_t channels, size_t stride) {
    return (struct map){.data = data,
                        .height = map->height,
                        .width = map->width,
                        .channels = channels,
                        .stride = stride};
}

/* Windows that lie beside each other: the stem, and what halves the resolution. */
static void shrink(const struct pass *pass, const struct conv *conv, const struct map *in,
                   struct map *out) {
    size_t channels = conv->product.weight.n;
    *out = (struct map){.data = out->data,
                        .height = conv_side(conv, in->height),
                        .width = conv_side(conv, in->width),
                        .channels = channels,
                        .stride = channels};
    conv_run(pass, conv, in, out, GEMM_LINEAR, GEMM_STORE_F32);
}

/* x += proj(gelu(fc(LN(windows(x))))). */
static void run_block(const struct run *run, const struct convnext_block *block, struct map *x) {
    const struct pass *pass = run->pass;
    struct lane *lane = pass->lane;
    if (block->halve.window) {
        struct map normed = map_like(x, lane->wide, x->channels, x->channels);
        normalize(pass, &block->halve_norm, run->epsilon, x, &normed);
        shrink(pass, &block->halve, &normed, x);
    }
    size_t expanded = block->fc.product.weight.n;
    struct map seen = map_like(x, lane->wide, x->channels, map_padded_stride(x->channels));
    struct map hidden = map_like(x, lane->hidden, expanded, map_padded_stride(expanded));
    look_around(run, block, x, &seen);
    conv_run(pass, &block->fc, &seen, &hidden, GEMM_GELU_ERF, GEMM_STORE_F32);
    conv_run(pass, &block->proj, &hidden, x, GEMM_LINEAR, GEMM_ADD_F32);
}

/* One image through all blocks, to the mean of its pixels. */
static void run_image(const struct towers *towers, const struct pass *pass,
                      const struct map_image *image, float *mean) {
    const struct convnext *convnext = &towers->convnext;
    struct lane *lane = pass->lane;
    struct run run = {pass, convnext, towers->vision.shape.layer_norm_eps};
    struct map pixels = {.data = lane->wide,
                         .height = image->info->image_size,
                         .width = image->info->image_width,
                         .channels = 3,
                         .stride = 3};
    struct map x = {.data = lane->x};
    maps_enter(pass, image, pixels.data);
    shrink(pass, &convnext->stem, &pixels, &x);
    normalize(pass, &convnext->stem_norm, run.epsilon, &x, &x);
    for (uint32_t i = 0; i < convnext->count; i++) {
        run_block(&run, &convnext->blocks[i], &x);
        if (pass->trace) maps_trace(pass, &x, i, towers->vision.shape.width);
    }
    maps_average(mean, &x);
}

/* The means in lane->x through the last LayerNorm and an MLP. */
static void project_twice(const struct towers *towers, const struct pass *pass,
                          float *const *embeddings) {
    const struct tower *tower = &towers->vision;
    const struct linear *head = &towers->convnext.head;
    struct lane *lane = pass->lane;
    size_t count = lane->sequences.count, dim = tower->projection.weight.n;
    size_t stride = workspace_wide_stride(head->weight.n);
    struct pass_rows means = {&tower->ln_end, tower->shape.layer_norm_eps, lane->x,
                              tower->shape.width};
    struct pass_product product = {.linear = head,
                                   .call = {.a = lane->input,
                                            .m = count,
                                            .c = lane->wide,
                                            .c_stride = stride,
                                            .activation = GEMM_GELU_ERF}};
    struct pass_rows hidden = {.from = lane->wide, .stride = stride};
    pass_prepare(pass, &means, head, lane->input, count);
    pass_run(pass, &product);
    pass_prepare(pass, &hidden, &tower->projection, lane->input, count);
    pass_multiply(pass, &tower->projection, count, lane->x, dim);
    for (size_t i = 0; i < count; i++) {
        memcpy(embeddings[i], lane->x + i * dim, dim * sizeof(*lane->x));
    }
}

void convnext_encode(const struct towers *towers, const struct model_info *info,
                     const struct levels *levels, const struct pass *pass,
                     const struct vision_input *inputs, size_t count, float *const *embeddings) {
    struct lane *lane = pass->lane;
    size_t width = towers->vision.shape.width;
    lane->sequences.count = count;
    for (size_t i = 0; i < count; i++) {
        struct map_image image = {.info = info, .levels = levels, .input = &inputs[i]};
        run_image(towers, pass, &image, (float *)lane->qkv + i * width);
    }
    memcpy(lane->x, lane->qkv, count * width * sizeof(*lane->x));
    if (info->convnext.hidden)
        project_twice(towers, pass, embeddings);
    else
        pooling_project(&towers->vision, pass, embeddings);
}
