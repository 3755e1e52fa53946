/* blueprint_resnet.h - the image tower that is a ModifiedResNet (SPEC 2). */
#ifndef CORE_BLUEPRINT_BLUEPRINT_RESNET_H
#define CORE_BLUEPRINT_BLUEPRINT_RESNET_H

#include "core/blueprint/draft.h"

enum status blueprint_resnet_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
