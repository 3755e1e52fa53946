/* plan.h - in which precision each product of a model is computed. */
#ifndef CORE_MODEL_PLAN_H
#define CORE_MODEL_PLAN_H

#include <stdint.h>

#include "core/kernels/gemm.h"

enum { PLAN_LAYERS_MAX = 512 };

enum plan_tower { PLAN_VISION, PLAN_TEXT, PLAN_TOWERS };
enum plan_product { PLAN_QKV, PLAN_OUT, PLAN_FC, PLAN_PROJ, PLAN_PRODUCTS };

/* Plain bytes (enum gemm_precision), because it is written to files. */
struct plan {
    uint8_t patch;
    uint8_t projection[PLAN_TOWERS];
    uint8_t layers[PLAN_TOWERS][PLAN_LAYERS_MAX][PLAN_PRODUCTS];
};

/* The same for every product. */
void plan_fill(struct plan *plan, enum gemm_precision precision);

#endif
