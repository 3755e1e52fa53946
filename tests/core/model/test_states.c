/* Hidden states against PyTorch's: goldens/models/tiny_vit has what its first image is in every
 * layer, and the last layer of all three. Our own small models have no values of others, but rules
 * that must hold. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "core/towers/vision.h"
#include "core/weights/safetensors.h"
#include "tests/support/npy.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

#define TINY "goldens/models/tiny_vit/"

enum { IMAGES = 3, SIDE = 32, PATCH = 8, PATCHES = 16, ROWS = 17, WIDTH = 64, DIM = 32 };

static const double tolerance = 5e-5;

/* image_size 0: the model's own. */
static struct model *open_model(const char *path, const char *precision, uint32_t image_size) {
    struct model_options options = {.path = path,
                                    .features = isa_detect(),
                                    .workers = 1,
                                    .precision = precision,
                                    .image_size = image_size};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    log_init(LOG_OFF, LOG_TEXT);
    ck_assert_msg(model_open(&model, &options, &err) == STATUS_OK, "%s: %s", path, err.message);
    return model;
}

static struct model *open_tiny(void) {
    char *path = shared_path(TINY "openai.safetensors");
    struct model_options options = {.path = path,
                                    .features = isa_detect(),
                                    .workers = 1,
                                    .precision = "fp32",
                                    .head_width = 32};
    struct model *model = NULL;
    log_init(LOG_OFF, LOG_TEXT);
    ck_assert_int_eq(model_open(&model, &options, NULL), STATUS_OK);
    free(path);
    return model;
}

/* One patch of a [3, 32, 32] image in the order channel, y, x. */
static void cut_patch(float *to, const float *corner) {
    for (size_t c = 0; c < 3; c++) {
        for (size_t y = 0; y < PATCH; y++, to += PATCH)
            memcpy(to, corner + (c * SIDE + y) * SIDE, PATCH * sizeof(*to));
    }
}

/* [3, 3, 32, 32] to patches as the tower takes them. */
static void cut(float out[IMAGES][PATCHES][3 * PATCH * PATCH], const float *pixels) {
    for (size_t i = 0; i < (size_t)IMAGES * PATCHES; i++) {
        size_t image = i / PATCHES, patch = i % PATCHES;
        size_t top = patch / 4 * PATCH, left = patch % 4 * PATCH;
        cut_patch(out[image][patch], pixels + (image * 3 * SIDE + top) * SIDE + left);
    }
}

static void read_npy(struct npy *out, const char *relative) {
    char *path = shared_path(relative);
    ck_assert_int_eq(npy_read(out, path, NULL), STATUS_OK);
    free(path);
}

static void check_close(const float *found, const float *expected, size_t count, const char *what) {
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)found[i] - (double)expected[i]);
        if (!(difference <= worst)) worst = difference; /* NaN counts */
    }
    ck_assert_msg(worst <= tolerance, "%s differs by %g", what, worst);
}

static struct {
    float patches[IMAGES][PATCHES][3 * PATCH * PATCH];
    float states[IMAGES][ROWS][WIDTH];
} tiny;

static void encode_tiny(const struct model *model, uint32_t layers, uint32_t skip) {
    struct vision_input inputs[IMAGES];
    float *states[IMAGES];
    memset(tiny.states, 0xff, sizeof(tiny.states));
    for (size_t i = 0; i < IMAGES; i++) {
        inputs[i] = (struct vision_input){.patches = tiny.patches[i][0]};
        states[i] = tiny.states[i][0];
    }
    model_encode_states(model, 0, NULL, inputs, IMAGES,
                        &(struct model_states){.layers = layers, .skip = skip}, states);
}

START_TEST(as_in_pytorch) {
    static const char *const names[] = {"v_ln_pre", "v_block0", "v_block1"};
    if (shared_missing()) return;
    struct model *model = open_tiny();
    struct npy pixels, last;
    struct file_map file;
    struct tensors tensors;
    float expected[ROWS * WIDTH];
    read_npy(&pixels, TINY "inputs/pixel_values.npy");
    read_npy(&last, TINY "expected/hf_vision_last_hidden_state.npy");
    ck_assert_uint_eq(last.count, (size_t)IMAGES * ROWS * WIDTH);
    cut(tiny.patches, pixels.floats);
    char *path = shared_path(TINY "expected/debug_activations.safetensors");
    ck_assert_int_eq(file_map_open(&file, path, NULL), STATUS_OK);
    ck_assert_int_eq(safetensors_parse(&tensors, file.bytes, NULL), STATUS_OK);
    ck_assert_uint_eq(model_states_rows(model_info(model)), ROWS);
    for (uint32_t layers = 0; layers < 3; layers++) {
        tensor_widen(expected, tensors_find(&tensors, names[layers]), 0, (size_t)ROWS * WIDTH);
        encode_tiny(model, layers, 0);
        check_close(tiny.states[0][0], expected, (size_t)ROWS * WIDTH, names[layers]);
        if (layers == 2) check_close(tiny.states[0][0], last.floats, last.count, "the last layer");
        /* Without the class token the rest is the same. */
        encode_tiny(model, layers, 1);
        check_close(tiny.states[0][0], expected + WIDTH, (size_t)PATCHES * WIDTH, names[layers]);
        ck_assert(isnan(tiny.states[0][PATCHES][0]));
    }
    tensors_free(&tensors);
    file_map_close(&file);
    free(path);
    npy_free(&last);
    npy_free(&pixels);
    model_close(model);
}
END_TEST

/* ---- the starter: batches, and what follows from states ---- */

enum { STARTER_SIDE = 16, STARTER_WIDTH = 192, MANY = 70 };

static uint8_t pictures[MANY][STARTER_SIDE * STARTER_SIDE * 3];

static void draw_pictures(void) {
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof(pictures); i++) {
        seed = seed * 1664525 + 1013904223;
        pictures[i / sizeof(pictures[0])][i % sizeof(pictures[0])] = (uint8_t)(seed >> 24);
    }
}

/* More than one pass has room for: each image's states are those that it has alone. */
START_TEST(no_states_depend_on_the_batch) {
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    struct model *model = open_model("models/starter", precisions[_i], STARTER_SIDE);
    size_t size = model_states_rows(model_info(model)) * STARTER_WIDTH;
    float *all = calloc(MANY * size, sizeof(*all)), *one = calloc(size, sizeof(*one));
    ck_assert(all && one);
    struct vision_input inputs[MANY];
    float *states[MANY];
    draw_pictures();
    for (size_t i = 0; i < MANY; i++) {
        inputs[i] = (struct vision_input){.pixels = pictures[i]};
        states[i] = all + i * size;
    }
    for (uint32_t layers = 0; layers <= model_info(model)->vision.layers; layers++) {
        struct model_states what = {.layers = layers};
        model_encode_states(model, 0, NULL, inputs, MANY, &what, states);
        for (size_t i = 0; i < MANY; i += 23) {
            model_encode_states(model, 0, NULL, &inputs[i], 1, &what, &one);
            ck_assert_mem_eq(one, states[i], size * sizeof(*one));
        }
    }
    free(all);
    free(one);
    model_close(model);
}
END_TEST

/* The row that becomes the embedding is the same on both ways, and embeddings are what they
 * were after a pass for states. */
START_TEST(the_class_token_is_traced_too) {
    struct model *model = open_model("models/starter", "fp32", STARTER_SIDE);
    const struct model_info *info = model_info(model);
    size_t rows = model_states_rows(info), layers = info->vision.layers;
    float *trace = calloc(layers * STARTER_WIDTH, sizeof(*trace));
    float *states = calloc(rows * STARTER_WIDTH, sizeof(*states));
    float before[STARTER_WIDTH], after[STARTER_WIDTH];
    ck_assert(trace && states);
    draw_pictures();
    struct vision_input input = {.pixels = pictures[0]};
    model_trace_image(model, 0, pictures[0], before, trace);
    for (uint32_t i = 1; i <= layers; i++) {
        struct model_states what = {.layers = i};
        model_encode_states(model, 0, NULL, &input, 1, &what, &states);
        check_close(states, trace + (size_t)(i - 1) * STARTER_WIDTH, STARTER_WIDTH,
                    "the class token");
    }
    model_trace_image(model, 0, pictures[0], after, NULL);
    ck_assert_mem_eq(before, after, info->embed_dim * sizeof(*before));
    free(trace);
    free(states);
    model_close(model);
}
END_TEST

START_TEST(who_has_none) {
    struct model *model = open_model("tests/golden/torch/diffusers", "fp32", 0);
    ck_assert_uint_eq(model_states_rows(model_info(model)), 0);
    model_close(model);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("states");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, as_in_pytorch);
    tcase_add_loop_test(tests, no_states_depend_on_the_batch, 0, 3);
    tcase_add_test(tests, the_class_token_is_traced_too);
    tcase_add_test(tests, who_has_none);
    return program_run("states", tests, CK_NOFORK);
}
