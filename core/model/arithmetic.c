#include "core/model/arithmetic.h"

#include <string.h>

#include "core/base/file.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"

static enum status choose_precision(enum model_precision *out, const struct model_options *options,
                                    struct error *err) {
    if (!options->precision) {
        *out = options->features & ISA_AVX512_BF16 ? MODEL_BF16 : MODEL_FP32;
        return STATUS_OK;
    }
    if (model_precision_parse(out, options->precision)) return STATUS_OK;
    return error_set(err, STATUS_INVALID, "precision \"%.16s\" is not one of fp32, bf16, int8",
                     options->precision);
}

static enum status read_profile(struct arithmetic *out, const char *path, struct error *err) {
    struct buffer text;
    buffer_init(&text, PROFILE_SIZE_MAX);
    enum status status = file_read(&text, path, err);
    if (!status) status = profile_parse(&out->profile, buffer_view(&text), path, err);
    if (!status) sha256_hex(out->profile_digest, buffer_view(&text));
    buffer_free(&text);
    out->profiled = !status;
    return status;
}

enum status arithmetic_choose(struct arithmetic *out, const struct model_options *options,
                              struct error *err) {
    *out = (struct arithmetic){.profiled = false};
    enum status status = choose_precision(&out->precision, options, err);
    if (status || out->precision != MODEL_INT8 || !options->profile) return status;
    return read_profile(out, options->profile, err);
}

enum status arithmetic_plan(struct plan *plan, struct model_info *info,
                            const struct arithmetic *arithmetic,
                            const struct model_options *options, struct error *err) {
    const struct gemm_kernel *kernel = gemm_kernel_find(options->features, GEMM_INT8);
    const struct profile *profile = &arithmetic->profile;
    struct model_quality *quality = &info->quality;
    plan_default(plan, info, arithmetic->precision, options->features);
    if (arithmetic->profiled) {
        enum status status = profile_check(profile, info, err);
        if (status) return status;
        *plan = profile->plan;
        plan_fit(plan, options->features);
    }
    if (options->plan) *plan = *options->plan;
    if (arithmetic->precision == MODEL_INT8) quality->exceptions = plan_exceptions(plan, info);
    if (!arithmetic->profiled) return STATUS_OK;
    quality->measured = !strcmp(profile->kernel, gemm_kernel_format(kernel));
    if (quality->measured) quality->cosines = profile_cosines(profile);
    return STATUS_OK;
}

enum status arithmetic_check(const struct model_info *info, const struct model_options *options,
                             struct error *err) {
    double found = info->quality.cosines.min, least = options->cosine_min;
    if (info->precision != MODEL_INT8 || !info->quality.measured || found >= least)
        return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "in int8 the embeddings have a cosine of %.6f to those in fp32, cosine_min is "
                     "%g; clipd quantize finds out which layers must not be int8",
                     found, least);
}
