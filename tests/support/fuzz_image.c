/* One body for three targets, so that all formats are held to the same contract: an error
 * is reported whenever a status is, and an image is within its limits, wholly written, and
 * always has a crop. */
#include "tests/support/fuzz_image.h"

#include <stdlib.h>

#include "core/image/preprocess.h"

enum { SIZE = 8 };

/* Reads every byte, so that the sanitizer sees what was never written or is out of reach. */
static void touch(const uint8_t *data, size_t size) {
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < size; i++) sink = (uint8_t)(sink + data[i]);
}

static void preprocess_every_way(const struct image *image, size_t file_size) {
    uint8_t crop[SIZE * SIZE * 3];
    for (int order = 0; order < 2; order++) {
        for (int resize = 0; resize < 4; resize++) {
            struct preprocess preprocess = {
                .size = SIZE,
                .resize_to = file_size % 3 == 0 ? SIZE + 3 : 0,
                .resize = (enum preprocess_resize)resize,
                .order = (enum preprocess_order)order,
                .filter = (enum resample_filter)((file_size + (size_t)resize) % 6),
            };
            if (preprocess_image(crop, &preprocess, image, NULL)) abort();
            touch(crop, sizeof(crop));
        }
    }
}

void fuzz_image(struct bytes file, enum image_format format) {
    if (image_sniff(file) != format) return;
    struct image_options options = {
        .limits = {.side_max = 2048, .pixels_max = 1 << 18},
        .exif_orientation = file.size % 2 == 0,
        .reduce_to = file.size % 5 ? 0 : SIZE / 2,
    };
    struct image image;
    struct error err = ERROR_NONE;
    enum status status = image_decode(&image, file, &options, &err);
    if (err.status != status) abort();
    if (status) return;
    if ((uint64_t)image.width * image.height > options.limits.pixels_max) abort();
    if (image.reduction.factor && !options.reduce_to) abort();
    touch(image.pixels, (size_t)image.width * image.height * image_mode_bytes(image.mode));
    preprocess_every_way(&image, file.size);
    image_free(&image);
}
