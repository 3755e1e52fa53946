#include "core/towers/positions.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TAPS_MAX = 512 }; /* the largest side of a stored grid */

/* One output position as a weighted sum of input positions first, first + 1, ... */
struct taps {
    int first;
    int count;
    double weight[TAPS_MAX];
};

static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static void taps_open_clip(struct taps *taps, uint32_t i, uint32_t to, uint32_t from) {
    double scale = (double)from / to, stretch = scale > 1 ? scale : 1;
    double centre = (i + 0.5) * scale, support = 2 * stretch;
    int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
    if (low < 0) low = 0;
    if (high > (int)from) high = (int)from;
    assert(high - low <= TAPS_MAX);
    taps->first = low;
    taps->count = high - low;
    double sum = 0;
    for (int k = 0; k < taps->count; k++) {
        taps->weight[k] = cubic((k + low - centre + 0.5) / stretch, -0.5);
        sum += taps->weight[k];
    }
    for (int k = 0; k < taps->count; k++) taps->weight[k] /= sum;
}

/* Weights on the four neighbours f-1..f+2; what lies outside is the edge itself. */
static void taps_hf(struct taps *taps, uint32_t i, uint32_t to, uint32_t from) {
    double at = (i + 0.5) * ((double)from / to) - 0.5, base = floor(at);
    int last = (int)from - 1, low = (int)base - 1, high = (int)base + 2;
    taps->first = low < 0 ? 0 : low > last ? last : low;
    int end = high < 0 ? 0 : high > last ? last : high;
    taps->count = end - taps->first + 1;
    memset(taps->weight, 0, sizeof(taps->weight[0]) * 4);
    for (int k = low; k <= high; k++) {
        int index = k < 0 ? 0 : k > last ? last : k;
        taps->weight[index - taps->first] += cubic(k - at, -0.75);
    }
}

typedef void taps_fn(struct taps *taps, uint32_t i, uint32_t to, uint32_t from);

/* One value of one output position; `in` is that column of the first tap's row. */
static float weigh(const struct taps *down, const struct taps *across, const float *in,
                   size_t row_stride, size_t width) {
    double sum = 0;
    for (int v = 0; v < down->count; v++) {
        const float *line = in + (size_t)v * row_stride;
        double partial = 0;
        for (int u = 0; u < across->count; u++) {
            partial += across->weight[u] * (double)line[(size_t)u * width];
        }
        sum += down->weight[v] * partial;
    }
    return (float)sum;
}

static void resize(float *out, struct grid to, const float *in, struct grid from, size_t width,
                   taps_fn *make) {
    struct taps across, down;
    size_t stride = from.columns * width;
    for (uint32_t y = 0; y < to.rows; y++) {
        make(&down, y, to.rows, from.rows);
        for (uint32_t x = 0; x < to.columns; x++) {
            make(&across, x, to.columns, from.columns);
            const float *corner = in + (size_t)down.first * stride + (size_t)across.first * width;
            for (size_t c = 0; c < width; c++) {
                *out++ = weigh(&down, &across, corner + c, stride, width);
            }
        }
    }
}

void positions_resize_open_clip(float *out, struct grid to, const float *in, struct grid from,
                                size_t width) {
    resize(out, to, in, from, width, taps_open_clip);
}

void positions_resize_hf(float *out, struct grid to, const float *in, struct grid from,
                         size_t width) {
    resize(out, to, in, from, width, taps_hf);
}

void positions_resize_linear(float *out, uint32_t to, const float *in, uint32_t from,
                             size_t width) {
    for (uint32_t i = 0; i < to; i++) {
        double at = (i + 0.5) * ((double)from / to) - 0.5;
        if (at < 0) at = 0;
        uint32_t low = (uint32_t)at, high = low + 1 < from ? low + 1 : from - 1;
        double share = at - low;
        for (size_t c = 0; c < width; c++) {
            out[i * width + c] = (float)((1 - share) * (double)in[low * width + c] +
                                         share * (double)in[high * width + c]);
        }
    }
}
