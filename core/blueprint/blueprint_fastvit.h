/* blueprint_fastvit.h - the image tower that is a FastViT (SPEC 4.6), in the names of timm below
 * open_clip's: as it was trained, with branches, or with those that timm has made one already. */
#ifndef CORE_BLUEPRINT_BLUEPRINT_FASTVIT_H
#define CORE_BLUEPRINT_BLUEPRINT_FASTVIT_H

#include "core/blueprint/draft.h"

enum status blueprint_fastvit_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
