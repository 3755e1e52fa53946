/* png.h - PNG files to pixels. Call image_decode() instead: it knows the format. */
#ifndef CORE_IMAGE_PNG_H
#define CORE_IMAGE_PNG_H

#include "core/image/image.h"

/* Any mode but CMYK. Only what makes the pixels is read: gamma, colour profiles, text
 * and transparency chunks are skipped, as the reference preprocessing ignores them. */
enum status png_decode(struct image *out, struct bytes file, const struct image_options *options,
                       struct error *err);

/* Appends an RGB image as a PNG file; `pixels` is [height, width, 3]. */
enum status png_encode(struct buffer *out, const uint8_t *pixels, uint32_t width, uint32_t height,
                       struct error *err);

#endif
