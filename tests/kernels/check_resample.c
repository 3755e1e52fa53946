/* check_resample.c - the resize kernels of every instruction set against portable C: every
 * size up to several vectors, at odd addresses, with nothing behind the last element. */
#include "core/kernels/resample.h"

#include <check.h>
#include <stdlib.h>

#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

enum { COUNT = 5, SPAN_MAX = 45, TAPS_MAX = 40, SIZE_MAX_TESTED = 200, GUARD = 0xa5 };

/* The kernels of the set, or NULL if the set before has the same. */
static const struct resample_kernels *find_kernels(size_t set) {
    const struct resample_kernels *kernels = resample_kernels_find(kernel_set(set));
    return set && kernels == resample_kernels_find(kernel_set(set - 1)) ? NULL : kernels;
}

static size_t stride_of(size_t taps) {
    return (taps + RESAMPLE_STRIDE - 1) / RESAMPLE_STRIDE * RESAMPLE_STRIDE;
}

/* Weights as a filter may have them, or with `extreme` the largest that do not overflow,
 * of one sign; their low halves are of either. Zero behind the taps. */
static void fill_weights(int32_t *weights, size_t stride, uint32_t taps, bool extreme,
                         uint32_t *state) {
    for (size_t k = 0; k < stride; k++) {
        double most = (double)(1 << 23) / taps, value = extreme ? 0.999 : random_unit(state);
        weights[k] = k < taps ? (int32_t)(value * most) : 0;
    }
}

/* Of `taps` pixels at most, and as many where the row ends. */
static struct resample_taps make_taps(size_t span, uint32_t taps, uint32_t *state) {
    struct resample_taps made = {.count = COUNT, .span = span};
    made.stride = stride_of(taps);
    made.first = poison_alloc(COUNT * sizeof(*made.first));
    made.taps = poison_alloc(COUNT * sizeof(*made.taps));
    made.weights = poison_alloc(COUNT * made.stride * sizeof(*made.weights));
    for (size_t i = 0; i < COUNT; i++) {
        made.taps[i] = i % 2 ? taps : (taps + 1) / 2;
        made.first[i] = (uint32_t)((span - made.taps[i]) * i / (COUNT - 1));
        fill_weights(made.weights + i * made.stride, made.stride, made.taps[i], i == 1, state);
    }
    return made;
}

static void free_taps(const struct resample_taps *taps) {
    poison_free(taps->first);
    poison_free(taps->taps);
    poison_free(taps->weights);
}

static uint8_t *random_bytes(size_t size, uint32_t *state) {
    uint8_t *bytes = poison_alloc(size);
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(random_unit(state) * 128 + 128);
    return bytes;
}

/* `count` different rows, the last one repeated up to RESAMPLE_ROWS. */
static void check_horizontal(const struct resample_kernels *kernels,
                             const struct resample_taps *taps, size_t channels, size_t count,
                             uint32_t *state) {
    const uint8_t *rows[RESAMPLE_ROWS];
    uint8_t *in[RESAMPLE_ROWS], *out[RESAMPLE_ROWS], *expected[RESAMPLE_ROWS];
    size_t size = taps->count * channels;
    for (size_t r = 0; r < RESAMPLE_ROWS; r++) {
        bool again = r >= count;
        rows[r] = in[r] = again ? in[r - 1] : random_bytes(taps->span * channels, state);
        out[r] = again ? out[r - 1] : poison_alloc(size + 1);
        expected[r] = again ? expected[r - 1] : poison_alloc(size + 1);
        out[r][size] = expected[r][size] = GUARD;
    }
    kernels->horizontal(out, rows, taps, channels);
    resample_kernels_generic.horizontal(expected, rows, taps, channels);
    for (size_t r = 0; r < RESAMPLE_ROWS; r++)
        ck_assert_msg(same_bits(out[r], expected[r], size + 1),
                      "%s: %zu channels, span %zu, taps %u, row %zu of %zu", kernels->name,
                      channels, taps->span, taps->taps[1], r, count);
    for (size_t r = 0; r < count; r++) {
        poison_free(in[r]);
        poison_free(out[r]);
        poison_free(expected[r]);
    }
}

START_TEST(horizontal_of_every_size) {
    uint32_t state = 1;
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct resample_kernels *kernels = find_kernels(set);
        for (uint32_t taps = 1; kernels && taps <= TAPS_MAX; taps++) {
            for (size_t span = taps; span <= SPAN_MAX; span += 1 + span / 9) {
                struct resample_taps made = make_taps(span, taps, &state);
                for (size_t channels = 1; channels <= RESAMPLE_CHANNELS; channels++)
                    check_horizontal(kernels, &made, channels, 1 + span % RESAMPLE_ROWS, &state);
                free_taps(&made);
            }
        }
    }
}
END_TEST

static void check_vertical(const struct resample_kernels *kernels, uint32_t taps, size_t size,
                           uint32_t *state) {
    const uint8_t *rows[TAPS_MAX];
    uint8_t *in[TAPS_MAX];
    size_t stride = stride_of(taps);
    int32_t *weights = poison_alloc(stride * sizeof(*weights));
    uint8_t *out = poison_alloc(size + 1), *expected = poison_alloc(size + 1);
    fill_weights(weights, stride, taps, size % 4 == 0, state);
    for (uint32_t k = 0; k < taps; k++) rows[k] = in[k] = random_bytes(size, state);
    out[size] = expected[size] = GUARD;
    kernels->vertical(out, rows, weights, taps, size);
    resample_kernels_generic.vertical(expected, rows, weights, taps, size);
    ck_assert_msg(same_bits(out, expected, size + 1), "%s: %u taps, size %zu", kernels->name, taps,
                  size);
    for (uint32_t k = 0; k < taps; k++) poison_free(in[k]);
    poison_free(weights);
    poison_free(out);
    poison_free(expected);
}

START_TEST(vertical_of_every_size) {
    uint32_t state = 2;
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct resample_kernels *kernels = find_kernels(set);
        for (size_t size = 0; kernels && size <= SIZE_MAX_TESTED; size += 1 + size / 70)
            for (uint32_t taps = 1; taps <= TAPS_MAX; taps += 1 + taps / 6)
                check_vertical(kernels, taps, size, &state);
    }
}
END_TEST

/* The definition itself: rounded to nearest, halves up, and clipped at both ends. */
START_TEST(sums_are_rounded_and_clipped) {
    enum { ONE = 1 << RESAMPLE_BITS };
    static const struct {
        int32_t weights[2];
        uint8_t pixels[2], expected;
    } cases[] = {
        {{ONE, 0}, {200, 9}, 200},
        {{ONE / 2, ONE / 2}, {7, 8}, 8},
        {{ONE / 2, ONE / 2 - 1}, {7, 8}, 7},
        {{-ONE, ONE}, {9, 8}, 0},
        {{2 * ONE - 1, 0}, {255, 255}, 255},
        {{-2 * ONE, 0}, {255, 255}, 0},
        {{ONE * 3 / 2, -ONE / 2}, {100, 60}, 120},
    };
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        const struct resample_kernels *kernels = find_kernels(set);
        for (size_t i = 0; kernels && i < sizeof(cases) / sizeof(cases[0]); i++) {
            uint32_t first = 0, count = 2;
            int32_t weights[RESAMPLE_STRIDE] = {cases[i].weights[0], cases[i].weights[1]};
            struct resample_taps taps = {1, 2, RESAMPLE_STRIDE, &first, &count, weights};
            uint8_t result[2], wide[2][40], columns[40];
            const uint8_t *source = cases[i].pixels;
            const uint8_t *rows[RESAMPLE_ROWS] = {source, source, source, source};
            uint8_t *out[RESAMPLE_ROWS] = {result, result, result, result};
            kernels->horizontal(out, rows, &taps, 1);
            ck_assert_uint_eq(result[0], cases[i].expected);
            for (size_t x = 0; x < 40; x++) wide[0][x] = source[0], wide[1][x] = source[1];
            const uint8_t *both[2] = {wide[0], wide[1]};
            kernels->vertical(columns, both, weights, 2, 40);
            for (size_t x = 0; x < 40; x++) ck_assert_uint_eq(columns[x], cases[i].expected);
        }
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("resample");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, horizontal_of_every_size);
    tcase_add_test(tests, vertical_of_every_size);
    tcase_add_test(tests, sums_are_rounded_and_clipped);
    return program_run("resample", tests, CK_NOFORK);
}
