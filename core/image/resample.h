/* resample.h - Pillow's separable resampling, to the bit (SPEC 6.3). */
#ifndef CORE_IMAGE_RESAMPLE_H
#define CORE_IMAGE_RESAMPLE_H

#include "core/image/image.h"

/* Pillow's numbers, as in preprocessor_config.json. */
enum resample_filter {
    RESAMPLE_NEAREST = 0,
    RESAMPLE_LANCZOS = 1,
    RESAMPLE_BILINEAR = 2,
    RESAMPLE_BICUBIC = 3,
    RESAMPLE_BOX = 4,
    RESAMPLE_HAMMING = 5,
};

/* A rectangle of the resized image: only what it needs is computed. */
struct resample_window {
    uint32_t x, y, width, height;
};

/* Resizes `in` to `width` x `height` and keeps `window` of the result, in the same
 * mode; palette and bilevel images are always resampled by nearest. The caller
 * frees `out` with image_free(). */
enum status resample_image(struct image *out, const struct image *in, uint32_t width,
                           uint32_t height, const struct resample_window *window,
                           enum resample_filter filter, struct error *err);

#endif
