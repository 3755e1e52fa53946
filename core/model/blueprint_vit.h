/* blueprint_vit.h - draws the image tower that is a ViT. */
#ifndef CORE_MODEL_BLUEPRINT_VIT_H
#define CORE_MODEL_BLUEPRINT_VIT_H

#include "core/model/draft.h"

enum status blueprint_vit_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
