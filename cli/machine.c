/* What other programs take from us meanwhile does not count: the share is that of the CPU
 * time that was used. A kernel without a peak of its own has what it reaches for one. */
#include "cli/machine.h"

#include <stdlib.h>

#include "cli/bench_measure.h"
#include "core/base/cpu.h"
#include "core/kernels/isa.h"

enum { BATCH = 8 };

/* Small enough to be made in no time, large enough to spend it in the same products. */
#define ARCHITECTURE "ViT-S-32"

static enum status measure_model(struct machine_speed *out, const struct model *model,
                                 struct error *err) {
    static const enum gemm_precision precisions[] = {
        [MODEL_FP32] = GEMM_FP32, [MODEL_BF16] = GEMM_BF16, [MODEL_INT8] = GEMM_INT8};
    const struct model_info *info = model_info(model);
    struct bench_inputs inputs = {.memory = NULL};
    struct bench_speed speed;
    enum status status = bench_inputs_make_images(&inputs, info, err);
    struct bench_case what = {.model = model,
                              .inputs = &inputs,
                              .batch = BATCH,
                              .threads = out->threads,
                              .seconds = 0.3,
                              .repeats = 2};
    if (!status) status = bench_measure_speed(&speed, &what, err);
    if (!status) {
        double reached = speed.items_per_cpu_second * inputs.operations * (double)out->threads;
        const struct gemm_kernel *kernel =
            gemm_kernel_find(isa_detect(), precisions[info->precision]);
        out->precision = model_precision_name(info->precision);
        out->peak = bench_measure_peak(kernel, out->threads);
        if (out->peak <= 0) out->peak = reached;
        out->share = reached / out->peak;
    }
    bench_inputs_free(&inputs);
    return status;
}

enum status machine_measure(struct machine_speed *out, struct error *err) {
    uint32_t cores = cpu_usable_cores();
    unsigned features = isa_detect();
    struct model *model = NULL;
    *out = (struct machine_speed){.threads = cores < BENCH_THREADS_MAX ? cores : BENCH_THREADS_MAX};
    const struct model_options options = {
        .architecture = ARCHITECTURE, .features = features, .workers = out->threads};
    enum status status = model_open(&model, &options, err);
    if (!status) status = measure_model(out, model, err);
    model_close(model);
    return status;
}

double machine_images_per_second(const struct machine_speed *speed, double operations) {
    return speed->peak * speed->share / operations;
}
