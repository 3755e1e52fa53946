/* How near reduced precision comes to fp32, on every kernel of this CPU: random weights, and
 * LayerNorms with outliers, on which plain int8 fails. A small model; what is true of one
 * of 12 layers is measured by clipd quantize. */
#include "core/model/quality.h"

#include <check.h>
#include <stdlib.h>

#include "core/blueprint/invent.h"
#include "core/checkpoint/architecture_info.h"
#include "core/kernels/isa.h"
#include "core/model/cosines.h"
#include "core/pack/pack.h"
#include "core/towers/text.h"
#include "core/towers/vision.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"

/* The second has heads 72 wide, as SO400M, and both attention at the end of images. */
static const struct architecture subjects[] = {
    {"small", 256, 64, 16, 256, 4, 4, 1024, 256, 4, 4},
    {"small-SigLIP", 288, 64, 16, 288, 4, 4, 1076, 288, 4, 4},
    {"coca_ViT-small", 192, 64, 16, 256, 4, 4, 1024, 256, 4, 4},
};
enum { SUBJECTS = sizeof(subjects) / sizeof(subjects[0]) };

/* A packed model without a file. */
struct subject {
    struct model_info info;
    struct towers towers;
    uint8_t *block;
    struct levels levels;
    struct workspace *workspace;
};

/* `folded` is the plan that decides which LayerNorm gains move into the weights. */
static struct subject pack(const struct architecture *architecture, bool outliers,
                           unsigned features, const struct plan *plan, const struct plan *folded) {
    struct subject subject;
    struct blueprint blueprint;
    architecture_info_fill(&subject.info, architecture);
    ck_assert_int_eq(invent_model(&blueprint, &subject.info, outliers, NULL), STATUS_OK);
    ck_assert_int_eq(towers_create(&subject.towers, &subject.info, plan, features, NULL),
                     STATUS_OK);
    subject.block = aligned_alloc(GEMM_ALIGNMENT, subject.towers.bytes);
    ck_assert_ptr_nonnull(subject.block);
    towers_place(&subject.towers, &subject.info, plan, features, subject.block);
    ck_assert_int_eq(pack_towers(&subject.towers, &blueprint, folded, NULL), STATUS_OK);
    vision_set_levels(&subject.levels, &subject.info.preprocess);
    ck_assert_int_eq(
        workspace_create(&subject.workspace, &subject.towers, &subject.info, 1, 0, NULL),
        STATUS_OK);
    blueprint_free(&blueprint);
    return subject;
}

static void release(struct subject *subject) {
    workspace_destroy(subject->workspace);
    towers_free(&subject->towers);
    free(subject->block);
}

static void encode(const struct subject *subject, enum plan_tower tower,
                   const struct samples *samples, float *embeddings) {
    for (size_t i = 0; i < samples->counts[tower]; i++) {
        struct pass pass = {.rows = subject->towers.rows,
                            .workspace = subject->workspace,
                            .lane = &subject->workspace->lanes[0]};
        float *embedding = embeddings + i * subject->info.embed_dim;
        const struct vision_input image = {.pixels = samples->pixels[i]};
        if (tower == PLAN_VISION)
            vision_encode(&subject->towers, &subject->info, &subject->levels, &pass, &image, 1,
                          &embedding);
        else
            text_encode(&subject->towers, &subject->info, &pass, &samples->texts[i], 1, &embedding);
    }
}

/* Of one tower, to fp32 with the same instruction sets. */
static struct model_cosines compare(const struct subject *subject, const struct subject *reference,
                                    enum plan_tower tower) {
    struct samples samples;
    struct model_cosines cosines;
    ck_assert_int_eq(samples_invent(&samples, &subject->info, NULL), STATUS_OK);
    size_t count = samples.counts[tower], dim = subject->info.embed_dim;
    float *want = calloc(count * dim, sizeof(*want)), *got = calloc(count * dim, sizeof(*got));
    encode(reference, tower, &samples, want);
    encode(subject, tower, &samples, got);
    ck_assert_int_eq(cosines_of(&cosines, want, got, count, dim, NULL), STATUS_OK);
    free(want);
    free(got);
    samples_free(&samples);
    return cosines;
}

static const char *const tower_names[] = {"vision", "text"};

/* The row of padding that ends SigLIP's texts tells them apart by little. */
static double centred_floor(const struct model_info *info, enum plan_tower tower,
                            enum model_precision precision, double centred) {
    if (tower != PLAN_TEXT || !info->bidirectional) return centred;
    return precision == MODEL_INT8 ? 0.98 : 0.998;
}

/* Both towers must reach `least`. */
static void check(const struct architecture *architecture, bool outliers,
                  enum model_precision precision, double least, double centred) {
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        unsigned features = kernel_set(set);
        struct plan plan, fp32;
        if (set && features == kernel_set(set - 1)) continue; /* this CPU has no more */
        plan_fill(&fp32, MODEL_FP32);
        struct subject reference = pack(architecture, outliers, features, &fp32, &fp32);
        plan_default(&plan, &reference.info, precision, features);
        struct subject subject = pack(architecture, outliers, features, &plan, &plan);
        for (int tower = 0; tower < PLAN_TOWERS; tower++) {
            struct model_cosines found = compare(&subject, &reference, (enum plan_tower)tower);
            double apart = centred_floor(&subject.info, (enum plan_tower)tower, precision, centred);
            ck_assert_msg(found.min >= least && found.centred_min >= apart,
                          "%s %s %s %s: cosine %.6f, expected %g; centred %.5f, expected %g",
                          architecture->name, kernel_set_name(set), tower_names[tower],
                          model_precision_name(precision), found.min, least, found.centred_min,
                          apart);
        }
        release(&subject);
        release(&reference);
    }
}

START_TEST(bf16_on_random_weights) {
    check(&subjects[_i], false, MODEL_BF16, 0.99999, 0.9995);
}
END_TEST

START_TEST(int8_on_random_weights) {
    check(&subjects[_i], false, MODEL_INT8, 0.9995, 0.995);
}
END_TEST

START_TEST(int8_on_outliers) {
    check(&subjects[_i], true, MODEL_INT8, 0.999, 0.995);
}
END_TEST

/* What folding the gains is for: without it eight bits a token do not hold the outliers. */
START_TEST(plain_int8_fails_on_outliers) {
    struct plan plan, unfolded;
    plan_fill(&plan, MODEL_INT8);
    plan_fill(&unfolded, MODEL_FP32);
    unsigned features = kernel_set(KERNEL_SETS - 1);
    struct subject subject = pack(&subjects[0], true, features, &plan, &unfolded);
    struct subject reference = pack(&subjects[0], true, features, &unfolded, &unfolded);
    for (int tower = 0; tower < PLAN_TOWERS; tower++) {
        struct model_cosines found = compare(&subject, &reference, (enum plan_tower)tower);
        ck_assert_msg(found.min < 0.999, "%s: cosine %.6f, expected less than 0.999",
                      tower_names[tower], found.min);
    }
    release(&subject);
    release(&reference);
}
END_TEST

/* model_mix() of int8 and fp32 is what packing the mixed plan gives, bit for bit. */
START_TEST(mix_is_the_packed_plan) {
    struct plan plan, int8;
    plan_fill(&int8, MODEL_INT8);
    plan_default(&plan, &(struct model_info){.no_class_token = false}, MODEL_INT8, ISA_AVX2);
    plan.patch = plan.layers[PLAN_VISION][1][PLAN_FC] = MODEL_FP32;
    plan.layers[PLAN_VISION][2][PLAN_PROJ] = plan.layers[PLAN_TEXT][3][PLAN_OUT] = MODEL_FP32;
    struct model_options options = {.architecture = "ViT-S-32-alt",
                                    .features = isa_detect() & ISA_AVX2,
                                    .workers = 1,
                                    .precision = "int8",
                                    .plan = &int8};
    struct model *all, *none, *packed, *mix;
    ck_assert_int_eq(model_open(&all, &options, NULL), STATUS_OK);
    options.plan = &plan;
    ck_assert_int_eq(model_open(&packed, &options, NULL), STATUS_OK);
    options.plan = NULL;
    options.precision = "fp32";
    ck_assert_int_eq(model_open(&none, &options, NULL), STATUS_OK);
    ck_assert_int_eq(model_mix(&mix, all, none, &plan, 1, NULL), STATUS_OK);
    ck_assert_uint_eq(model_info(packed)->quality.exceptions, 7);
    struct samples samples;
    ck_assert_int_eq(samples_invent(&samples, model_info(all), NULL), STATUS_OK);
    float want[256], got[256];
    model_trace_image(packed, 0, samples.pixels[0], want, NULL);
    model_trace_image(mix, 0, samples.pixels[0], got, NULL);
    ck_assert_mem_eq(want, got, sizeof(want));
    model_trace_text(packed, 0, &samples.texts[0], want, NULL);
    model_trace_text(mix, 0, &samples.texts[0], got, NULL);
    ck_assert_mem_eq(want, got, sizeof(want));
    samples_free(&samples);
    model_close(mix);
    model_close(none);
    model_close(packed);
    model_close(all);
}
END_TEST

int main(void) {
    gemm_blas_init();
    TCase *tests = tcase_create("quality");
    tcase_set_timeout(tests, 200);
    tcase_add_loop_test(tests, bf16_on_random_weights, 0, SUBJECTS);
    tcase_add_loop_test(tests, int8_on_random_weights, 0, SUBJECTS);
    tcase_add_loop_test(tests, int8_on_outliers, 0, SUBJECTS);
    tcase_add_test(tests, plain_int8_fails_on_outliers);
    tcase_add_test(tests, mix_is_the_packed_plan);
    return program_run("quality", tests, CK_NOFORK);
}
