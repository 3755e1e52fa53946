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

/* A rectangle of the resized image, in pixels, not empty and inside of it. */
struct resample_window {
    uint32_t x, y, width, height;
};

struct resample_options {
    uint32_t width, height;        /* of the whole resized image, at least 1; what becomes this
                                      are the file's pixels if `in` was reduced */
    struct resample_window window; /* what is kept of it; only what this needs is computed */
    enum resample_filter filter;   /* palette and bilevel images are resampled by nearest */
    bool rgb_first;                /* convert to RGB before, so that the result is RGB */
    unsigned features;             /* core/kernels/isa.h; the result does not depend on them */
};

/* The result has the mode of `in`, or RGB. The caller frees `out` with image_free().
 * STATUS_NO_MEMORY is the only failure. Memory is in proportion to the
 * window and the filter, never to the whole resized image. */
enum status resample_image(struct image *out, const struct image *in,
                           const struct resample_options *options, struct error *err);

#endif
