/* engine_load.h - what an engine consists of, and how one is put together from its options.
 * For engine.c alone. */
#ifndef CORE_ENGINE_LOAD_H
#define CORE_ENGINE_LOAD_H

#include "core/base/histogram.h"
#include "core/base/sha256.h"
#include "core/batch/batcher.h"
#include "core/engine.h"
#include "core/image/image.h"
#include "core/image/preprocess.h"
#include "core/model/model.h"
#include "core/text/tokenizer.h"

struct engine {
    struct engine_info info;
    char *name, *profile; /* the latter NULL without one */
    char identity[SHA256_HEX_SIZE];
    struct runtime *runtime;
    struct model *model;
    struct tokenizer *tokenizer; /* NULL: no text tower, or no vocabulary */
    struct preprocess preprocess;
    struct image_options image_options;
    size_t crop_bytes;                  /* of one preprocessed image */
    struct batch_queue *images, *texts; /* NULL: no such tower */
    struct batch_queue *states;         /* NULL: no such states */
    size_t part_max;                    /* inputs that enter a queue together */
    struct histogram decode_ns;
};

/* All but the queues. `engine` has its runtime, and else zeros; whatever happens,
 * engine_close() frees it. */
enum status engine_load(struct engine *engine, const struct engine_options *options,
                        struct error *err);

#endif
