/* vit_stem.h - three convolutions in the place of a ViT's patch product, as MobileCLIP-B has
 * (SPEC 4.6): windows beside each other of 4, 2 and 2 pixels, with GELUs between them. */
#ifndef CORE_TOWERS_VIT_STEM_H
#define CORE_TOWERS_VIT_STEM_H

#include "core/towers/maps.h"

/* Sets the windows and places the weights; the last has `width` channels, the others a quarter
 * of that. */
void vit_stem_place(struct conv stem[MODEL_VIT_STEM], struct walk *walk, uint8_t precision,
                    size_t width);

/* What a lane needs for one image: two maps of the stream and one hidden. */
bool vit_stem_measure(struct map_sizes *out, const struct conv stem[MODEL_VIT_STEM], size_t height,
                      size_t width);

/* Leaves a row for each patch of the image in lane->wide, from `row` on. */
void vit_stem_run(const struct pass *pass, const struct conv stem[MODEL_VIT_STEM],
                  const struct map_image *image, size_t row);

#endif
