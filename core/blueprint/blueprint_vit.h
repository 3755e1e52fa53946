/* blueprint_vit.h - draws the image tower that is a ViT. */
#ifndef CORE_BLUEPRINT_BLUEPRINT_VIT_H
#define CORE_BLUEPRINT_BLUEPRINT_VIT_H

#include "core/blueprint/draft.h"

enum status blueprint_vit_draw(struct draft *draft, struct blueprint *out, struct error *err);

/* What an image tower of other kind has, too: the positions of a first row and of the grid that
 * is wanted, interpolated when the checkpoint has another, and the size of images. Needs
 * info->patch_size. */
enum status blueprint_vit_take_positions(struct draft *draft, size_t width, struct blueprint *out,
                                         struct error *err);

/* The angles of a tower with rope_side, for images of info's size. */
enum status blueprint_vit_draw_rope(struct blueprint *out, const struct model_info *info,
                                    struct error *err);

#endif
