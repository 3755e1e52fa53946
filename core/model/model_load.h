/* model_load.h - from model_open()'s options to a model whose weights are packed, in memory or
 * in a mapped file. */
#ifndef CORE_MODEL_MODEL_LOAD_H
#define CORE_MODEL_MODEL_LOAD_H

#include "core/model/model.h"
#include "core/model/model_parts.h"

/* `model` is zeros; whatever happens, model_parts_free() frees it. */
enum status model_load(struct model *model, const struct model_options *options, struct error *err);

#endif
