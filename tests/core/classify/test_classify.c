/* Labels, templates and scores on the starter model. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/batch/batcher.h"
#include "core/classify/classify.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/npy.h"
#include "tests/support/program.h"

enum { DIM_MAX = 1024 };

static struct runtime *runtime;
static struct engine *engine;
static struct classifier *classifier;

static void open_all(void) {
    struct runtime_options options = runtime_options_default;
    struct engine_options model = {.name = "starter", .path = "models/starter"};
    struct error err = ERROR_NONE;
    ck_assert_int_eq(runtime_create(&runtime, &options, &err), STATUS_OK);
    ck_assert_msg(engine_open(&engine, runtime, &model, &err) == STATUS_OK, "%s", err.message);
    ck_assert_int_eq(classifier_create(&classifier, 1 << 20, &err), STATUS_OK);
    ck_assert_uint_le(engine_info(engine)->embed_dim, DIM_MAX);
}

static void close_all(void) {
    classifier_destroy(classifier);
    engine_close(engine);
    runtime_destroy(runtime);
}

static void embed_labels(const char *const *names, size_t count, const char *const *templates,
                         size_t templates_count, float *out) {
    struct bytes labels[8], patterns[8];
    bool truncated[8];
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < count; i++) labels[i] = bytes_of(names[i]);
    for (size_t i = 0; i < templates_count; i++) patterns[i] = bytes_of(templates[i]);
    struct label_set set = {labels, patterns, count, templates_count};
    enum status status =
        classify_embed_labels(classifier, engine, &set, out, truncated, &call, &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.message);
    for (size_t i = 0; i < count; i++) ck_assert(!truncated[i]);
}

static void embed_text(const char *text, float *out) {
    struct bytes view = bytes_of(text);
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    ck_assert_int_eq(engine_embed_texts(engine, &view, 1, out, &call, NULL), STATUS_OK);
}

START_TEST(one_template_is_the_text_itself) {
    static const char *const labels[] = {"cat", "dog"};
    size_t dim = engine_info(engine)->embed_dim;
    float classes[2 * DIM_MAX], cat[DIM_MAX], dog[DIM_MAX];
    embed_labels(labels, 2, NULL, 0, classes);
    embed_text("a photo of a cat.", cat);
    embed_text("a photo of a dog.", dog);
    for (size_t i = 0; i < dim; i++) {
        ck_assert(fabsf(classes[i] - cat[i]) < 1e-6f);
        ck_assert(fabsf(classes[dim + i] - dog[i]) < 1e-6f);
    }
}
END_TEST

START_TEST(an_ensemble_is_the_normalised_mean) {
    static const char *const labels[] = {"ship"};
    static const char *const templates[] = {"a photo of a {}.", "{}", "a big {} at night"};
    size_t dim = engine_info(engine)->embed_dim;
    float class[DIM_MAX], parts[3][DIM_MAX];
    double sum[DIM_MAX], norm = 0;
    embed_labels(labels, 1, templates, 3, class);
    embed_text("a photo of a ship.", parts[0]);
    embed_text("ship", parts[1]);
    embed_text("a big ship at night", parts[2]);
    for (size_t i = 0; i < dim; i++) {
        sum[i] = (double)parts[0][i] + (double)parts[1][i] + (double)parts[2][i];
        norm += sum[i] * sum[i];
    }
    for (size_t i = 0; i < dim; i++) {
        ck_assert(fabs((double)class[i] - sum[i] / sqrt(norm)) < 1e-6);
    }
}
END_TEST

START_TEST(seen_labels_come_from_the_cache_bit_for_bit) {
    static const char *const labels[] = {"deer", "frog", "deer"};
    static const char *const other[] = {"a sketch of a {}."};
    size_t dim = engine_info(engine)->embed_dim;
    float first[3 * DIM_MAX], again[3 * DIM_MAX];
    struct classifier_stats before, after;
    embed_labels(labels, 3, NULL, 0, first);
    ck_assert_mem_eq(first, first + 2 * dim, dim * sizeof(float));
    classifier_read_stats(classifier, &before);
    embed_labels(labels, 3, NULL, 0, again);
    classifier_read_stats(classifier, &after);
    ck_assert_uint_eq(after.hits - before.hits, 3);
    ck_assert_uint_eq(after.misses, before.misses);
    ck_assert_mem_eq(first, again, 3 * dim * sizeof(float));
    embed_labels(labels, 3, other, 1, again); /* another template is another class */
    ck_assert(memcmp(first, again, dim * sizeof(float)) != 0);
}
END_TEST

/* A file of the starter with `to` in the place of the first `from`. */
static void write_changed(const char *folder, const char *name, const char *from, const char *to) {
    char path[300];
    snprintf(path, sizeof(path), "models/starter/%s", name);
    struct buffer text = files_load(path);
    const char *whole = (const char *)text.data;
    const char *place = memmem(whole, text.size, from, strlen(from));
    ck_assert_ptr_nonnull(place);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    size_t before = (size_t)(place - whole), behind = before + strlen(from);
    ck_assert_uint_eq(fwrite(whole, 1, before, file), before);
    fputs(to, file);
    ck_assert_uint_eq(fwrite(whole + behind, 1, text.size - behind, file), text.size - behind);
    fclose(file);
    buffer_free(&text);
}

/* Each differs from the starter in what its weights' digest does not say. */
START_TEST(models_of_the_same_weights_do_not_share_labels) {
    static const struct {
        const char *activation;
        const char *ids[2], *merges[2]; /* what is changed in its vocabulary, from and to */
    } rows[] = {
        {NULL, {"", ""}, {"", ""}},
        {"quick_gelu", {"", ""}, {"", ""}},
        {NULL, {"\".</w>\": 269, \"/</w>\": 270", "\".</w>\": 270, \"/</w>\": 269"}, {"", ""}},
        {NULL, {"", ""}, {"\nca t</w>\n", "\n"}},
    };
    static const char *const labels[] = {"cat"};
    size_t dim = engine_info(engine)->embed_dim;
    struct engine_options options = {.name = "other", .path = "models/starter"};
    struct engine *starter = engine;
    struct classifier_stats before, after;
    struct error err = ERROR_NONE;
    float theirs[DIM_MAX], label[DIM_MAX], text[DIM_MAX];
    char *folder = folder_make();
    write_changed(folder, "vocab.json", rows[_i].ids[0], rows[_i].ids[1]);
    write_changed(folder, "merges.txt", rows[_i].merges[0], rows[_i].merges[1]);
    options.vocab = folder;
    options.activation = rows[_i].activation;
    embed_labels(labels, 1, NULL, 0, theirs);
    ck_assert_msg(!engine_open(&engine, runtime, &options, &err), "%s", err.message);
    classifier_read_stats(classifier, &before);
    embed_labels(labels, 1, NULL, 0, label);
    classifier_read_stats(classifier, &after);
    embed_text("a photo of a cat.", text);
    ck_assert_uint_eq(after.hits - before.hits, _i == 0); /* the very same model has them */
    ck_assert_int_eq(memcmp(theirs, label, dim * sizeof(float)) == 0, _i == 0);
    for (size_t i = 0; i < dim; i++) ck_assert(fabsf(label[i] - text[i]) < 1e-6f);
    engine_close(engine);
    engine = starter;
    folder_remove(folder);
}
END_TEST

START_TEST(many_prompts_go_in_several_calls) {
    enum { LABELS = 100, TEMPLATES = 5 };
    static char names[LABELS][16];
    static float out[LABELS * DIM_MAX];
    struct bytes labels[LABELS], templates[TEMPLATES];
    bool truncated[LABELS];
    float alone[DIM_MAX];
    size_t dim = engine_info(engine)->embed_dim;
    static const char *const patterns[] = {"{}", "a {}", "the {}", "one {}", "my {}"};
    const char *last[1] = {names[LABELS - 1]};
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    for (int i = 0; i < LABELS; i++) {
        snprintf(names[i], sizeof(names[i]), "thing %d", i);
        labels[i] = bytes_of(names[i]);
    }
    for (int i = 0; i < TEMPLATES; i++) templates[i] = bytes_of(patterns[i]);
    struct label_set set = {labels, templates, LABELS, TEMPLATES};
    ck_assert_int_eq(classify_embed_labels(classifier, engine, &set, out, truncated, &call, NULL),
                     STATUS_OK);
    struct classifier *fresh = classifier, *own;
    ck_assert_int_eq(classifier_create(&own, 1 << 20, NULL), STATUS_OK);
    classifier = own;
    embed_labels(last, 1, patterns, TEMPLATES, alone);
    classifier = fresh;
    classifier_destroy(own);
    ck_assert_mem_eq(alone, out + (LABELS - 1) * dim, dim * sizeof(float));
}
END_TEST

/* More labels than can be embedded in the time, until all are. */
START_TEST(who_asks_again_gets_further) {
    enum { LABELS = 300 };
    static char names[LABELS][16];
    static float whole[LABELS * DIM_MAX], parts[LABELS * DIM_MAX];
    struct bytes labels[LABELS];
    bool truncated[LABELS];
    struct bytes templates[] = {bytes_of("a {}"), bytes_of("two of {}")};
    struct label_set set = {labels, templates, LABELS, 2};
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct classifier *other, *one;
    size_t dim = engine_info(engine)->embed_dim;
    for (int i = 0; i < LABELS; i++) {
        snprintf(names[i], sizeof(names[i]), "object %d", i);
        labels[i] = bytes_of(names[i]);
    }
    ck_assert_int_eq(classifier_create(&other, 1 << 20, NULL), STATUS_OK);
    ck_assert_int_eq(classifier_create(&one, 1 << 20, NULL), STATUS_OK);
    uint64_t begun_ns = clock_now_ns();
    ck_assert_int_eq(classify_embed_labels(other, engine, &set, whole, truncated, &call, NULL),
                     STATUS_OK);
    uint64_t eighth_ns = (clock_now_ns() - begun_ns) / 8;
    call.deadline_ns = begun_ns; /* long over: nothing is begun */
    ck_assert_int_eq(classify_embed_labels(one, engine, &set, parts, truncated, &call, NULL),
                     STATUS_TIMEOUT);
    enum status status;
    do {
        call.deadline_ns = clock_now_ns() + eighth_ns;
        status = classify_embed_labels(one, engine, &set, parts, truncated, &call, NULL);
        ck_assert(status == STATUS_OK || status == STATUS_TIMEOUT);
    } while (status);
    ck_assert_mem_eq(whole, parts, LABELS * dim * sizeof(float));
    classifier_destroy(other);
    classifier_destroy(one);
}
END_TEST

/* Texts that have been embedded since the start. */
static uint64_t count_texts(void) {
    struct engine_stats stats;
    engine_read_stats(engine, &stats);
    return atomic_load(&stats.texts->batch_size.sum);
}

/* One label in more templates than can be embedded in the time. */
START_TEST(who_asks_again_gets_further_in_templates) {
    enum { TEMPLATES = 600 };
    static char patterns[TEMPLATES][16];
    static float whole[DIM_MAX], parts[DIM_MAX];
    struct bytes label = bytes_of("cat"), templates[TEMPLATES];
    bool truncated;
    struct label_set set = {&label, templates, 1, TEMPLATES};
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    for (int i = 0; i < TEMPLATES; i++) {
        snprintf(patterns[i], sizeof(patterns[i]), "%d of {}", i);
        templates[i] = bytes_of(patterns[i]);
    }
    struct classifier *one;
    ck_assert_int_eq(
        classify_embed_labels(classifier, engine, &set, whole, &truncated, &call, NULL), STATUS_OK);
    uint64_t before, embedded, patience_ns = CLOCK_NS_PER_MS;
    for (;;) { /* until the time was too short for all of it, and enough for some */
        ck_assert_int_eq(classifier_create(&one, 1 << 20, NULL), STATUS_OK);
        before = count_texts();
        call.deadline_ns = clock_now_ns() + patience_ns;
        enum status status =
            classify_embed_labels(one, engine, &set, parts, &truncated, &call, NULL);
        embedded = count_texts() - before;
        if (status && embedded) break;
        patience_ns = status ? 2 * patience_ns : CLOCK_NS_PER_MS;
        classifier_destroy(one);
    }
    call.deadline_ns = CLOCK_NEVER;
    before = count_texts();
    ck_assert_int_eq(classify_embed_labels(one, engine, &set, parts, &truncated, &call, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(embedded + count_texts() - before, TEMPLATES);
    ck_assert_mem_eq(whole, parts, engine_info(engine)->embed_dim * sizeof(float));
    classifier_destroy(one);
}
END_TEST

/* Too long in one template of two; from the cache as well. */
START_TEST(labels_that_were_cut_are_told) {
    static const char long_template[] =
        "{} one two three four five six seven eight nine ten one two"
        " three four five six seven eight nine ten one two three"
        " four five six seven eight nine ten one two three four";
    struct bytes labels[] = {bytes_of("cat"), bytes_of(long_template + 2)};
    struct bytes templates[] = {bytes_of("{}"), bytes_of(long_template)};
    float out[2 * DIM_MAX];
    bool truncated[2];
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    for (size_t count = 1; count <= 2; count++) {
        for (int round = 0; round < 2; round++) {
            struct label_set set = {labels, templates, 2, count};
            ck_assert_int_eq(
                classify_embed_labels(classifier, engine, &set, out, truncated, &call, NULL),
                STATUS_OK);
            ck_assert(truncated[0] == (count == 2) && truncated[1]);
        }
    }
}
END_TEST

START_TEST(templates_are_checked) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(classify_check_template(bytes_of("a {} b"), NULL), STATUS_OK);
    ck_assert_int_eq(classify_check_template(bytes_of("{}"), NULL), STATUS_OK);
    ck_assert_int_eq(classify_check_template(bytes_of("a photo"), &err), STATUS_INVALID);
    ck_assert_str_eq(err.message, "a template needs {} where the label goes");
    ck_assert_int_eq(classify_check_template(bytes_of("{} and {}"), NULL), STATUS_INVALID);
    ck_assert_int_eq(classify_check_template(bytes_of(""), NULL), STATUS_INVALID);
}
END_TEST

START_TEST(scores_are_sorted_and_sum_to_one) {
    static const char *const labels[] = {"cat", "dog", "ship", "cat"};
    size_t dim = engine_info(engine)->embed_dim;
    float classes[4 * DIM_MAX];
    struct classify_score scores[4];
    double sum = 0;
    embed_labels(labels, 4, NULL, 0, classes);
    classify_score(engine, classes + 2 * dim, classes, 4, scores);
    ck_assert_uint_eq(scores[0].label, 2);
    ck_assert(fabsf(scores[0].cosine - 1) < 1e-5f);
    for (size_t i = 0; i < 4; i++) {
        sum += (double)scores[i].probability;
        if (i) ck_assert(scores[i].probability <= scores[i - 1].probability);
        double ratio = log((double)scores[0].probability / (double)scores[i].probability);
        double expected = (double)engine_info(engine)->logit_scale *
                          ((double)scores[0].cosine - (double)scores[i].cosine);
        ck_assert(fabs(ratio - expected) < 1e-3);
    }
    ck_assert(fabs(sum - 1) < 1e-6);
    for (size_t i = 1; i < 4; i++) { /* equal scores stay in label order */
        if (scores[i].label == 3) ck_assert_uint_eq(scores[i - 1].label, 0);
    }
    classify_score(engine, classes, classes, 1, scores);
    ck_assert(scores[0].probability == 1);
}
END_TEST

/* SigLIP: the vocabulary's padding is part of a text, and each label has a probability of its
 * own. The model and the features of the caption are made by
 * tests/golden/make_pooler_goldens.py. */
START_TEST(sigmoid) {
    static const char *const labels[] = {"cat", "dog", "ship"};
    struct engine_options options = {.name = "siglip",
                                     .path = "tests/golden/families/siglip",
                                     .vocab = "tests/golden/subword/siglip",
                                     .precision = "fp32"};
    struct engine *siglip = NULL, *starter = engine;
    struct error err = ERROR_NONE;
    ck_assert_msg(engine_open(&siglip, runtime, &options, &err) == STATUS_OK, "%s", err.message);
    engine = siglip;
    const struct engine_info *info = engine_info(siglip);
    size_t dim = info->embed_dim;
    ck_assert(info->sigmoid && !engine_info(starter)->sigmoid);
    ck_assert(fabsf(info->logit_bias + 3.0f) < 1e-6f);

    struct npy expected;
    float caption[DIM_MAX], classes[3 * DIM_MAX], image[DIM_MAX];
    struct bytes text = bytes_of("A photo of a cat!");
    struct engine_call call = {.deadline_ns = CLOCK_NEVER, .raw = true};
    ck_assert(!npy_read(&expected, "tests/golden/families/siglip_caption.npy", NULL));
    ck_assert(!engine_embed_texts(siglip, &text, 1, caption, &call, NULL));
    ck_assert_uint_eq(expected.count, dim);
    for (size_t i = 0; i < dim; i++) ck_assert(fabsf(caption[i] - expected.floats[i]) < 2e-5f);
    npy_free(&expected);

    embed_labels(labels, 3, NULL, 0, classes);
    embed_text("a photo of a dog.", image);
    struct classify_score scores[3];
    classify_score(siglip, image, classes, 3, scores);
    ck_assert_uint_eq(scores[0].label, 1);
    for (size_t i = 0; i < 3; i++) {
        float logit = info->logit_scale * scores[i].cosine + info->logit_bias;
        ck_assert(fabsf(scores[i].probability - 1 / (1 + expf(-logit))) < 1e-6f);
    }
    engine = starter;
    engine_close(siglip);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("starter");
    tcase_add_unchecked_fixture(tcase, open_all, close_all);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, one_template_is_the_text_itself);
    tcase_add_test(tcase, an_ensemble_is_the_normalised_mean);
    tcase_add_test(tcase, seen_labels_come_from_the_cache_bit_for_bit);
    tcase_add_loop_test(tcase, models_of_the_same_weights_do_not_share_labels, 0, 4);
    tcase_add_test(tcase, many_prompts_go_in_several_calls);
    tcase_add_test(tcase, who_asks_again_gets_further);
    tcase_add_test(tcase, who_asks_again_gets_further_in_templates);
    tcase_add_test(tcase, labels_that_were_cut_are_told);
    tcase_add_test(tcase, templates_are_checked);
    tcase_add_test(tcase, scores_are_sorted_and_sum_to_one);
    tcase_add_test(tcase, sigmoid);
    return program_run("classify", tcase, CK_NOFORK);
}
