/* calibrate.h - finds the products of a model that int8 would damage most.
 *
 * A tower whose products may all be int8 is left so. Else each product is tried alone in
 * int8, the rest in fp32 (or bf16), and the products are ordered by the damage that they
 * do; then the fewest of the worst are found whose exception lets the smallest cosine of
 * all samples reach the target. Damages are small and independent, so their squares add
 * up and the order holds for them together. */
#ifndef CORE_MODEL_CALIBRATE_H
#define CORE_MODEL_CALIBRATE_H

#include "core/model/profile.h"
#include "core/model/quality.h"

/* Called now and then, from the calling thread; `done` of `total` passes over samples, of
 * which more may turn out to be needed. */
typedef void calibrate_progress_fn(void *context, size_t done, size_t total);

struct calibrate_options {
    struct model_options model;      /* of which features, path and the like; three are opened */
    double target;                   /* for the smallest cosine */
    calibrate_progress_fn *progress; /* or NULL */
    void *context;
};

/* An open model, in every precision that is needed. */
struct calibration;

enum status calibration_open(struct calibration **out, const struct calibrate_options *options,
                             struct error *err);
/* NULL is allowed. */
void calibration_close(struct calibration *calibration);
const struct model_info *calibration_info(const struct calibration *calibration);

/* STATUS_UNPROCESSABLE when no exceptions reach the target. A tower without samples, such
 * as a text tower without vocabulary, is given invented ones. */
enum status calibration_run(struct profile *out, struct calibration *calibration,
                            const struct samples *samples, struct error *err);

#endif
