#include "core/towers/fastvit_encode.h"

#include <math.h>
#include <string.h>

#include "core/base/bytes.h"

/* ---- memory ---- */

static void most(size_t *size, size_t needed) {
    if (needed > *size) *size = needed;
}

/* Follows one window, as maps_follow() follows convolutions; `side` becomes that behind it. */
static bool follow_window(struct map_sizes *sizes, const struct window *window, size_t side[2]) {
    size_t pixels, bytes, channels = window->multiple * window->channels;
    for (int i = 0; i < 2; i++) side[i] = depthwise_side(side[i], window->stride);
    if (!size_multiply(&pixels, side[0], side[1])) return false;
    if (!size_multiply(&bytes, pixels, map_padded_stride(channels) * sizeof(float))) return false;
    most(&sizes->stream, bytes);
    return true;
}

/* The mean, what it is squeezed to, and the gates. */
static void measure_squeeze(struct map_sizes *sizes, const struct fastvit_squeeze *squeeze) {
    if (!squeeze->fc.blob) return;
    most(&sizes->hidden, (2 * squeeze->proj.weight.n + squeeze->fc.weight.n) * sizeof(float));
}

static bool measure_layer(struct map_sizes *out, const struct fastvit_layer *layer,
                          size_t side[2]) {
    size_t next[2];
    if (layer->first.side && !follow_window(out, &layer->first, side)) return false;
    if (layer->kind == FASTVIT_HALVE) {
        measure_squeeze(out, &layer->squeeze);
        return maps_follow(out, &out->stream, &layer->entry, side, next);
    }
    if (layer->kind == FASTVIT_ATTEND) {
        size_t ignored = 0; /* its map is lane->qkv */
        if (!maps_follow(out, &ignored, &layer->qkv, side, next) ||
            !maps_follow(out, &out->stream, &layer->out, side, next)) {
            return false;
        }
    }
    return follow_window(out, &layer->window, side) &&
           maps_follow(out, &out->hidden, &layer->fc, side, next) &&
           maps_follow(out, &out->stream, &layer->proj, side, next);
}

bool fastvit_measure(struct map_sizes *out, size_t *tokens, const struct fastvit *fastvit,
                     size_t height, size_t width) {
    size_t side[2] = {height, width}, next[2], pixels;
    *out = (struct map_sizes){0};
    *tokens = 0;
    if (!size_multiply(&pixels, height, width)) return false;
    if (!size_multiply(&out->stream, pixels, 3 * sizeof(float))) return false;
    if (!maps_follow(out, &out->stream, &fastvit->stem, side, next)) return false;
    memcpy(side, next, sizeof(side));
    if (!follow_window(out, &fastvit->stem_window, side)) return false;
    if (!maps_follow(out, &out->stream, &fastvit->stem_mix, side, next)) return false;
    for (uint32_t i = 0; i < fastvit->count; i++) {
        const struct fastvit_layer *layer = &fastvit->layers[i];
        if (!measure_layer(out, layer, side)) return false;
        if (layer->kind == FASTVIT_ATTEND) most(tokens, side[0] * side[1]);
    }
    /* The mean at the end is in the hidden map, too. */
    most(&out->hidden, fastvit->end.multiple * fastvit->end.channels * sizeof(float));
    measure_squeeze(out, &fastvit->end_squeeze);
    return follow_window(out, &fastvit->end, side);
}

/* ---- windows; their units are lines ---- */

/* An image on its way: the stream, which windows move from one memory to the other. */
struct run {
    const struct towers *towers;
    const struct pass *pass;
    struct map x;
    float *other;
};

struct look {
    const struct row_kernels *rows;
    depthwise_fn *run;
    struct depthwise_call call; /* of the first of `multiple` */
    size_t multiple;
    bool activate;
    const float *gate; /* for `activate`; NULL: none */
    struct map to;
};

static void activate_lines(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct look *look = context;
    const struct map *to = &look->to;
    for (size_t i = begin * to->width; i < end * to->width; i++) {
        look->rows->gelu(to->data + i * to->stride, look->gate, to->channels);
    }
}

static void look_lines(void *context, size_t begin, size_t end, uint32_t member) {
    const struct look *look = context;
    size_t channels = look->call.channels, area = look->call.window * look->call.window;
    for (size_t y = begin; y < end; y++) {
        for (size_t i = 0; i < look->multiple; i++) {
            struct depthwise_call call = look->call;
            call.weights += i * area * channels;
            call.bias += i * channels;
            call.out += i * channels;
            look->run(&call, y, y + 1);
        }
        if (look->activate) activate_lines(context, y, y + 1, member);
    }
}

/* What the windows make of the stream, in the other memory. */
static struct map look_around(const struct run *run, const struct window *window, bool activate,
                              bool padded) {
    size_t channels = window->multiple * window->channels;
    struct look look = {.rows = run->pass->rows,
                        .run = run->towers->fastvit.depthwise,
                        .multiple = window->multiple,
                        .activate = activate,
                        .to = {.data = run->other,
                               .height = depthwise_side(run->x.height, window->stride),
                               .width = depthwise_side(run->x.width, window->stride),
                               .channels = channels,
                               .stride = padded ? map_padded_stride(channels) : channels}};
    look.call = (struct depthwise_call){.in = run->x.data,
                                        .height = run->x.height,
                                        .width = run->x.width,
                                        .channels = window->channels,
                                        .weights = window->weights,
                                        .bias = window->bias,
                                        .window = window->side,
                                        .stride = window->stride,
                                        .out = look.to.data,
                                        .out_stride = look.to.stride};
    team_run(run->pass->team, look.to.height, look_lines, &look);
    return look.to;
}

/* The stream moves to the other memory. */
static void move(struct run *run, const struct window *window, bool activate) {
    struct map to = look_around(run, window, activate, false);
    run->other = run->x.data;
    run->x = to;
}

/* x = gelu(x * sigmoid(proj(relu(fc(mean(x)))))). */
static void squeeze(const struct pass *pass, const struct fastvit_squeeze *squeeze,
                    const struct map *x) {
    size_t n = squeeze->proj.weight.n;
    float *mean = pass->lane->hidden, *gate = mean + n, *squeezed = gate + n;
    struct pass_product fc = {
        .linear = &squeeze->fc,
        .call = {.a = mean, .m = 1, .c = squeezed, .c_stride = n, .activation = GEMM_RELU}};
    struct pass_product proj = {.linear = &squeeze->proj,
                                .call = {.a = squeezed, .m = 1, .c = gate, .c_stride = n}};
    maps_average(mean, x);
    pass_run(pass, &fc);
    pass_run(pass, &proj);
    for (size_t i = 0; i < n; i++) gate[i] = 1 / (1 + expf(-gate[i]));
    struct look look = {.rows = pass->rows, .gate = gate, .to = *x};
    team_run(pass->team, x->height, activate_lines, &look);
}

/* gelu(squeeze(windows(x))), in the other memory. */
static struct map look_and_squeeze(const struct run *run, const struct window *window,
                                   const struct fastvit_squeeze *gates) {
    struct map seen = look_around(run, window, !gates->fc.blob, true);
    if (gates->fc.blob) squeeze(run->pass, gates, &seen);
    return seen;
}

/* ---- attention ---- */

struct attend {
    const struct run *run;
    const struct map *qkv, *to;
};

/* Units are heads. */
static void attend_heads(void *context, size_t begin, size_t end, uint32_t member) {
    const struct attend *attend = context;
    const struct map *qkv = attend->qkv, *to = attend->to;
    void *scratch = attend->run->pass->workspace->lanes[member].scratch.attention;
    for (size_t i = begin; i < end; i++) {
        const float *q = qkv->data + i * FASTVIT_HEAD;
        struct attention_call call = {.q = q,
                                      .k = q + to->channels,
                                      .v = q + 2 * to->channels,
                                      .stride = qkv->stride,
                                      .tokens = to->height * to->width,
                                      .head_dim = FASTVIT_HEAD,
                                      .query_end = to->height * to->width,
                                      .scale = 1 / sqrtf(FASTVIT_HEAD),
                                      .out = to->data + i * FASTVIT_HEAD,
                                      .out_stride = to->stride,
                                      .output = GEMM_STORE_F32};
        attention_run(attend->run->towers->vision.attention, &call, scratch);
    }
}

static struct map map_like(const struct map *map, float *data, size_t channels, size_t stride) {
    return (struct map){.data = data,
                        .height = map->height,
                        .width = map->width,
                        .channels = channels,
                        .stride = stride};
}

/* x += out(attention(qkv(LN(x)))). */
static void attend(const struct run *run, const struct fastvit_layer *layer) {
    const struct pass *pass = run->pass;
    size_t channels = run->x.channels;
    struct map other = map_like(&run->x, run->other, channels, map_padded_stride(channels));
    struct map qkv =
        map_like(&run->x, pass->lane->qkv, 3 * channels, workspace_qkv_stride(3 * channels));
    const struct map *from = &run->x;
    if (layer->norm.gain) {
        maps_normalize(
            &(struct map_normalize){.pass = pass,
                                    .from = from,
                                    .to = &other,
                                    .norm = &layer->norm,
                                    .epsilon = run->towers->vision.shape.layer_norm_eps});
        from = &other;
    }
    conv_run(pass, &layer->qkv, from, &qkv, GEMM_LINEAR, GEMM_STORE_F32);
    struct attend step = {.run = run, .qkv = &qkv, .to = &other};
    team_run(pass->team, channels / FASTVIT_HEAD, attend_heads, &step);
    conv_run(pass, &layer->out, &other, &run->x, GEMM_LINEAR, GEMM_ADD_F32);
}

/* ---- images ---- */

/* x = gelu(product(seen)), where x was. */
static void enter(struct run *run, const struct conv *product, const struct map *seen) {
    size_t channels = product->product.weight.n;
    run->x = map_like(seen, run->x.data, channels, channels);
    conv_run(run->pass, product, seen, &run->x, GEMM_GELU_ERF, GEMM_STORE_F32);
}

static void run_layer(struct run *run, const struct fastvit_layer *layer) {
    const struct pass *pass = run->pass;
    if (layer->kind == FASTVIT_HALVE) {
        struct map seen = look_and_squeeze(run, &layer->first, &layer->squeeze);
        enter(run, &layer->entry, &seen);
        if (layer->positions.side) move(run, &layer->positions, false);
        return;
    }
    if (layer->kind == FASTVIT_ATTEND)
        attend(run, layer);
    else
        move(run, &layer->first, false);
    /* x += proj(gelu(fc(windows(x)))). */
    size_t expanded = layer->fc.product.weight.n;
    struct map seen = look_around(run, &layer->window, false, true);
    struct map hidden = map_like(&seen, pass->lane->hidden, expanded, map_padded_stride(expanded));
    conv_run(pass, &layer->fc, &seen, &hidden, GEMM_GELU_ERF, GEMM_STORE_F32);
    conv_run(pass, &layer->proj, &hidden, &run->x, GEMM_LINEAR, GEMM_ADD_F32);
}

/* One image through all layers; the mean of its pixels becomes a row of A. */
static void run_image(const struct towers *towers, const struct pass *pass,
                      const struct map_image *image, size_t row) {
    const struct fastvit *fastvit = &towers->fastvit;
    struct lane *lane = pass->lane;
    struct map pixels = {.data = lane->wide,
                         .height = image->info->image_size,
                         .width = image->info->image_width,
                         .channels = 3,
                         .stride = 3};
    struct run run = {.towers = towers, .pass = pass, .other = lane->wide};
    size_t channels = fastvit->stem.product.weight.n;
    run.x = (struct map){.data = lane->x,
                         .height = conv_side(&fastvit->stem, pixels.height),
                         .width = conv_side(&fastvit->stem, pixels.width),
                         .channels = channels,
                         .stride = channels};
    maps_enter(pass, image, pixels.data);
    conv_run(pass, &fastvit->stem, &pixels, &run.x, GEMM_GELU_ERF, GEMM_STORE_F32);
    struct map seen = look_around(&run, &fastvit->stem_window, true, true);
    enter(&run, &fastvit->stem_mix, &seen);
    for (uint32_t i = 0; i < fastvit->count; i++) {
        run_layer(&run, &fastvit->layers[i]);
        if (pass->trace) maps_trace(pass, &run.x, i, towers->vision.shape.width);
    }
    seen = look_and_squeeze(&run, &fastvit->end, &fastvit->end_squeeze);
    maps_average(lane->hidden, &seen);
    pass_put_row(pass, &towers->vision.projection, lane->hidden, lane->input, row);
}

void fastvit_encode(const struct towers *towers, const struct model_info *info,
                    const struct levels *levels, const struct pass *pass,
                    const struct vision_input *inputs, size_t count, float *const *embeddings) {
    const struct linear *projection = &towers->vision.projection;
    const struct lane *lane = pass->lane;
    size_t dim = projection->weight.n;
    for (size_t i = 0; i < count; i++) {
        struct map_image image = {.info = info, .levels = levels, .input = &inputs[i]};
        run_image(towers, pass, &image, i);
    }
    pass_multiply(pass, projection, count, lane->wide, dim);
    for (size_t i = 0; i < count; i++) {
        memcpy(embeddings[i], lane->wide + i * dim, dim * sizeof(*lane->wide));
    }
}
