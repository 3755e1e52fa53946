#include "core/towers/conv.h"

#include <string.h>

#include "core/base/bytes.h"

enum {
    LINE_FLOATS = 16,      /* in a cache line */
    STRIP_ROWS = 192,      /* as many as the products take at a time, see gemm.c */
    STRIP_BYTES = 4 << 20, /* of A in fp32: fewer lines when a window sees much */
};

size_t map_padded_stride(size_t channels) {
    return ((channels + LINE_FLOATS - 1) / LINE_FLOATS | 1) * LINE_FLOATS;
}

size_t conv_side(const struct conv *conv, size_t side) {
    if (conv->halves) side /= 2;
    size_t padded = side + 2 * (size_t)conv->padding;
    return padded < conv->window ? 0 : (padded - conv->window) / conv->stride + 1;
}

/* ---- strips ---- */

/* Lines of the result in a strip, all but the last of the same height. */
static size_t strip_lines(const struct conv *conv, size_t height, size_t width) {
    size_t bytes = width * conv->product.weight.k * sizeof(float);
    size_t lines = STRIP_ROWS / width, most = STRIP_BYTES / bytes;
    if (lines > most) lines = most;
    if (lines == 0) lines = 1;
    size_t strips = (height + lines - 1) / lines;
    return (height + strips - 1) / strips;
}

/* Lines of the input under `lines` of the result. */
static size_t lines_under(const struct conv *conv, size_t lines) {
    return (lines - 1) * conv->stride + conv->window;
}

bool conv_scratch_size(struct conv_scratch *out, const struct conv *conv, size_t height,
                       size_t width) {
    size_t rows = conv_side(conv, height), columns = conv_side(conv, width), pixels, bytes;
    const struct gemm_weight *weight = &conv->product.weight;
    size_t channels = weight->k / ((size_t)conv->window * conv->window);
    *out = (struct conv_scratch){0};
    if (rows == 0 || columns == 0 || !size_multiply(&bytes, columns, weight->k * sizeof(float)))
        return false;
    size_t lines = strip_lines(conv, rows, columns);
    /* Four bytes hold an element of any precision. */
    size_t row = gemm_row_stride(weight->kernel, weight->k) * sizeof(float);
    if (!size_multiply(&out->rows, lines, columns) || !size_multiply(&out->strip, out->rows, row) ||
        !size_multiply(&pixels, lines_under(conv, lines), width)) {
        return false;
    }
    return size_multiply(&out->lines, pixels, channels * sizeof(float));
}

struct run {
    const struct pass *pass;
    const struct conv *conv;
    const struct map *in, *out;
    struct gemm_call call; /* of all strips */
    size_t lines, panels;
    uint64_t step; /* of the lane */
};

/* One strip being made by one member. */
struct strip {
    const struct run *run;
    struct scratch *scratch;
    size_t begin, end; /* lines of the result */
};

static size_t element_size(enum gemm_precision precision) {
    switch (precision) {
    case GEMM_BF16: return sizeof(uint16_t);
    case GEMM_INT8: return sizeof(uint8_t);
    case GEMM_FP32: break;
    }
    return sizeof(float);
}

/* ---- windows of one pixel ---- */

/* The mean of 2 x 2 pixels. */
static void average(float *to, const struct row_kernels *rows, const struct map *in, size_t y,
                    size_t x) {
    const float *corner = in->data + (2 * y * in->width + 2 * x) * in->stride;
    const float *below = corner + in->width * in->stride;
    const float *const from[4] = {corner, corner + in->stride, below, below + in->stride};
    rows->mean4(to, from, in->channels);
}

/* A pixel, or the mean of four, to a row of A. */
static void put_pixel(const struct strip *strip, size_t y, size_t x, size_t row) {
    const struct run *run = strip->run;
    const struct map *in = run->in;
    const struct gemm_weight *weight = &run->conv->product.weight;
    enum gemm_precision precision = gemm_kernel_precision(weight->kernel);
    size_t at = row * gemm_row_stride(weight->kernel, weight->k);
    size_t padding = gemm_row_size(weight->kernel, weight->k) - weight->k;
    const float *from = in->data + (y * in->width + x) * in->stride;
    if (run->conv->halves) {
        float *mean =
            precision == GEMM_FP32 ? (float *)strip->scratch->strip + at : strip->scratch->lines;
        average(mean, run->pass->rows, in, y, x);
        from = mean;
    }
    if (precision == GEMM_BF16) {
        uint16_t *to = (uint16_t *)strip->scratch->strip + at;
        run->pass->rows->to_bf16(to, from, weight->k);
        memset(to + weight->k, 0, padding * sizeof(*to));
    } else if (precision == GEMM_INT8) {
        uint8_t *to = (uint8_t *)strip->scratch->strip + at;
        strip->scratch->scales[row] = run->pass->rows->quantize(to, from, weight->k);
        memset(to + weight->k, 0, padding * sizeof(*to));
    }
}

static void put_pixels(const struct strip *strip) {
    size_t width = strip->run->out->width, row = 0;
    for (size_t y = strip->begin; y < strip->end; y++) {
        for (size_t x = 0; x < width; x++) put_pixel(strip, y, x, row++);
    }
}

/* ---- larger windows ---- */

/* The lines that the strip's windows see, in the elements of A. */
struct source_lines {
    const uint8_t *data; /* [.., width, channels], from line `first` on */
    size_t first, pixel; /* bytes of a pixel */
    uint8_t zero;        /* the byte that stands for 0 */
};

/* Converts them, unless A is made of the floats of the map itself. */
static struct source_lines convert_lines(const struct strip *strip) {
    const struct run *run = strip->run;
    const struct map *in = run->in;
    const struct conv *conv = run->conv;
    enum gemm_precision precision = gemm_kernel_precision(conv->product.weight.kernel);
    struct source_lines lines = {.data = (const uint8_t *)in->data,
                                 .pixel = in->channels * element_size(precision)};
    if (precision == GEMM_FP32) return lines;
    size_t begin = strip->begin * conv->stride;
    size_t end = begin + lines_under(conv, strip->end - strip->begin);
    lines.first = begin < conv->padding ? 0 : begin - conv->padding;
    end = end - conv->padding < in->height ? end - conv->padding : in->height;
    size_t line = in->width * in->channels, count = (end - lines.first) * line;
    const float *from = in->data + lines.first * line;
    lines.data = (const uint8_t *)strip->scratch->lines;
    if (precision == GEMM_BF16) {
        run->pass->rows->to_bf16((uint16_t *)(void *)strip->scratch->lines, from, count);
        return lines;
    }
    struct row_scale scale =
        run->pass->rows->quantize((uint8_t *)strip->scratch->lines, from, count);
    size_t rows = (strip->end - strip->begin) * run->out->width;
    for (size_t i = 0; i < rows; i++) strip->scratch->scales[i] = scale;
    lines.zero = (uint8_t)scale.zero;
    return lines;
}

/* What the window of one pixel of the result sees; zeros where it is outside of the map. */
static void gather(const struct run *run, const struct source_lines *lines, size_t y, size_t x,
                   uint8_t *to) {
    const struct conv *conv = run->conv;
    const size_t window = conv->window, padding = conv->padding, pixel = lines->pixel;
    size_t left = x * conv->stride, width = run->in->width; /* shifted by the padding */
    size_t before = left < padding ? padding - left : 0;
    size_t over = left + window > width + padding ? left + window - width - padding : 0;
    for (size_t i = 0; i < window; i++, to += window * pixel) {
        size_t line = y * conv->stride + i;
        if (line < padding || line - padding >= run->in->height) {
            memset(to, lines->zero, window * pixel);
            continue;
        }
        const uint8_t *from = lines->data + (line - padding - lines->first) * width * pixel;
        if (before) memset(to, lines->zero, before * pixel);
        memcpy(to + before * pixel, from + (left + before - padding) * pixel,
               (window - before - over) * pixel);
        if (over) memset(to + (window - over) * pixel, lines->zero, over * pixel);
    }
}

static void gather_windows(const struct strip *strip) {
    const struct run *run = strip->run;
    const struct gemm_weight *weight = &run->conv->product.weight;
    size_t element = element_size(gemm_kernel_precision(weight->kernel));
    size_t stride = gemm_row_stride(weight->kernel, weight->k) * element;
    size_t padding = (gemm_row_size(weight->kernel, weight->k) - weight->k) * element;
    struct source_lines lines = convert_lines(strip);
    uint8_t *to = strip->scratch->strip;
    for (size_t y = strip->begin; y < strip->end; y++) {
        for (size_t x = 0; x < run->out->width; x++, to += stride) {
            gather(run, &lines, y, x, to);
            if (padding) memset(to + weight->k * element, 0, padding);
        }
    }
}

/* ---- running ---- */

/* Makes A of the strip, unless this member has it from its last share of the same step. */
static void fill_strip(const struct strip *strip) {
    struct scratch *scratch = strip->scratch;
    const struct run *run = strip->run;
    if (scratch->strip_lane == run->pass->lane && scratch->strip_step == run->step &&
        scratch->strip_begin == strip->begin) {
        return;
    }
    if (run->conv->window > 1)
        gather_windows(strip);
    else
        put_pixels(strip);
    scratch->strip_lane = run->pass->lane;
    scratch->strip_step = run->step;
    scratch->strip_begin = strip->begin;
}

/* The call that multiplies the strip. */
static struct gemm_call prepare_strip(const struct strip *strip) {
    const struct run *run = strip->run;
    const struct conv *conv = run->conv;
    const struct gemm_kernel *kernel = conv->product.weight.kernel;
    struct gemm_call call = run->call;
    size_t row = strip->begin * run->out->width;
    call.m = (strip->end - strip->begin) * run->out->width;
    call.c = run->out->data + row * run->out->stride;
    call.a = strip->scratch->strip;
    call.a_stride = gemm_row_stride(kernel, conv->product.weight.k);
    call.a_scales = strip->scratch->scales;
    if (conv->window == 1 && !conv->halves && gemm_kernel_precision(kernel) == GEMM_FP32) {
        call.a = run->in->data + row * run->in->stride;
        call.a_stride = run->in->stride;
    } else {
        fill_strip(strip);
    }
    return call;
}

/* Units are panels of strips, so that the few strips of a small map can be split, too. */
static void run_units(void *context, size_t begin, size_t end, uint32_t member) {
    const struct run *run = context;
    size_t height = run->out->height;
    while (begin < end) {
        size_t first = begin % run->panels, last = first + (end - begin);
        if (last > run->panels) last = run->panels;
        struct strip strip = {.run = run,
                              .scratch = &run->pass->workspace->lanes[member].scratch,
                              .begin = begin / run->panels * run->lines};
        strip.end = strip.begin + run->lines < height ? strip.begin + run->lines : height;
        struct gemm_call call = prepare_strip(&strip);
        gemm_multiply(&run->conv->product.weight, &call, first, last);
        begin += last - first;
    }
}

void conv_run(const struct pass *pass, const struct conv *conv, const struct map *in,
              const struct map *out, enum gemm_activation activation, enum gemm_output output) {
    const struct gemm_weight *weight = &conv->product.weight;
    struct run run = {.pass = pass,
                      .conv = conv,
                      .in = in,
                      .out = out,
                      .call = {.c_stride = out->stride,
                               .bias = conv->product.bias,
                               .activation = activation,
                               .output = output},
                      .lines = strip_lines(conv, out->height, out->width),
                      .step = ++pass->lane->steps,
                      .panels = gemm_panels(weight->kernel, weight->n)};
    size_t strips = (out->height + run.lines - 1) / run.lines;
    team_run(pass->team, strips * run.panels, run_units, &run);
}
