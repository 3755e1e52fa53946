/* arithmetic.h - in which precision a model is computed, and whether that may be: what the
 * options and a profile say together. */
#ifndef CORE_MODEL_ARITHMETIC_H
#define CORE_MODEL_ARITHMETIC_H

#include "core/model/model.h"
#include "core/model/profile.h"

struct arithmetic {
    enum model_precision precision;
    bool profiled;
    struct profile profile;
    char profile_digest[SHA256_HEX_SIZE]; /* of its file; empty without one */
};

/* Reads the profile, if there is to be one. */
enum status arithmetic_choose(struct arithmetic *out, const struct model_options *options,
                              struct error *err);

/* Writes the plan, and to info->quality what the profile knows: its cosines, if it was
 * measured with our kernel. Needs the rest of the information, with the digest of the
 * weights; STATUS_CONFLICT if the profile is another model's. */
enum status arithmetic_plan(struct plan *plan, struct model_info *info,
                            const struct arithmetic *arithmetic,
                            const struct model_options *options, struct error *err);

/* STATUS_UNPROCESSABLE for int8 below the limit of the options, so that nobody serves what
 * is far from the model that he chose. */
enum status arithmetic_check(const struct model_info *info, const struct model_options *options,
                             struct error *err);

#endif
