/* Convolutions of every instruction set and precision against sums in double precision, and
 * against themselves when others help. What is not to be written holds NaN. */
#include "core/towers/conv.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { WORKERS = 3 };

struct geometry {
    size_t height, width, channels, n;
    uint32_t window, stride, padding, pool; /* pool: 0, or 2 for the mean of 2 x 2 */
    size_t in_stride;                       /* 0: dense */
};

/* A convolution with everything it needs, and what should come out. */
struct sample {
    struct geometry at;
    struct conv conv;
    float *source; /* [n, k] */
    void *blob;
    float *bias;
    struct map in, out;
    struct lane lanes[WORKERS];
    struct workspace workspace;
    struct pass pass;
};

static float *make(size_t count, uint32_t *state) {
    float *values = poison_alloc(count * sizeof(*values));
    for (size_t i = 0; i < count; i++) values[i] = random_unit(state);
    return values;
}

static void create_lanes(struct sample *sample) {
    struct conv_scratch scratch;
    ck_assert(conv_scratch_size(&scratch, &sample->conv, sample->at.height, sample->at.width));
    for (size_t i = 0; i < WORKERS; i++) {
        struct scratch *to = &sample->lanes[i].scratch;
        to->strip = poison_alloc(scratch.strip);
        to->lines = poison_alloc(scratch.lines);
        to->scales = poison_alloc(scratch.rows * sizeof(*to->scales));
    }
    sample->workspace = (struct workspace){.workers = WORKERS, .lanes = sample->lanes};
}

static void sample_create(struct sample *sample, const struct geometry *at,
                          const struct gemm_kernel *kernel, unsigned features) {
    size_t k = (size_t)at->window * at->window * at->channels;
    size_t stride = at->in_stride ? at->in_stride : at->channels;
    uint32_t state = (uint32_t)(at->height * 7 + at->channels);
    *sample = (struct sample){.at = *at};
    sample->source = make(at->n * k, &state);
    sample->bias = make(at->n, &state);
    sample->blob = poison_alloc(gemm_packed_size(kernel, at->n, k));
    gemm_pack(sample->blob, kernel, &(struct gemm_rows){sample->source, k, at->n}, 1, k);
    sample->conv = (struct conv){
        .product = {sample->blob, gemm_weight_of(sample->blob, kernel, at->n, k), sample->bias},
        .window = at->window,
        .stride = at->stride,
        .padding = at->padding,
        .halves = at->pool != 0};
    /* The map ends with its last pixel; between pixels lies NaN. */
    size_t pixels = at->height * at->width;
    sample->in = (struct map){.data = poison_alloc((pixels * stride) * sizeof(float)),
                              .height = at->height,
                              .width = at->width,
                              .channels = at->channels,
                              .stride = stride};
    for (size_t i = 0; i < pixels * at->channels; i++) {
        sample->in.data[i / at->channels * stride + i % at->channels] = random_unit(&state) + 0.3f;
    }
    sample->out = (struct map){.height = conv_side(&sample->conv, at->height),
                               .width = conv_side(&sample->conv, at->width),
                               .channels = at->n,
                               .stride = at->n + 3};
    create_lanes(sample);
    sample->pass = (struct pass){.rows = row_kernels_find(features),
                                 .workspace = &sample->workspace,
                                 .lane = &sample->lanes[0]};
}

static void sample_free(struct sample *sample) {
    for (size_t i = 0; i < WORKERS; i++) {
        poison_free(sample->lanes[i].scratch.strip);
        poison_free(sample->lanes[i].scratch.lines);
        poison_free(sample->lanes[i].scratch.scales);
    }
    poison_free(sample->source);
    poison_free(sample->bias);
    poison_free(sample->blob);
    poison_free(sample->in.data);
}

static float *run(struct sample *sample, struct team *team) {
    size_t count = sample->out.height * sample->out.width * sample->out.stride;
    float *out = poison_alloc(count * sizeof(*out));
    sample->out.data = out;
    sample->pass.team = team;
    conv_run(&sample->pass, &sample->conv, &sample->in, &sample->out, GEMM_RELU, GEMM_STORE_F32);
    return out;
}

/* What a window sees at one place; 0 outside. */
static double seen(const struct sample *sample, long y, long x, size_t channel) {
    const struct map *in = &sample->in;
    if (y < 0 || x < 0 || y >= (long)in->height || x >= (long)in->width) return 0;
    return in->data[((size_t)y * in->width + (size_t)x) * in->stride + channel];
}

static double pooled(const struct sample *sample, size_t y, size_t x, size_t channel) {
    size_t side = sample->at.pool;
    double sum = 0;
    for (size_t i = 0; i < side * side; i++) {
        sum += seen(sample, (long)(y * side + i / side), (long)(x * side + i % side), channel);
    }
    return sum / (double)(side * side);
}

static double expected(const struct sample *sample, size_t y, size_t x, size_t n) {
    const struct geometry *at = &sample->at;
    const float *w = sample->source + n * at->window * at->window * at->channels;
    double sum = sample->bias[n];
    for (size_t i = 0; i < (size_t)at->window * at->window; i++) {
        long line = (long)(y * at->stride + i / at->window) - (long)at->padding;
        long column = (long)(x * at->stride + i % at->window) - (long)at->padding;
        for (size_t c = 0; c < at->channels; c++) {
            double value = at->pool > 1 ? pooled(sample, y, x, c) : seen(sample, line, column, c);
            sum += value * (double)*w++;
        }
    }
    return sum > 0 ? sum : 0;
}

static const struct geometry geometries[] = {
    {14, 14, 8, 16, 3, 1, 1, 0, 0}, {15, 13, 3, 5, 3, 2, 1, 0, 0}, {9, 11, 7, 33, 1, 1, 0, 0, 9},
    {8, 12, 5, 40, 1, 1, 0, 2, 7},  {7, 9, 64, 17, 1, 1, 0, 2, 0}, {16, 16, 3, 9, 4, 4, 0, 0, 0},
    {10, 10, 6, 12, 2, 2, 0, 0, 0}, {5, 5, 4, 6, 7, 1, 3, 0, 0},   {1, 1, 16, 4, 3, 1, 1, 0, 0},
    {70, 70, 4, 20, 3, 1, 1, 0, 0}, {3, 200, 2, 3, 3, 1, 1, 0, 0}, {40, 60, 24, 8, 1, 1, 0, 0, 80},
    {2, 7, 2304, 3, 3, 1, 1, 0, 0},
};

enum { GEOMETRIES = sizeof(geometries) / sizeof(geometries[0]) };

/* A bfloat16 has 8 bits; a byte has 7 or 8 of a range of two and a half. */
static double tolerance_of(const struct sample *sample) {
    double terms = (double)sample->conv.product.weight.k;
    switch (gemm_kernel_precision(sample->conv.product.weight.kernel)) {
    case GEMM_BF16: return 0.006 * sqrt(terms) + 0.002;
    case GEMM_INT8: return 0.02 * sqrt(terms) + 0.01;
    case GEMM_FP32: break;
    }
    return 1e-6 * terms + 1e-6;
}

static void check_values(struct sample *sample, const float *found) {
    const struct map *out = &sample->out;
    double tolerance = tolerance_of(sample);
    size_t wrong = 0;
    for (size_t i = 0; i < out->height * out->width; i++) {
        for (size_t c = 0; c < out->stride; c++) {
            double value = found[i * out->stride + c];
            if (c >= out->channels)
                wrong += !isnan(value);
            else
                wrong += !(fabs(value - expected(sample, i / out->width, i % out->width, c)) <=
                           tolerance);
        }
    }
    ck_assert_msg(wrong == 0, "%s %zu x %zu x %zu window %u: %zu values", /* checks are slow */
                  gemm_kernel_format(sample->conv.product.weight.kernel), sample->at.height,
                  sample->at.width, sample->at.channels, sample->at.window, wrong);
}

START_TEST(every_geometry) {
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        for (int precision = GEMM_FP32; precision <= GEMM_INT8; precision++) {
            unsigned features = kernel_set(set);
            struct sample sample;
            sample_create(&sample, &geometries[_i],
                          gemm_kernel_find(features, (enum gemm_precision)precision), features);
            float *out = run(&sample, NULL);
            check_values(&sample, out);
            poison_free(out);
            sample_free(&sample);
        }
    }
}
END_TEST

struct helper {
    struct team *team;
    uint32_t number;
    _Atomic uint32_t leave;
    pthread_t thread;
};

static void *help(void *argument) {
    struct helper *helper = argument;
    while (!atomic_load(&helper->leave)) team_help(helper->team, helper->number, &helper->leave);
    return NULL;
}

/* Strips and panels that others make have the same bits. */
START_TEST(helpers_change_nothing) {
    unsigned features = kernel_set(KERNEL_SETS - 1);
    struct team team;
    struct helper helpers[WORKERS - 1];
    team_init(&team);
    team_open(&team, 0);
    for (uint32_t i = 0; i < WORKERS - 1; i++) {
        helpers[i].team = &team;
        helpers[i].number = i + 1;
        atomic_init(&helpers[i].leave, 0);
        ck_assert_int_eq(pthread_create(&helpers[i].thread, NULL, help, &helpers[i]), 0);
    }
    while (atomic_load(&team.members) < WORKERS - 1) sched_yield();
    bool same = true; /* found out before the helpers may go */
    for (int precision = GEMM_FP32; precision <= GEMM_INT8; precision++) {
        struct sample sample;
        sample_create(&sample, &geometries[_i],
                      gemm_kernel_find(features, (enum gemm_precision)precision), features);
        float *alone = run(&sample, NULL);
        size_t bytes = sample.out.height * sample.out.width * sample.out.stride * sizeof(float);
        for (int i = 0; i < 5; i++) {
            float *together = run(&sample, &team);
            same = same && same_bits(alone, together, bytes);
            poison_free(together);
        }
        poison_free(alone);
        sample_free(&sample);
    }
    for (uint32_t i = 0; i < WORKERS - 1; i++) atomic_store(&helpers[i].leave, 1);
    team_close(&team);
    for (uint32_t i = 0; i < WORKERS - 1; i++) pthread_join(helpers[i].thread, NULL);
    ck_assert(same);
}
END_TEST

START_TEST(sizes_have_limits) {
    struct conv_scratch scratch;
    struct sample sample;
    unsigned features = kernel_set(0);
    sample_create(&sample, &geometries[0], gemm_kernel_find(features, GEMM_FP32), features);
    ck_assert(!conv_scratch_size(&scratch, &sample.conv, SIZE_MAX / 2, SIZE_MAX / 2));
    ck_assert(!conv_scratch_size(&scratch, &sample.conv, 0, 0));
    ck_assert_uint_eq(map_padded_stride(64) % 32, 16);
    ck_assert_uint_ge(map_padded_stride(1000), 1000);
    sample_free(&sample);
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tests = tcase_create("conv");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_geometry, 0, GEOMETRIES);
    tcase_add_loop_test(tests, helpers_change_nothing, 0, GEOMETRIES);
    tcase_add_test(tests, sizes_have_limits);
    return program_run("conv", tests, CK_NOFORK);
}
