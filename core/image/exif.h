/* exif.h - which way up a photograph is. */
#ifndef CORE_IMAGE_EXIF_H
#define CORE_IMAGE_EXIF_H

#include "core/image/image.h"

/* The orientation that the file's EXIF data state, 1 to 8; 1 (upright) when there are
 * none or they make no sense. Never fails: a photograph is worth more than its
 * metadata. */
uint32_t exif_orientation(struct bytes file, enum image_format format);

/* Undoes an orientation of 1 to 8, as PIL.ImageOps.exif_transpose() does. On failure
 * the image is unchanged. */
enum status exif_turn_upright(struct image *image, uint32_t orientation, struct error *err);

#endif
