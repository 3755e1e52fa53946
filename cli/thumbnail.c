#include "cli/thumbnail.h"

#include <stdlib.h>

#include "core/image/png.h"
#include "core/image/resample.h"

enum { SMALL_FILE = 16 << 10 };

static uint32_t shrink(uint32_t side, uint32_t longest) {
    uint64_t scaled = (uint64_t)side * THUMBNAIL_SIDE / longest;
    return scaled ? (uint32_t)scaled : 1;
}

static enum status make(struct buffer *out, const struct image *image, struct error *err) {
    uint32_t longest = image->width > image->height ? image->width : image->height;
    struct resample_options options = {.width = image->width,
                                       .height = image->height,
                                       .filter = RESAMPLE_BILINEAR,
                                       .rgb_first = true};
    struct image small;
    if (longest > THUMBNAIL_SIDE) {
        options.width = shrink(image->width, longest);
        options.height = shrink(image->height, longest);
    }
    options.window = (struct resample_window){0, 0, options.width, options.height};
    enum status status = resample_image(&small, image, &options, err);
    if (status) return status;
    status = png_encode(out, small.pixels, small.width, small.height, err);
    image_free(&small);
    return status;
}

enum status thumbnail_make(struct buffer *out, struct bytes file, const struct image_limits *limits,
                           struct error *err) {
    struct image image;
    struct image_options options = {.limits = *limits, .exif_orientation = true};
    if (file.size <= SMALL_FILE) return buffer_append(out, file.data, file.size, err);
    enum status status = image_decode(&image, file, &options, err);
    if (status) return status;
    status = make(out, &image, err);
    image_free(&image);
    return status;
}
