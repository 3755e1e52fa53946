/* model_parts.h - what a model consists of, for the two files that put one together and run it:
 * model_load.c and model.c. */
#ifndef CORE_MODEL_MODEL_PARTS_H
#define CORE_MODEL_MODEL_PARTS_H

#include "core/pack/packed_file.h"
#include "core/towers/vision.h"

struct model {
    struct model_info info;
    char identity[SHA256_HEX_SIZE];
    struct plan plan;
    struct packed packed;
    struct towers towers;
    struct levels levels;
    struct workspace *workspace;
};

/* The last step: what passes need besides the weights. */
enum status model_parts_prepare(struct model *model, uint32_t workers, uint32_t images,
                                struct error *err);
void model_parts_free(struct model *model);

#endif
