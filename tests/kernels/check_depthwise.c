/* check_depthwise.c - convolutions of channels, of every instruction set, against sums in
 * double precision; lines asked for one by one have the same bits. Behind everything lies
 * NaN. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/depthwise.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { GAP = 3 }; /* floats between the pixels of the result */

static float *make(size_t count, uint32_t *state) {
    float *values = poison_alloc(count * sizeof(*values));
    for (size_t i = 0; i < count; i++) values[i] = random_unit(state);
    return values;
}

static double expected(const struct depthwise_call *call, size_t y, size_t x, size_t channel) {
    long half = (long)call->window / 2, above = call->flat ? 0 : half;
    double sum = call->bias[channel];
    y *= call->stride;
    x *= call->stride;
    for (size_t i = 0; i < call->window * (call->flat ? 1 : call->window); i++) {
        long line = (long)(y + i / call->window) - above,
             column = (long)(x + i % call->window) - half;
        if (line < 0 || column < 0 || line >= (long)call->height || column >= (long)call->width)
            continue;
        size_t pixel = (size_t)line * call->width + (size_t)column;
        sum += (double)call->in[pixel * call->channels + channel] *
               (double)call->weights[i * call->channels + channel];
    }
    return sum;
}

static void check_values(const struct depthwise_call *call) {
    double tolerance = 1e-6 * (double)(call->window * call->window + 1);
    size_t wrong = 0, height = depthwise_side(call->height, call->stride),
           width = depthwise_side(call->width, call->stride);
    for (size_t i = 0; i < height * width; i++) {
        for (size_t c = 0; c < call->out_stride; c++) {
            double value = call->out[i * call->out_stride + c];
            if (c >= call->channels)
                wrong += !isnan(value);
            else
                wrong += !(fabs(value - expected(call, i / width, i % width, c)) <= tolerance);
        }
    }
    ck_assert_msg(wrong == 0, "%zu x %zu x %zu, stride %zu: %zu values", call->height, call->width,
                  call->channels, call->stride, wrong); /* checks are slow */
}

static void check_size(depthwise_fn *run, size_t height, size_t width, size_t channels,
                       size_t window, size_t stride, bool flat) {
    uint32_t state = (uint32_t)(height * 31 + channels);
    struct depthwise_call call = {.in = make(height * width * channels, &state),
                                  .height = height,
                                  .width = width,
                                  .channels = channels,
                                  .weights = make(window * (flat ? 1 : window) * channels, &state),
                                  .bias = make(channels, &state),
                                  .window = window,
                                  .flat = flat,
                                  .stride = stride,
                                  .out_stride = channels + GAP};
    size_t count = depthwise_side(height, stride);
    size_t bytes = count * depthwise_side(width, stride) * call.out_stride * sizeof(float);
    float *whole = poison_alloc(bytes), *lines = poison_alloc(bytes);
    call.out = whole;
    run(&call, 0, count);
    check_values(&call);
    call.out = lines;
    for (size_t y = count; y-- > 0;) run(&call, y, y + 1);
    ck_assert(same_bits(whole, lines, bytes));
    poison_free(whole);
    poison_free(lines);
    const float *const inputs[] = {call.in, call.weights, call.bias};
    for (size_t i = 0; i < 3; i++) {
        void *same;
        memcpy(&same, &inputs[i], sizeof(same));
        poison_free(same);
    }
}

static void check_windows(depthwise_fn *run, const size_t sides[2], size_t channels) {
    for (size_t stride = 1; stride <= 2; stride++) {
        check_size(run, sides[0], sides[1], channels, 7, stride, false);
        check_size(run, sides[0], sides[1], channels, 3, stride, false);
    }
    check_size(run, sides[0], sides[1], channels, 11, 1, true);
}

START_TEST(every_size) {
    static const size_t channels[] = {1, 5, 8, 15, 16, 17, 32, 33, 64, 70, 96, 129};
    static const size_t sides[][2] = {{1, 1}, {2, 9}, {7, 7}, {9, 4}, {12, 13}};
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        depthwise_fn *run = depthwise_find(kernel_set(set));
        if (set && run == depthwise_find(kernel_set(set - 1))) continue;
        for (size_t i = 0; i < 12; i++) {
            for (size_t j = 0; j < 5; j++) {
                check_windows(run, sides[j], channels[i]);
            }
        }
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("depthwise");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_size);
    return program_run("depthwise", tests, CK_NOFORK);
}
