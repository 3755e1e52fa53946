/* Two passes, horizontal then vertical, with an 8-bit image between them and weights of
 * 22 fractional bits: the arithmetic is Pillow's (SPEC 6.3), because another order or
 * precision gives other pixels. A pass whose sides are equal is a copy. Images with
 * alpha are premultiplied before and divided after; 16-bit grey is summed in double.
 *
 * The reference is Pillow 9.4, by which the goldens were made. Up to version 12 all are
 * the same, but for 16-bit grey, which is of mode I in 9.4: of mode I;16 it is clipped to
 * 16 bits after each pass by 11.3 and later. Pillow 13 begins with the vertical pass for
 * some tall images.
 *
 * The passes take turns: of the image between them only the rows that the next row of
 * the result needs exist, in a ring that stays in the cache. What happens inside of a
 * row is in core/kernels/resample.h. */
#include "core/image/resample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/resample.h"

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

/* How one side is resized: the window's outputs, from sources that are counted from
 * `base`, the first that the window needs. Without arrays the side is copied. */
struct axis {
    struct resample_taps taps;
    uint32_t base;
    double *weights; /* [taps.count, taps.stride], before they were rounded */
};

static void axis_free(struct axis *axis) {
    free(axis->taps.first);
    free(axis->taps.taps);
    free(axis->taps.weights);
    free(axis->weights);
}

/* One side of the source: what is resized are `extent` of its `pixels`, from `begin` on.
 * Only of a reduced image is that not the whole. */
struct side {
    uint32_t pixels;
    double begin, extent;
};

/* `factor`, `begin` and `extent` are of an image_reduction. */
static struct side side_of(uint32_t pixels, uint32_t factor, uint32_t begin, uint32_t extent) {
    if (!factor) return (struct side){.pixels = pixels, .extent = pixels};
    return (struct side){pixels, (double)begin / factor, (double)extent / factor};
}

static struct side side_x(const struct image *image) {
    const struct image_reduction *by = &image->reduction;
    return side_of(image->width, by->factor, by->left, by->width);
}

static struct side side_y(const struct image *image) {
    const struct image_reduction *by = &image->reduction;
    return side_of(image->height, by->factor, by->top, by->height);
}

/* Weights of output `at` of the whole side; returns how many. */
static uint32_t compute_weights(double *weights, uint32_t *first, const struct filter *filter,
                                const struct side *in, uint32_t out, uint32_t at) {
    double scale = in->extent / out;
    double stretch = scale < 1 ? 1 : scale;
    double support = filter->radius * stretch;
    double center = in->begin + (at + 0.5) * scale;
    double low = center - support + 0.5;
    double high = center + support + 0.5;
    uint32_t begin = low < 0 ? 0 : (uint32_t)low;
    uint32_t end = high > in->pixels ? in->pixels : (uint32_t)high;
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
    return (int32_t)(weight * (1 << RESAMPLE_BITS) + (weight < 0 ? -0.5 : 0.5));
}

/* `start` and `count`: the window. False without memory; axis_free() in any case. */
static bool axis_init(struct axis *axis, const struct filter *filter, const struct side *in,
                      uint32_t out, uint32_t start, uint32_t count) {
    struct resample_taps *taps = &axis->taps;
    *axis = (struct axis){.taps = {.count = count, .span = count}, .base = start};
    if (in->pixels == out && in->extent == out) return true;
    double stretch = in->extent > out ? in->extent / out : 1;
    size_t most = (size_t)ceil(filter->radius * stretch) * 2 + 1;
    taps->stride = (most + RESAMPLE_STRIDE - 1) / RESAMPLE_STRIDE * RESAMPLE_STRIDE;
    taps->first = calloc(count, sizeof(*taps->first));
    taps->taps = calloc(count, sizeof(*taps->taps));
    size_t size;
    if (!size_multiply(&size, count, taps->stride)) return false;
    taps->weights = calloc(size, sizeof(*taps->weights));
    axis->weights = calloc(size, sizeof(*axis->weights));
    if (!taps->first || !taps->taps || !taps->weights || !axis->weights) return false;

    for (uint32_t i = 0; i < count; i++)
        taps->taps[i] = compute_weights(axis->weights + i * taps->stride, &taps->first[i], filter,
                                        in, out, start + i);
    for (size_t i = 0; i < size; i++) taps->weights[i] = to_fixed(axis->weights[i]);
    axis->base = taps->first[0];
    taps->span = taps->first[count - 1] + taps->taps[count - 1] - axis->base;
    assert(taps->span > 0);
    for (uint32_t i = 0; i < count; i++) taps->first[i] -= axis->base;
    return true;
}

static int32_t load_i32(const uint8_t *from) {
    int32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static void store_i32(uint8_t *out, double sum) {
    int32_t rounded = (int32_t)(sum < 0 ? -floor(-sum + 0.5) : floor(sum + 0.5));
    memcpy(out, &rounded, sizeof(rounded));
}

/* The two passes of a 16-bit image. */
static void horizontal_i32(uint8_t *out, const uint8_t *row, const struct axis *axis) {
    const struct resample_taps *taps = &axis->taps;
    for (size_t i = 0; i < taps->count; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < taps->taps[i]; k++)
            sum += load_i32(row + (taps->first[i] + k) * sizeof(int32_t)) *
                   axis->weights[i * taps->stride + k];
        store_i32(out + i * sizeof(int32_t), sum);
    }
}

static void vertical_i32(uint8_t *out, const uint8_t *const *rows, const double *weights,
                         uint32_t taps, size_t size) {
    for (size_t x = 0; x < size; x += sizeof(int32_t)) {
        double sum = 0;
        for (uint32_t k = 0; k < taps; k++) sum += load_i32(rows[k] + x) * weights[k];
        store_i32(out + x, sum);
    }
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
    const struct resample_kernels *kernels;
    struct axis x, y;
    const struct image *in;
    enum image_mode mode; /* in which is resampled */
    size_t bytes;         /* of one pixel in that mode */
    bool alpha;
    uint8_t *scratch; /* [RESAMPLE_ROWS, x.span] pixels: source rows made ready */
    /* After the horizontal pass, source row `y` lies in y % ring_rows. A row of the result
     * needs y.taps.stride of them at most, and up to RESAMPLE_ROWS - 1 more are made at once. */
    uint8_t *ring; /* [ring_rows, stride] */
    size_t ring_rows;
    size_t stride;        /* of a row of the result, in bytes */
    const uint8_t **rows; /* [ring_rows]: what one row of the result is made of */
};

static bool has_alpha(enum image_mode mode) {
    return mode == IMAGE_MODE_LA || mode == IMAGE_MODE_RGBA;
}

static void plan_free(struct plan *plan) {
    axis_free(&plan->x);
    axis_free(&plan->y);
    free(plan->scratch);
    free(plan->ring);
    free(plan->rows);
}

/* False without memory; plan_free() in any case. */
static bool plan_init(struct plan *plan, const struct image *in,
                      const struct resample_options *options) {
    const struct resample_window *window = &options->window;
    const struct filter *filter = &filters[options->filter];
    enum image_mode mode = options->rgb_first ? IMAGE_MODE_RGB : in->mode;
    bool same_size = in->width == options->width && in->height == options->height;
    *plan = (struct plan){
        .kernels = resample_kernels_find(options->features),
        .in = in,
        .mode = mode,
        .bytes = image_mode_bytes(mode),
        .alpha = has_alpha(mode) && !same_size,
    };
    struct side x = side_x(in), y = side_y(in);
    if (!axis_init(&plan->x, filter, &x, options->width, window->x, window->width) ||
        !axis_init(&plan->y, filter, &y, options->height, window->y, window->height))
        return false;
    plan->stride = plan->x.taps.count * plan->bytes;
    plan->ring_rows = plan->y.taps.stride + RESAMPLE_ROWS;
    plan->scratch = calloc(RESAMPLE_ROWS * plan->x.taps.span, plan->bytes);
    plan->ring = calloc(plan->ring_rows, plan->stride);
    plan->rows = calloc(plan->ring_rows, sizeof(*plan->rows));
    return plan->scratch && plan->ring && plan->rows;
}

/* The pixels that the window needs of its source row `y`, in the plan's mode. `scratch`
 * has room for them. */
static const uint8_t *prepare_row(const struct plan *plan, size_t y, uint8_t *scratch) {
    const struct image *in = plan->in;
    size_t offset = (plan->y.base + y) * in->width + plan->x.base;
    const uint8_t *row = in->pixels + offset * image_mode_bytes(in->mode);
    if (plan->alpha) {
        premultiply(scratch, row, plan->x.taps.span, plan->bytes);
        return scratch;
    }
    if (plan->mode == in->mode) return row;
    image_row_to_rgb(scratch, row, plan->x.taps.span, in);
    return scratch;
}

static uint8_t *ring_row(const struct plan *plan, size_t y) {
    return plan->ring + y % plan->ring_rows * plan->stride;
}

/* RESAMPLE_ROWS rows from `y` on go through the horizontal pass, the last one repeatedly
 * if there are not so many. */
static void run_horizontal(const struct plan *plan, size_t y) {
    const struct axis *x = &plan->x;
    size_t scratch_stride = x->taps.span * plan->bytes, last = plan->y.taps.span - 1;
    const uint8_t *rows[RESAMPLE_ROWS];
    uint8_t *out[RESAMPLE_ROWS];
    for (size_t r = 0; r < RESAMPLE_ROWS; r++) {
        size_t at = y + r < last ? y + r : last;
        rows[r] = prepare_row(plan, at, plan->scratch + r * scratch_stride);
        out[r] = ring_row(plan, at);
    }
    if (x->taps.first && plan->mode != IMAGE_MODE_I) {
        plan->kernels->horizontal(out, rows, &x->taps, plan->bytes);
        return;
    }
    for (size_t r = 0; r < RESAMPLE_ROWS; r++) {
        if (x->taps.first)
            horizontal_i32(out[r], rows[r], x);
        else
            memcpy(out[r], rows[r], plan->stride);
    }
}

static void run_passes(uint8_t *out, const struct plan *plan) {
    const struct axis *y = &plan->y;
    size_t ready = 0;
    for (size_t i = 0; i < y->taps.count; i++, out += plan->stride) {
        size_t first = y->taps.first ? y->taps.first[i] : i;
        uint32_t taps = y->taps.first ? y->taps.taps[i] : 1;
        for (; ready < first + taps; ready += RESAMPLE_ROWS) run_horizontal(plan, ready);
        for (uint32_t k = 0; k < taps; k++) plan->rows[k] = ring_row(plan, first + k);
        size_t weights = i * y->taps.stride;
        if (!y->taps.first)
            memcpy(out, plan->rows[0], plan->stride);
        else if (plan->mode == IMAGE_MODE_I)
            vertical_i32(out, plan->rows, y->weights + weights, taps, plan->stride);
        else
            plan->kernels->vertical(out, plan->rows, y->taps.weights + weights, taps, plan->stride);
    }
}

static enum status resample_weighted(struct image *out, const struct image *in,
                                     const struct resample_options *options, struct error *err) {
    const struct resample_window *window = &options->window;
    struct plan plan;
    enum status status = plan_init(&plan, in, options)
                             ? image_init(out, plan.mode, window->width, window->height, NULL, err)
                             : error_set(err, STATUS_NO_MEMORY, "out of memory to resize an image");
    if (status == STATUS_OK) {
        run_passes(out->pixels, &plan);
        if (plan.alpha)
            unpremultiply(out->pixels, (size_t)window->width * window->height, plan.bytes);
    }
    plan_free(&plan);
    return status;
}

/* Source positions of the window's outputs. Pillow adds up the scale pixel by pixel, and
 * so do we, for the sake of its rounding errors. Where they lead outside of the source
 * the position is UINT32_MAX, and the pixel 0. */
static void nearest_positions(uint32_t *out, const struct side *in, uint32_t size, uint32_t start,
                              uint32_t count) {
    double scale = in->extent / size;
    double at = in->begin + scale * 0.5;
    for (uint32_t i = 0; i < start; i++) at += scale;
    for (uint32_t i = 0; i < count; i++, at += scale)
        out[i] = at < in->pixels ? (uint32_t)at : UINT32_MAX;
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
        struct side x = side_x(in), y = side_y(in);
        nearest_positions(columns, &x, options->width, window->x, window->width);
        nearest_positions(rows, &y, options->height, window->y, window->height);
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
