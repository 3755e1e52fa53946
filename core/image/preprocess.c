/* Resize, crop or pad, RGB. Only the window that survives the crop is resampled, so an
 * image of 1 x 16384 costs no more than its crop although it would become four million
 * pixels long. */
#include "core/image/preprocess.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct size {
    uint32_t width, height;
};

static uint32_t at_least_1(uint32_t side) {
    return side ? side : 1;
}

/* torchvision and Hugging Face: int(target * long / short), the quotient a double. */
static uint32_t scale_long(uint32_t target, uint32_t longer, uint32_t shorter) {
    double scaled = (double)((uint64_t)target * longer) / shorter;
    return scaled < UINT32_MAX ? (uint32_t)scaled : UINT32_MAX;
}

static struct size shortest_size(struct size image, uint32_t target) {
    if (image.width <= image.height)
        return (struct size){target, scale_long(target, image.height, image.width)};
    return (struct size){scale_long(target, image.width, image.height), target};
}

/* open_clip: both sides over the greater ratio, rounded half to even. Pillow refuses
 * the side of 0 that very long images get. */
static struct size longest_size(struct size image, uint32_t target) {
    double ratio = fmax((double)image.height / target, (double)image.width / target);
    return (struct size){
        at_least_1((uint32_t)nearbyint(image.width / ratio)),
        at_least_1((uint32_t)nearbyint(image.height / ratio)),
    };
}

static uint32_t target_of(const struct preprocess *preprocess) {
    return preprocess->resize_to ? preprocess->resize_to : preprocess->size;
}

/* By the size of the file, at whichever it was decoded. */
static struct size resized_size(const struct preprocess *preprocess, const struct image *image) {
    const struct image_reduction *reduction = &image->reduction;
    struct size full = {image->width, image->height};
    if (reduction->factor) full = (struct size){reduction->width, reduction->height};
    uint32_t target = target_of(preprocess);
    switch (preprocess->resize) {
    case PREPROCESS_SHORTEST: return shortest_size(full, target);
    case PREPROCESS_LONGEST: return longest_size(full, target);
    case PREPROCESS_SQUASH: return (struct size){target, target};
    case PREPROCESS_NONE: break;
    }
    return full;
}

uint32_t preprocess_reduce_to(const struct preprocess *preprocess) {
    if (preprocess->resize == PREPROCESS_NONE) return 0;
    return 2 * target_of(preprocess);
}

/* One side of the crop: `count` pixels of the resized image from `from` on go to `to`. */
struct span {
    uint32_t from, to, count;
};

/* Where the remainder of an odd difference goes: torchvision crops at the half, rounded
 * to even, and pads more after; Hugging Face crops at the floor and pads more before. */
static struct span center(uint32_t resized, uint32_t size, enum preprocess_order order) {
    if (resized >= size) {
        uint32_t from = (resized - size) / 2;
        if (order == PREPROCESS_OPENAI && (resized - size) % 4 == 3) from++;
        return (struct span){.from = from, .count = size};
    }
    uint32_t gap = size - resized;
    return (struct span){
        .to = order == PREPROCESS_OPENAI ? gap / 2 : gap - gap / 2,
        .count = resized,
    };
}

/* In order openai the padding is made in the image's own mode, before RGB: its value is
 * an index in a palette image and ink in a CMYK one. */
static void padding_color(uint8_t color[3], const struct preprocess *preprocess,
                          const struct image *image) {
    const uint8_t *fill = preprocess->fill;
    const uint8_t own[4] = {fill[0], fill[1], fill[2], 0};
    bool own_mode = image->mode == IMAGE_MODE_P || image->mode == IMAGE_MODE_CMYK;
    if (preprocess->order == PREPROCESS_OPENAI && own_mode) {
        image_row_to_rgb(color, own, 1, image);
    } else {
        memcpy(color, fill, 3);
    }
}

static void pad(uint8_t *out, uint32_t size, const uint8_t color[3]) {
    for (size_t i = 0; i < (size_t)size * size; i++) memcpy(out + i * 3, color, 3);
}

enum status preprocess_image(uint8_t *out, const struct preprocess *preprocess,
                             const struct image *image, struct error *err) {
    uint32_t size = preprocess->size;
    assert(size > 0 && image->width > 0 && image->height > 0);
    struct size resized = resized_size(preprocess, image);
    struct span x = center(resized.width, size, preprocess->order);
    struct span y = center(resized.height, size, preprocess->order);
    /* Grey gives the same pixels in either order, at a third of the work. */
    bool rgb_first = preprocess->order == PREPROCESS_HF && image->mode != IMAGE_MODE_L;
    struct resample_options options = {
        .width = resized.width,
        .height = resized.height,
        .window = {.x = x.from, .y = y.from, .width = x.count, .height = y.count},
        .filter = preprocess->filter,
        .rgb_first = rgb_first,
        .features = preprocess->features,
    };
    struct image window;
    enum status status = resample_image(&window, image, &options, err);
    if (status) return status;

    if (x.count < size || y.count < size) {
        uint8_t color[3];
        padding_color(color, preprocess, image);
        pad(out, size, color);
    }
    for (uint32_t row = 0; row < y.count; row++) {
        const uint8_t *from = window.pixels + (size_t)row * x.count * image_mode_bytes(window.mode);
        image_row_to_rgb(out + ((size_t)(y.to + row) * size + x.to) * 3, from, x.count, &window);
    }
    image_free(&window);
    return STATUS_OK;
}
