/* Two passes, horizontal then vertical, with an 8-bit image between them and weights of
 * 22 fractional bits: the arithmetic is Pillow's (SPEC 6.3), because another order or
 * precision gives other pixels. A pass whose sides are equal is a copy. Images with
 * alpha are premultiplied before and divided after; 16-bit grey is summed in double.
 *
 * The passes over one row are functions of their own, without conditions inside. */
#include "core/image/resample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_BITS = 22, CHANNELS_MAX = 4 };

static double filter_box(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double filter_bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double filter_hamming(double x) {
    x = fabs(x);
    if (x == 0) return 1;
    if (x >= 1) return 0;
    x *= M_PI;
    /* Pillow's constants are of type float. */
    return sin(x) / x * (0.54f + 0.46f * cos(x));
}

static double filter_bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double sinc(double x) {
    if (x == 0) return 1;
    x *= M_PI;
    return sin(x) / x;
}

static double filter_lanczos(double x) {
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

struct filter {
    double radius;
    double (*at)(double x);
};

static const struct filter filters[] = {
    [RESAMPLE_LANCZOS] = {3, filter_lanczos}, [RESAMPLE_BILINEAR] = {1, filter_bilinear},
    [RESAMPLE_BICUBIC] = {2, filter_bicubic}, [RESAMPLE_BOX] = {0.5, filter_box},
    [RESAMPLE_HAMMING] = {1, filter_hamming},
};

/* How one side is resized: output i of the window is the weighted sum of `taps[i]`
 * source pixels from `first[i]` on. Sources are counted from `base`, the first that the
 * window needs. Without arrays the side is copied. */
struct axis {
    uint32_t count; /* outputs in the window */
    uint32_t base, span;
    size_t taps_max;
    uint32_t *first; /* [count] */
    uint32_t *taps;  /* [count] */
    int32_t *fixed;  /* [count, taps_max], scaled by 2^WEIGHT_BITS */
    double *weights; /* [count, taps_max] */
};

static void axis_free(struct axis *axis) {
    free(axis->first);
    free(axis->taps);
    free(axis->fixed);
    free(axis->weights);
}

/* Weights of output `at` of the whole side; returns how many. */
static uint32_t compute_weights(double *weights, uint32_t *first, const struct filter *filter,
                                uint32_t in, uint32_t out, uint32_t at) {
    double scale = (double)in / out;
    double stretch = scale < 1 ? 1 : scale;
    double support = filter->radius * stretch;
    double center = (at + 0.5) * scale;
    double low = center - support + 0.5;
    double high = center + support + 0.5;
    uint32_t begin = low < 0 ? 0 : (uint32_t)low;
    uint32_t end = high > in ? in : (uint32_t)high;
    double sum = 0;
    for (uint32_t k = 0; k < end - begin; k++) {
        weights[k] = filter->at((k + begin - center + 0.5) * (1.0 / stretch));
        sum += weights[k];
    }
    if (sum != 0)
        for (uint32_t k = 0; k < end - begin; k++) weights[k] /= sum;
    *first = begin;
    return end - begin;
}

static int32_t to_fixed(double weight) {
    return (int32_t)(weight * (1 << WEIGHT_BITS) + (weight < 0 ? -0.5 : 0.5));
}

/* `start` and `count`: the window. False without memory; axis_free() in any case. */
static bool axis_init(struct axis *axis, const struct filter *filter, uint32_t in, uint32_t out,
                      uint32_t start, uint32_t count) {
    *axis = (struct axis){.count = count, .base = start, .span = count};
    if (in == out) return true;
    double stretch = in > out ? (double)in / out : 1;
    axis->taps_max = (size_t)ceil(filter->radius * stretch) * 2 + 1;
    axis->first = calloc(count, sizeof(*axis->first));
    axis->taps = calloc(count, sizeof(*axis->taps));
    size_t size;
    if (!size_multiply(&size, count, axis->taps_max)) return false;
    axis->fixed = calloc(size, sizeof(*axis->fixed));
    axis->weights = calloc(size, sizeof(*axis->weights));
    if (!axis->first || !axis->taps || !axis->fixed || !axis->weights) return false;

    for (uint32_t i = 0; i < count; i++)
        axis->taps[i] = compute_weights(axis->weights + i * axis->taps_max, &axis->first[i], filter,
                                        in, out, start + i);
    for (size_t i = 0; i < size; i++) axis->fixed[i] = to_fixed(axis->weights[i]);
    axis->base = axis->first[0];
    axis->span = axis->first[count - 1] + axis->taps[count - 1] - axis->base;
    assert(axis->span > 0);
    for (uint32_t i = 0; i < count; i++) axis->first[i] -= axis->base;
    return true;
}

static uint8_t clip(int32_t sum) {
    sum >>= WEIGHT_BITS;
    return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

/* One row of `channels`, a constant at every call so that the compiler unrolls. */
static inline void horizontal(uint8_t *out, const uint8_t *row, const struct axis *axis,
                              size_t channels) {
    for (uint32_t i = 0; i < axis->count; i++) {
        const int32_t *weights = axis->fixed + i * axis->taps_max;
        const uint8_t *from = row + axis->first[i] * channels;
        int32_t sums[CHANNELS_MAX];
        for (size_t c = 0; c < channels; c++) sums[c] = 1 << (WEIGHT_BITS - 1);
        for (uint32_t k = 0; k < axis->taps[i]; k++)
            for (size_t c = 0; c < channels; c++) sums[c] += from[k * channels + c] * weights[k];
        for (size_t c = 0; c < channels; c++) out[i * channels + c] = clip(sums[c]);
    }
}

static void horizontal_u8(uint8_t *out, const uint8_t *row, const struct axis *axis,
                          size_t channels) {
    switch (channels) {
    case 1: horizontal(out, row, axis, 1); return;
    case 2: horizontal(out, row, axis, 2); return;
    case 3: horizontal(out, row, axis, 3); return;
    case 4: horizontal(out, row, axis, 4); return;
    }
    assert(!"one to four channels");
}

/* One output row of `size` bytes from `taps` rows below each other. `sums` is [size]. */
static void vertical_u8(uint8_t *out, const uint8_t *rows, size_t size, const int32_t *weights,
                        uint32_t taps, int32_t *sums) {
    for (size_t i = 0; i < size; i++) sums[i] = 1 << (WEIGHT_BITS - 1);
    for (uint32_t k = 0; k < taps; k++) {
        const uint8_t *row = rows + k * size;
        for (size_t i = 0; i < size; i++) sums[i] += row[i] * weights[k];
    }
    for (size_t i = 0; i < size; i++) out[i] = clip(sums[i]);
}

/* A 16-bit image's sum of `taps` values that lie `stride` bytes apart. */
static void sum_i32(uint8_t *out, const uint8_t *from, size_t stride, const double *weights,
                    uint32_t taps) {
    double sum = 0;
    for (uint32_t k = 0; k < taps; k++) {
        int32_t value;
        memcpy(&value, from + k * stride, sizeof(value));
        sum += value * weights[k];
    }
    int32_t rounded = (int32_t)(sum < 0 ? -floor(-sum + 0.5) : floor(sum + 0.5));
    memcpy(out, &rounded, sizeof(rounded));
}

/* Pillow's MULDIV255: a * b / 255, rounded. */
static uint8_t multiply(uint32_t a, uint32_t b) {
    uint32_t t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

/* `channels` with the last one alpha: 2 or 4. */
static void premultiply(uint8_t *out, const uint8_t *pixels, size_t count, size_t channels) {
    for (size_t i = 0; i < count * channels; i += channels) {
        uint8_t alpha = pixels[i + channels - 1];
        for (size_t c = 0; c + 1 < channels; c++) out[i + c] = multiply(pixels[i + c], alpha);
        out[i + channels - 1] = alpha;
    }
}

static void unpremultiply(uint8_t *pixels, size_t count, size_t channels) {
    for (size_t i = 0; i < count * channels; i += channels) {
        uint32_t alpha = pixels[i + channels - 1];
        if (alpha == 0 || alpha == 255) continue;
        for (size_t c = 0; c + 1 < channels; c++) {
            uint32_t value = 255u * pixels[i + c] / alpha;
            pixels[i + c] = value > 255 ? 255 : (uint8_t)value;
        }
    }
}

/* All that the two passes need. */
struct plan {
    struct axis x, y;
    const struct image *in;
    enum image_mode mode; /* in which is resampled */
    size_t bytes;         /* of one pixel in that mode */
    bool alpha;
    uint8_t *scratch; /* [x.span] pixels: a source row made ready */
    uint8_t *middle;  /* [y.span, x.count] pixels: after the horizontal pass */
    int32_t *sums;    /* [x.count * bytes] */
};

static bool has_alpha(enum image_mode mode) {
    return mode == IMAGE_MODE_LA || mode == IMAGE_MODE_RGBA;
}

static void plan_free(struct plan *plan) {
    axis_free(&plan->x);
    axis_free(&plan->y);
    free(plan->scratch);
    free(plan->middle);
    free(plan->sums);
}

/* False without memory; plan_free() in any case. */
static bool plan_init(struct plan *plan, const struct image *in,
                      const struct resample_options *options) {
    const struct resample_window *window = &options->window;
    const struct filter *filter = &filters[options->filter];
    enum image_mode mode = options->rgb_first ? IMAGE_MODE_RGB : in->mode;
    bool same_size = in->width == options->width && in->height == options->height;
    *plan = (struct plan){
        .in = in,
        .mode = mode,
        .bytes = image_mode_bytes(mode),
        .alpha = has_alpha(mode) && !same_size,
    };
    if (!axis_init(&plan->x, filter, in->width, options->width, window->x, window->width) ||
        !axis_init(&plan->y, filter, in->height, options->height, window->y, window->height))
        return false;
    size_t stride = plan->x.count * plan->bytes;
    plan->scratch = calloc(plan->x.span, plan->bytes);
    plan->middle = calloc(plan->y.span, stride);
    plan->sums = calloc(stride, sizeof(*plan->sums));
    return plan->scratch && plan->middle && plan->sums;
}

/* The pixels that the window needs of source row `y`, in the plan's mode. */
static const uint8_t *prepare_row(const struct plan *plan, uint32_t y) {
    const struct image *in = plan->in;
    size_t offset = (size_t)y * in->width + plan->x.base;
    const uint8_t *row = in->pixels + offset * image_mode_bytes(in->mode);
    if (plan->alpha) {
        premultiply(plan->scratch, row, plan->x.span, plan->bytes);
        return plan->scratch;
    }
    if (plan->mode == in->mode) return row;
    image_row_to_rgb(plan->scratch, row, plan->x.span, in);
    return plan->scratch;
}

static void run_horizontal(const struct plan *plan) {
    const struct axis *x = &plan->x;
    size_t stride = x->count * plan->bytes;
    for (uint32_t y = 0; y < plan->y.span; y++) {
        const uint8_t *row = prepare_row(plan, plan->y.base + y);
        uint8_t *out = plan->middle + y * stride;
        if (!x->first) {
            memcpy(out, row, stride);
        } else if (plan->mode == IMAGE_MODE_I) {
            for (uint32_t i = 0; i < x->count; i++)
                sum_i32(out + i * plan->bytes, row + x->first[i] * plan->bytes, plan->bytes,
                        x->weights + i * x->taps_max, x->taps[i]);
        } else {
            horizontal_u8(out, row, x, plan->bytes);
        }
    }
}

static void run_vertical(uint8_t *out, const struct plan *plan) {
    const struct axis *y = &plan->y;
    size_t stride = plan->x.count * plan->bytes;
    if (!y->first) {
        memcpy(out, plan->middle, stride * y->count);
        return;
    }
    for (uint32_t i = 0; i < y->count; i++, out += stride) {
        const uint8_t *rows = plan->middle + y->first[i] * stride;
        if (plan->mode == IMAGE_MODE_I) {
            for (size_t x = 0; x < stride; x += plan->bytes)
                sum_i32(out + x, rows + x, stride, y->weights + i * y->taps_max, y->taps[i]);
        } else {
            vertical_u8(out, rows, stride, y->fixed + i * y->taps_max, y->taps[i], plan->sums);
        }
    }
}

static enum status resample_weighted(struct image *out, const struct image *in,
                                     const struct resample_options *options, struct error *err) {
    struct plan plan;
    enum status status = plan_init(&plan, in, options)
                             ? image_init(out, plan.mode, plan.x.count, plan.y.count, NULL, err)
                             : error_set(err, STATUS_NO_MEMORY, "out of memory to resize an image");
    if (status == STATUS_OK) {
        run_horizontal(&plan);
        run_vertical(out->pixels, &plan);
        if (plan.alpha) unpremultiply(out->pixels, (size_t)plan.x.count * plan.y.count, plan.bytes);
    }
    plan_free(&plan);
    return status;
}

/* Source positions of the window's outputs. Pillow adds up the scale pixel by pixel, and
 * so do we, for the sake of its rounding errors. Where they lead outside of the source
 * the position is UINT32_MAX, and the pixel 0. */
static void nearest_positions(uint32_t *out, uint32_t in, uint32_t size, uint32_t start,
                              uint32_t count) {
    double scale = (double)in / size;
    double at = scale * 0.5;
    for (uint32_t i = 0; i < start; i++) at += scale;
    for (uint32_t i = 0; i < count; i++, at += scale) out[i] = at < in ? (uint32_t)at : UINT32_MAX;
}

static void gather(struct image *out, const struct image *in, const uint32_t *columns,
                   const uint32_t *rows) {
    size_t bytes = image_mode_bytes(in->mode);
    uint8_t *to = out->pixels;
    for (uint32_t y = 0; y < out->height; y++) {
        for (uint32_t x = 0; x < out->width; x++, to += bytes) {
            if (rows[y] == UINT32_MAX || columns[x] == UINT32_MAX) {
                memset(to, 0, bytes);
            } else {
                size_t offset = (size_t)rows[y] * in->width + columns[x];
                memcpy(to, in->pixels + offset * bytes, bytes);
            }
        }
    }
}

/* Converting before or after makes no difference here. */
static enum status convert_to_rgb(struct image *image, struct error *err) {
    struct image rgb;
    enum status status = image_init(&rgb, IMAGE_MODE_RGB, image->width, image->height, NULL, err);
    if (status == STATUS_OK) {
        image_row_to_rgb(rgb.pixels, image->pixels, (size_t)image->width * image->height, image);
        image_free(image);
        *image = rgb;
    }
    return status;
}

static enum status resample_nearest(struct image *out, const struct image *in,
                                    const struct resample_options *options, struct error *err) {
    const struct resample_window *window = &options->window;
    enum status status = image_init(out, in->mode, window->width, window->height, NULL, err);
    if (status) return status;
    memcpy(out->palette, in->palette, sizeof(out->palette));
    uint32_t *columns = calloc((size_t)window->width + window->height, sizeof(*columns));
    if (!columns) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory to resize an image");
    } else {
        uint32_t *rows = columns + window->width;
        nearest_positions(columns, in->width, options->width, window->x, window->width);
        nearest_positions(rows, in->height, options->height, window->y, window->height);
        gather(out, in, columns, rows);
        if (options->rgb_first) status = convert_to_rgb(out, err);
    }
    free(columns);
    if (status) image_free(out);
    return status;
}

enum status resample_image(struct image *out, const struct image *in,
                           const struct resample_options *options, struct error *err) {
    const struct resample_window *window = &options->window;
    assert(window->width > 0 && window->x + (uint64_t)window->width <= options->width);
    assert(window->height > 0 && window->y + (uint64_t)window->height <= options->height);
    bool indexed = in->mode == IMAGE_MODE_P || in->mode == IMAGE_MODE_1;
    bool nearest = options->filter == RESAMPLE_NEAREST || (indexed && !options->rgb_first);
    if (nearest) return resample_nearest(out, in, options, err);
    return resample_weighted(out, in, options, err);
}
