/* vit.h - the image tower that is a ViT (SPEC 1.1). */
#ifndef CORE_TOWERS_VIT_H
#define CORE_TOWERS_VIT_H

#include "core/towers/vision.h"

/* As vision_encode(). */
void vit_encode(const struct towers *towers, const struct model_info *info,
                const struct levels *levels, const struct pass *pass,
                const struct vision_input *inputs, size_t count, float *const *embeddings);

#endif
