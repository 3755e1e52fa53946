/* recipe.h - how a checkpoint wants its inputs, as options of the modules that prepare
 * them. model/, image/ and text/ do not know each other; the engine and the command
 * line put them together by these. */
#ifndef CORE_RECIPE_H
#define CORE_RECIPE_H

#include "core/image/preprocess.h"
#include "core/model/model.h"
#include "core/text/tokenizer.h"

/* STATUS_UNSUPPORTED for a resample filter that is none of Pillow's. */
enum status recipe_preprocess(struct preprocess *out, const struct model_info *model,
                              struct error *err);

/* As the checkpoint was trained; `mode`, unless NULL, overrules the dialect and is
 * STATUS_INVALID when there is none of that name. */
enum status recipe_tokenizer(struct tokenizer_options *out, const struct model_info *model,
                             const char *mode, struct error *err);

#endif
