/* blueprint_convnext.h - the image tower that is a ConvNeXt (SPEC 4.5), in the names of timm below
 * open_clip's. */
#ifndef CORE_BLUEPRINT_BLUEPRINT_CONVNEXT_H
#define CORE_BLUEPRINT_BLUEPRINT_CONVNEXT_H

#include "core/blueprint/draft.h"

enum status blueprint_convnext_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
