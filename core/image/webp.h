/* webp.h - WebP files to pixels. Call image_decode() instead: it knows the format. */
#ifndef CORE_IMAGE_WEBP_H
#define CORE_IMAGE_WEBP_H

#include "core/image/image.h"

/* IMAGE_MODE_RGB or RGBA; of an animation the first frame on its canvas. */
enum status webp_decode(struct image *out, struct bytes file, const struct image_options *options,
                        struct error *err);

#endif
