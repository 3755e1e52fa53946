/* The peak is measured before and after each row, by as many threads as the row has: the
 * clock of a CPU, and on shared machines the neighbours, differ from minute to minute. The
 * best one seen so far counts. */
#include "cli/bench_models.h"

#include <string.h>
#include <sysexits.h>

#include "cli/console.h"

static const enum gemm_precision gemm_precisions[] = {
    [MODEL_FP32] = GEMM_FP32, [MODEL_BF16] = GEMM_BF16, [MODEL_INT8] = GEMM_INT8};

/* One model in one precision, while it is measured. */
struct subject {
    const struct bench_options *options;
    const struct bench_report *report;
    double (*peaks)[BENCH_LIST_MAX]; /* [MODEL_INT8 + 1], by number of threads */
    const struct model *model;
    const struct bench_inputs *inputs;
    double cosine;
};

static void update_peak(const struct subject *subject, const struct gemm_kernel *kernel,
                        size_t index) {
    enum model_precision precision = model_info(subject->model)->precision;
    double peak = bench_measure_peak(kernel, subject->options->threads.values[index]);
    if (peak > subject->peaks[precision][index]) subject->peaks[precision][index] = peak;
}

static int measure_row(const struct subject *subject, uint32_t batch, size_t threads_index,
                       bool lone) {
    const struct bench_options *options = subject->options;
    const struct model_info *info = model_info(subject->model);
    const struct gemm_kernel *kernel =
        gemm_kernel_find(options->features, gemm_precisions[info->precision]);
    struct error err = ERROR_NONE;
    struct bench_case what = {.model = subject->model,
                              .inputs = subject->inputs,
                              .batch = batch,
                              .threads = options->threads.values[threads_index],
                              .lone = lone,
                              .seconds = options->seconds,
                              .repeats = options->repeats};
    struct bench_row row = {.architecture = info->architecture,
                            .tower = subject->inputs->is_text ? "text" : "image",
                            .precision = model_precision_name(info->precision),
                            .kernel = gemm_kernel_name(kernel),
                            .mode = lone ? "lone" : "throughput",
                            .batch = batch,
                            .threads = what.threads,
                            .tokens = subject->inputs->tokens,
                            .cosine_fp32 = subject->cosine};
    update_peak(subject, kernel, threads_index);
    if (bench_measure_speed(&row.speed, &what, &err)) return console_fail(&err);
    update_peak(subject, kernel, threads_index);
    row.gflops = row.speed.items_per_second * subject->inputs->operations * 1e-9;
    row.cpu_gflops =
        row.speed.items_per_cpu_second * subject->inputs->operations * 1e-9 * (double)what.threads;
    row.peak_gflops = subject->peaks[info->precision][threads_index] * 1e-9;
    return bench_report_row(subject->report, &row);
}

static int measure_inputs(struct subject *subject) {
    const struct bench_options *options = subject->options;
    struct error err = ERROR_NONE;
    if (bench_inputs_cosine(&subject->cosine, subject->inputs, subject->model, &err))
        return console_fail(&err);
    int code = EX_OK;
    for (size_t t = 0; t < options->threads.count && code == EX_OK; t++) {
        for (size_t b = 0; b < options->batch.count && code == EX_OK; b++) {
            uint32_t batch = options->batch.values[b];
            code = measure_row(subject, batch, t, false);
            /* One thread alone is as fast either way. */
            if (code == EX_OK && batch == 1 && options->threads.values[t] > 1)
                code = measure_row(subject, batch, t, true);
        }
    }
    return code;
}

/* ---- inputs ---- */

struct input_sets {
    struct bench_inputs sets[1 + BENCH_LIST_MAX];
    size_t count;
};

/* A caption and the longest text of most models, as far as this one takes them. */
static struct bench_list default_tokens(const struct model_info *info) {
    enum { CAPTION = 16, LONGEST = 77 };
    uint32_t longest = info->context_length < LONGEST ? info->context_length : LONGEST;
    if (longest <= CAPTION) return (struct bench_list){{longest}, 1};
    return (struct bench_list){{CAPTION, longest}, 2};
}

static enum status make_sets(struct input_sets *out, const struct bench_options *options,
                             const struct model *fp32, struct error *err) {
    const struct model_info *info = model_info(fp32);
    const struct bench_list list = options->tokens.count ? options->tokens : default_tokens(info);
    enum status status = STATUS_OK;
    if (options->images && info->vision.layers)
        status = bench_inputs_make_images(&out->sets[out->count++], info, err);
    for (size_t i = 0; options->texts && info->text.layers && i < list.count; i++) {
        uint32_t tokens = list.values[i];
        if (status) return status;
        if (tokens > info->context_length)
            return error_set(err, STATUS_INVALID, "%u tokens, the texts of %s have at most %u",
                             tokens, info->architecture, info->context_length);
        status = bench_inputs_make_texts(&out->sets[out->count++], info, tokens, err);
    }
    for (size_t i = 0; i < out->count && !status; i++)
        status = bench_inputs_expect(&out->sets[i], fp32, err);
    if (!status && out->count == 0)
        return error_set(err, STATUS_INVALID, "%s has no such tower", info->architecture);
    return status;
}

static void free_sets(struct input_sets *sets) {
    for (size_t i = 0; i < sets->count; i++) bench_inputs_free(&sets->sets[i]);
}

/* ---- models ---- */

static enum status open_model(struct model **out, const struct bench_options *options,
                              const char *architecture, enum model_precision precision,
                              struct error *err) {
    struct model_options model = {.architecture = architecture,
                                  .path = options->model,
                                  .outliers = options->outliers,
                                  .precision = model_precision_name(precision),
                                  .features = options->features,
                                  .workers = 1};
    for (size_t i = 0; i < options->threads.count; i++) {
        if (options->threads.values[i] > model.workers) model.workers = options->threads.values[i];
    }
    return model_open(out, &model, err);
}

static int run_model(struct subject *subject, const char *architecture) {
    const struct bench_options *options = subject->options;
    struct input_sets sets = {.count = 0};
    struct error err = ERROR_NONE;
    struct model *model = NULL;
    enum status status = open_model(&model, options, architecture, MODEL_FP32, &err);
    if (!status) status = make_sets(&sets, options, model, &err);
    model_close(model);
    int code = status ? console_fail(&err) : EX_OK;
    for (size_t p = 0; p < options->precisions_count && code == EX_OK; p++) {
        if (open_model(&model, options, architecture, options->precisions[p], &err)) {
            code = console_fail(&err);
            break;
        }
        subject->model = model;
        for (size_t i = 0; i < sets.count && code == EX_OK; i++) {
            subject->inputs = &sets.sets[i];
            code = measure_inputs(subject);
        }
        model_close(model);
    }
    free_sets(&sets);
    return code;
}

int bench_models_run(const struct bench_options *options) {
    struct bench_report report;
    double peaks[MODEL_INT8 + 1][BENCH_LIST_MAX] = {{0}};
    struct subject subject = {.options = options, .report = &report, .peaks = peaks};
    bench_report_init(&report, options->format);
    int code = bench_report_begin(&report, options->features);
    if (code == EX_OK && options->model) return run_model(&subject, NULL);
    for (size_t i = 0; i < options->architectures_count && code == EX_OK; i++)
        code = run_model(&subject, options->architectures[i]);
    return code;
}
