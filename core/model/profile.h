/* profile.h - what `clipd quantize` found out: which products of a model bear int8, and how
 * near to fp32 that leaves it.
 *
 * Layers go by the names of a transformer's products, a ResNet's too (plan.h).
 *
 * A small JSON file that names the weights it was made for, so that it cannot be taken for
 * another model's, and the kernel that it was measured with: other kernels may have
 * another cosine. */
#ifndef CORE_MODEL_PROFILE_H
#define CORE_MODEL_PROFILE_H

#include "core/base/bytes.h"
#include "core/towers/plan.h"

enum { PROFILE_SIZE_MAX = 1 << 20, PROFILE_KERNEL_SIZE = 32 };

struct profile_tower {
    uint32_t layers; /* 0: there is no such tower */
    uint32_t inputs; /* measured with */
    bool projected;
    struct model_cosines total;
    struct model_cosines residual[PLAN_LAYERS_MAX]; /* after each layer */
};

struct profile {
    char sha256[SHA256_HEX_SIZE];     /* of the weight file */
    char kernel[PROFILE_KERNEL_SIZE]; /* gemm_kernel_format() of int8 */
    struct plan plan;
    struct profile_tower towers[PLAN_TOWERS];
};

/* `name` stands for the file in errors. STATUS_UNPROCESSABLE for what is not a whole
 * profile and nothing else. */
enum status profile_parse(struct profile *out, struct bytes text, const char *name,
                          struct error *err);
/* Appends the text that profile_parse() reads. */
enum status profile_print(const struct profile *profile, struct buffer *out, struct error *err);

/* STATUS_CONFLICT when it was made for another model. */
enum status profile_check(const struct profile *profile, const struct model_info *info,
                          struct error *err);
/* Of both towers, the worse of each. */
struct model_cosines profile_cosines(const struct profile *profile);

#endif
