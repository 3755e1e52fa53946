/* png.h - PNG files to pixels. Call image_decode() instead: it knows the format. */
#ifndef CORE_IMAGE_PNG_H
#define CORE_IMAGE_PNG_H

#include "core/image/image.h"

/* Any mode but CMYK. Only what makes the pixels is read: gamma, colour profiles, text
 * and transparency chunks are skipped, as the reference preprocessing ignores them. */
enum status png_decode(struct image *out, struct bytes file, const struct image_limits *limits,
                       struct error *err);

#endif
