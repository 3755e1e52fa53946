/* jpeg.h - JPEG files to pixels. Call image_decode() instead: it knows the format. */
#ifndef CORE_IMAGE_JPEG_H
#define CORE_IMAGE_JPEG_H

#include "core/image/image.h"

/* IMAGE_MODE_L, RGB or CMYK, at a reduced size if `options` allow. Accepts and refuses what Pillow
 * does: data that are damaged but decodable are used, a file that ends too early is
 * STATUS_UNPROCESSABLE; 12-bit and lossless files are STATUS_UNSUPPORTED. */
enum status jpeg_decode(struct image *out, struct bytes file, const struct image_options *options,
                        struct error *err);

#endif
