/* Random weights of each family, in small: they have the shapes that the towers ask for, and what
 * comes out are numbers, of about the size that trained models have. */
#include "core/blueprint/invent.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint/architecture_info.h"
#include "core/kernels/gemm.h"
#include "core/pack/pack.h"
#include "core/towers/text.h"
#include "core/towers/vision.h"
#include "tests/support/program.h"

enum { DIM = 48, SIZE = 64, TOKENS = 7 };

/* The families hang on parts of the names. */
static const struct architecture families[] = {
    {"small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"EVA01-g-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"EVA02-small", DIM, SIZE, 16, 64, 2, 2, 96, 64, 2, 2},
    {"EVA02-E-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"MobileCLIP-B-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"MobileCLIP2-L-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"small-CLIPA", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"ViT-L-14-worldwide-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"small-SigLIP", 64, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"small-SigLIP2", 64, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"roberta-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"coca_roberta-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"coca_base-small", DIM, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
    {"coca_ViT-small", 64, SIZE, 16, 64, 2, 2, 256, 64, 2, 2},
};

static void check_source(const struct source *source, size_t rows, size_t columns,
                         const char *name) {
    ck_assert_msg(source->rows == rows && source->columns == columns,
                  "%s: %zu x %zu, expected %zu x %zu", name, source->rows, source->columns, rows,
                  columns);
}

static void check_linear(const struct linear *to, const struct blueprint_linear *from,
                         const char *name) {
    if (!to->blob) return;
    check_source(&from->weights[0], to->weight.n, to->weight.k, name);
    if (to->bias && from->biases[0].kind) check_source(&from->biases[0], 1, to->weight.n, name);
}

static void check_tower(const struct tower *to, const struct blueprint_tower *from,
                        const char *name) {
    check_source(&from->positions, to->tokens_max, to->shape.width, name);
    check_linear(&to->hidden, &from->hidden, name);
    check_linear(&to->projection, &from->projection, name);
    for (uint32_t i = 0; i < to->shape.layers; i++) {
        const struct block *block = &to->blocks[i];
        check_linear(&block->qkv, &from->blocks[i].qkv, name);
        check_linear(&block->out, &from->blocks[i].out, name);
        check_linear(&block->gate, &from->blocks[i].gate, name);
        check_linear(&block->fc, &from->blocks[i].fc, name);
        check_linear(&block->proj, &from->blocks[i].proj, name);
    }
}

static void check_embedding(const float *row, size_t dim, const char *name) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)row[i] * (double)row[i];
    ck_assert_msg(sum > 1e-3 && sum < 1e6, "%s: an embedding of length %g", name, sqrt(sum));
}

static void encode(const struct towers *towers, const struct model_info *info) {
    static uint8_t pixels[SIZE * SIZE * 3];
    uint32_t ids[TOKENS] = {11, 5, 7, 1000, 13, 17, info->vocab_size - 1};
    float embedding[64], *rows = embedding;
    struct workspace *workspace;
    struct levels levels;
    if (info->pooling == MODEL_POOL_EOS) ids[TOKENS - 1] = info->end_token;
    for (size_t i = 0; i < sizeof(pixels); i++) pixels[i] = (uint8_t)(i * i / 97);
    ck_assert_int_eq(workspace_create(&workspace, towers, info, 1, 0, NULL), STATUS_OK);
    vision_set_levels(&levels, &info->preprocess);
    struct pass pass = {.rows = towers->rows, .workspace = workspace, .lane = &workspace->lanes[0]};
    const struct vision_input image = {.pixels = pixels};
    const struct model_text text = {.ids = ids, .count = TOKENS};
    vision_encode(towers, info, &levels, &pass, &image, 1, &rows);
    check_embedding(embedding, info->embed_dim, info->architecture);
    text_encode(towers, info, &pass, &text, 1, &rows);
    check_embedding(embedding, info->embed_dim, info->architecture);
    workspace_destroy(workspace);
}

START_TEST(shapes_and_numbers) {
    struct model_info info;
    struct blueprint blueprint;
    struct towers towers;
    struct plan plan;
    architecture_info_fill(&info, &families[_i]);
    plan_fill(&plan, MODEL_FP32);
    ck_assert_int_eq(invent_model(&blueprint, &info, _i % 2, NULL), STATUS_OK);
    ck_assert_int_eq(towers_create(&towers, &info, &plan, 0, NULL), STATUS_OK);
    uint8_t *block = aligned_alloc(GEMM_ALIGNMENT, towers.bytes);
    ck_assert_ptr_nonnull(block);
    towers_place(&towers, &info, &plan, 0, block);
    check_linear(&towers.vit.patch, &blueprint.vit.patch, info.architecture);
    check_tower(&towers.vision, &blueprint.vision, info.architecture);
    check_tower(&towers.text, &blueprint.text, info.architecture);
    check_source(&blueprint.embedding, info.vocab_size, info.text.width, info.architecture);
    /* What is not written is no number. */
    memset(block, 0xff, towers.bytes);
    ck_assert_int_eq(pack_towers(&towers, &blueprint, &plan, NULL), STATUS_OK);
    encode(&towers, &info);
    free(block);
    towers_free(&towers);
    blueprint_free(&blueprint);
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tests = tcase_create("invent");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, shapes_and_numbers, 0, sizeof(families) / sizeof(families[0]));
    return program_run("invent", tests, CK_NOFORK);
}
