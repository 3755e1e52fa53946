#include "core/model/calibrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/thread_pool.h"
#include "core/kernels/gemm.h"
#include "core/model/cosines.h"

enum { RANKING_SAMPLES = 16 };

struct calibration {
    struct calibrate_options options;
    enum model_precision fallback;              /* of the exceptions */
    struct model *reference, *int8, *fallbacks; /* the last is the first when it is fp32 */
    struct thread_pool *pool;
    size_t done, total; /* passes over samples */
};

/* ---- opening ---- */

static enum status open_model(struct model **out, const struct calibration *calibration,
                              enum model_precision precision, struct error *err) {
    struct model_options options = calibration->options.model;
    options.precision = model_precision_name(precision);
    struct plan plan; /* int8 without the default's exceptions */
    plan_fill(&plan, precision);
    options.cache = options.profile = NULL;
    options.plan = &plan;
    options.cosine_min = 0;
    return model_open(out, &options, err);
}

static enum status open_parts(struct calibration *calibration, struct error *err) {
    const struct model_options *model = &calibration->options.model;
    struct thread_pool_options pool = {
        .name = "calibrate", .threads = model->workers, .queue_limit = model->workers};
    calibration->fallback = plan_fallback(model->features);
    enum status status = thread_pool_create(&calibration->pool, &pool, err);
    if (!status) status = open_model(&calibration->reference, calibration, MODEL_FP32, err);
    if (!status) status = open_model(&calibration->int8, calibration, MODEL_INT8, err);
    calibration->fallbacks = calibration->reference;
    if (status || calibration->fallback == MODEL_FP32) return status;
    calibration->fallbacks = NULL;
    return open_model(&calibration->fallbacks, calibration, calibration->fallback, err);
}

enum status calibration_open(struct calibration **out, const struct calibrate_options *options,
                             struct error *err) {
    struct calibration *calibration = calloc(1, sizeof(*calibration));
    if (!calibration) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    calibration->options = *options;
    enum status status = open_parts(calibration, err);
    if (status)
        calibration_close(calibration);
    else
        *out = calibration;
    return status;
}

void calibration_close(struct calibration *calibration) {
    if (!calibration) return;
    thread_pool_destroy(calibration->pool);
    if (calibration->fallbacks != calibration->reference) model_close(calibration->fallbacks);
    model_close(calibration->int8);
    model_close(calibration->reference);
    free(calibration);
}

const struct model_info *calibration_info(const struct calibration *calibration) {
    return model_info(calibration->reference);
}

/* ---- measuring ---- */

/* One tower being searched. */
struct search {
    struct calibration *calibration;
    const struct samples *samples;
    enum plan_tower tower;
    size_t products;
    struct plan *plan;        /* the profile's */
    struct outputs reference; /* with traces */
    struct model_cosines total;
};

static void count_pass(struct calibration *calibration) {
    const struct calibrate_options *options = &calibration->options;
    calibration->done++;
    if (calibration->done > calibration->total) calibration->total = calibration->done;
    if (options->progress)
        options->progress(options->context, calibration->done, calibration->total);
}

static enum status compute(struct outputs *out, const struct search *search,
                           const struct model *model, struct error *err) {
    struct calibration *calibration = search->calibration;
    enum status status =
        outputs_compute(out, model, search->tower, search->samples, calibration->pool,
                        calibration->options.model.workers, err);
    count_pass(calibration);
    return status;
}

/* Runs the first `count` samples as the plan says. */
static enum status run_plan(struct outputs *out, const struct search *search,
                            const struct plan *plan, size_t count, bool traced, struct error *err) {
    const struct calibration *calibration = search->calibration;
    struct model *mix = NULL;
    enum status status =
        outputs_create(out, calibration_info(calibration), search->tower, count, traced, err);
    if (status) return status;
    status = model_mix(&mix, calibration->int8, calibration->fallbacks, plan,
                       calibration->options.model.workers, err);
    if (!status) status = compute(out, search, mix, err);
    model_close(mix);
    if (status) outputs_free(out);
    return status;
}

static enum status measure(struct model_cosines *cosines, const struct search *search,
                           const struct plan *plan, size_t count, struct error *err) {
    struct outputs found;
    enum status status = run_plan(&found, search, plan, count, false, err);
    if (status) return status;
    status =
        cosines_of(cosines, search->reference.embeddings, found.embeddings, count, found.dim, err);
    outputs_free(&found);
    return status;
}

/* The cosines of the residual stream and in total, for the plan that was found. */
static enum status describe(struct profile_tower *out, const struct search *search,
                            struct error *err) {
    struct outputs found;
    const struct outputs *want = &search->reference;
    enum status status = run_plan(&found, search, search->plan, want->count, true, err);
    if (status) return status;
    status =
        cosines_of(&out->total, want->embeddings, found.embeddings, want->count, want->dim, err);
    for (size_t i = 0; i < want->layers && !status; i++) {
        size_t at = i * want->count * want->width;
        status = cosines_of(&out->residual[i], want->traces + at, found.traces + at, want->count,
                            want->width, err);
    }
    outputs_free(&found);
    return status;
}

/* ---- searching ---- */

struct damage {
    size_t product;
    double damage;
};

static int compare_damage(const void *a, const void *b) {
    const struct damage *x = a, *y = b;
    if (x->damage > y->damage) return -1;
    if (x->damage < y->damage) return 1;
    return x->product < y->product ? -1 : 1;
}

static uint8_t *product_of(const struct search *search, struct plan *plan, size_t index) {
    return plan_at(plan, calibration_info(search->calibration), search->tower, index);
}

/* Each product alone in int8; worst first. */
static enum status rank(struct damage *out, const struct search *search, struct error *err) {
    size_t count = search->reference.count;
    if (count > RANKING_SAMPLES) count = RANKING_SAMPLES;
    for (size_t i = 0; i < search->products; i++) {
        struct plan plan;
        struct model_cosines cosines;
        plan_fill(&plan, search->calibration->fallback);
        *product_of(search, &plan, i) = MODEL_INT8;
        enum status status = measure(&cosines, search, &plan, count, err);
        if (status) return status;
        out[i] = (struct damage){.product = i, .damage = 1 - cosines.mean};
    }
    qsort(out, search->products, sizeof(*out), compare_damage);
    return STATUS_OK;
}

/* The plan in which the `exceptions` worst products are not int8. */
static enum status try_exceptions(struct search *search, const struct damage *ranking,
                                  size_t exceptions, struct error *err) {
    for (size_t i = 0; i < search->products; i++) {
        *product_of(search, search->plan, ranking[i].product) =
            (uint8_t)(i < exceptions ? search->calibration->fallback : MODEL_INT8);
    }
    return measure(&search->total, search, search->plan, search->reference.count, err);
}

/* The least number of exceptions that will do, by halving; leaves its plan. */
static enum status search_exceptions(struct search *search, const struct damage *ranking,
                                     struct error *err) {
    double target = search->calibration->options.target;
    size_t low = 0, high = search->products; /* `low` is too few */
    enum status status = STATUS_OK;
    while (high - low > 1 && !status) {
        size_t middle = low + (high - low) / 2;
        status = try_exceptions(search, ranking, middle, err);
        if (search->total.min >= target)
            high = middle;
        else
            low = middle;
    }
    if (!status) status = try_exceptions(search, ranking, high, err);
    if (status || search->total.min >= target) return status;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "without any int8 the smallest cosine is %.6f, the target is %g",
                     search->total.min, target);
}

static enum status find_plan(struct search *search, struct error *err) {
    struct calibration *calibration = search->calibration;
    enum status status =
        measure(&search->total, search, search->plan, search->reference.count, err);
    if (status || search->total.min >= calibration->options.target) return status;
    for (size_t n = search->products; n; n /= 2) calibration->total++;
    calibration->total += search->products;
    struct damage *ranking = calloc(search->products + 1, sizeof(*ranking));
    if (!ranking) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    status = rank(ranking, search, err);
    if (!status) status = search_exceptions(search, ranking, err);
    free(ranking);
    return status;
}

static enum status search_tower(struct profile *out, struct search *search, struct error *err) {
    const struct model_info *info = calibration_info(search->calibration);
    const struct model_tower *shape = search->tower == PLAN_VISION ? &info->vision : &info->text;
    struct profile_tower *tower = &out->towers[search->tower];
    if (!shape->layers) return STATUS_OK;
    size_t count = search->samples->counts[search->tower];
    search->products = plan_count(info, search->tower);
    *tower = (struct profile_tower){
        .layers = shape->layers, .inputs = (uint32_t)count, .projected = shape->projected};
    enum status status = outputs_create(&search->reference, info, search->tower, count, true, err);
    if (status) return status;
    status = compute(&search->reference, search, search->calibration->reference, err);
    if (!status) status = find_plan(search, err);
    if (!status) status = describe(tower, search, err);
    outputs_free(&search->reference);
    return status;
}

enum status calibration_run(struct profile *out, struct calibration *calibration,
                            const struct samples *samples, struct error *err) {
    const struct gemm_kernel *kernel =
        gemm_kernel_find(calibration->options.model.features, GEMM_INT8);
    const struct model_info *info = calibration_info(calibration);
    struct samples invented;
    *out = (struct profile){.kernel = ""};
    memcpy(out->sha256, info->sha256, sizeof(out->sha256));
    snprintf(out->kernel, sizeof(out->kernel), "%s", gemm_kernel_format(kernel));
    plan_default(&out->plan, info, MODEL_INT8, calibration->options.model.features);
    calibration->total = 6; /* of each tower: in fp32, in int8, in the end */
    enum status status = samples_invent(&invented, info, err);
    for (int i = 0; i < PLAN_TOWERS && !status; i++) {
        struct search search = {.calibration = calibration,
                                .samples = samples->counts[i] ? samples : &invented,
                                .tower = (enum plan_tower)i,
                                .plan = &out->plan};
        status = search_tower(out, &search, err);
    }
    samples_free(&invented);
    return status;
}
