/* preprocess.h - a decoded image to the square RGB crop that the model sees.
 *
 * Bit-exact with Pillow under torchvision (order openai) or under Hugging Face's
 * CLIPImageProcessor (order hf); SPEC 6.1-6.6. The result is 8-bit: scaling to
 * [0, 1] and normalising is a table lookup that the vision tower does while it
 * cuts patches, so a waiting image takes a quarter of the memory.
 */
#ifndef CORE_IMAGE_PREPROCESS_H
#define CORE_IMAGE_PREPROCESS_H

#include "core/image/image.h"
#include "core/image/resample.h"

enum preprocess_order {
    PREPROCESS_OPENAI, /* resize, crop (half to even), then RGB */
    PREPROCESS_HF,     /* RGB, then resize, crop (floor) */
};

enum preprocess_resize {
    PREPROCESS_SHORTEST, /* short side to size, then centre crop */
    PREPROCESS_SQUASH,   /* both sides to size, then centre crop */
    PREPROCESS_LONGEST,  /* long side to size, then centre pad */
    PREPROCESS_NONE,     /* no resize; crop or pad only (HF do_resize: false) */
};

struct preprocess {
    uint32_t size;      /* side of the output */
    uint32_t resize_to; /* the short (long) side is resized to this; 0: size. HF may resize to
                           more than it crops */
    enum preprocess_resize resize;
    enum preprocess_order order;
    enum resample_filter filter;
    uint8_t fill[3];   /* the colour of the padding */
    unsigned features; /* core/kernels/isa.h; the result does not depend on them */
};

/* image_options.reduce_to for images that go this way: twice what they are resized to, so
 * that the filter still decides; 0 where nothing is resized. */
uint32_t preprocess_reduce_to(const struct preprocess *preprocess);

/* `out` is [size, size, 3] RGB and belongs to the caller. STATUS_NO_MEMORY is the only
 * failure: every image of at least one pixel has a crop. */
enum status preprocess_image(uint8_t *out, const struct preprocess *preprocess,
                             const struct image *image, struct error *err);

#endif
