/* plan.h - in which precision each product of a model is computed. */
#ifndef CORE_TOWERS_PLAN_H
#define CORE_TOWERS_PLAN_H

#include <stdint.h>

#include "core/checkpoint/info.h"

enum { PLAN_LAYERS_MAX = 512 };

enum plan_tower { PLAN_VISION, PLAN_TEXT, PLAN_TOWERS };
enum plan_product { PLAN_QKV, PLAN_OUT, PLAN_FC, PLAN_PROJ, PLAN_PRODUCTS };

/* Plain bytes (enum model_precision), because it is written to files. The layers of a ResNet
 * are its blocks, with their convolutions in the order of enum resnet_conv, and then the
 * attention, whose queries, keys and values are PLAN_QKV; `patch` is all of its stem. A
 * ConvNeXt's blocks are layers, too, of PLAN_FC and PLAN_PROJ; what halves the resolution before
 * one is its PLAN_QKV. In a FastViT that is a layer of its own, with a PLAN_QKV alone; only blocks
 * that attend have a PLAN_QKV and a PLAN_OUT. */
struct plan {
    uint8_t patch;
    uint8_t projection[PLAN_TOWERS];
    uint8_t layers[PLAN_TOWERS][PLAN_LAYERS_MAX][PLAN_PRODUCTS];
};

/* The same for every product. */
void plan_fill(struct plan *plan, enum model_precision precision);

/* The products of a tower, numbered: those of each layer, then the patches', then the
 * projection, as far as there are such. */
size_t plan_count(const struct model_info *info, enum plan_tower tower);
uint8_t *plan_at(struct plan *plan, const struct model_info *info, enum plan_tower tower,
                 size_t index);
/* How many products of both towers have another precision than int8. */
uint32_t plan_exceptions(struct plan *plan, const struct model_info *info);

/* The precision that a product which int8 would damage is given on this CPU: bf16 where
 * there are instructions for it. Portable bf16 is slower than fp32, and less exact. */
enum model_precision plan_fallback(unsigned features);
/* What a model of that precision is computed in when no profile says otherwise. In int8
 * some products are left out that cost little and would damage most: the projections, of
 * which there is one row for each input and whose errors nothing dampens (the starter
 * model's text tower comes from 0.996 to 0.9998), and the text tower's first qkv, where
 * the embeddings of tokens are small beside what the layer adds (from 0.9998 to 0.99997;
 * 2 % of the work of 12 layers). In bf16 patches are left in fp32 where no class token stands
 * beside them: all that such a tower says is rounded there first (from 0.999989 to 0.999995). */
void plan_default(struct plan *plan, const struct model_info *info, enum model_precision precision,
                  unsigned features);
/* Replaces what this CPU has no instructions for: bf16 becomes plan_fallback(). */
void plan_fit(struct plan *plan, unsigned features);

#endif
