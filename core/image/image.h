/* image.h - compressed image bytes to pixels, in the mode in which the file has them.
 *
 * The modes are Pillow's, because the reference preprocessing (SPEC 6.4) resizes
 * palette, grey, alpha, 16-bit and CMYK images in their own mode and converts to
 * RGB afterwards. Everything is refused before it costs memory: the header is
 * read and checked against the limits before any pixel is allocated.
 */
#ifndef CORE_IMAGE_IMAGE_H
#define CORE_IMAGE_IMAGE_H

#include <stdint.h>

#include "core/base/bytes.h"

enum image_format { IMAGE_UNKNOWN, IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP };

enum image_mode {
    IMAGE_MODE_1,  /* 1 byte a pixel, 0 or 255 */
    IMAGE_MODE_L,  /* grey */
    IMAGE_MODE_LA, /* grey, alpha */
    IMAGE_MODE_P,  /* index into `palette` */
    IMAGE_MODE_RGB,
    IMAGE_MODE_RGBA,
    IMAGE_MODE_CMYK, /* as Pillow holds it: 255 is full ink */
    IMAGE_MODE_I,    /* 32-bit grey, from 16-bit files: int32_t a pixel */
};

/* How a JPEG was decoded smaller than it is: one pixel stands for `factor` x `factor` of
 * the file's. The file's own are `width` x `height` and begin at `left`, `top`, in the
 * same unit; what lies outside of them fills up the last pixel. */
struct image_reduction {
    uint32_t factor; /* 2, 4 or 8; 0: none, and the rest is not set */
    uint32_t width, height, left, top;
};

struct image {
    enum image_mode mode;
    uint32_t width;
    uint32_t height;
    struct image_reduction reduction;
    uint8_t *pixels; /* [height, width, image_mode_bytes(mode)], rows packed, top to bottom */
    uint8_t palette[256][3]; /* IMAGE_MODE_P only */
};

struct image_limits {
    uint32_t side_max;   /* pixels, either side */
    uint64_t pixels_max; /* width * height: stops decompression bombs */
};

struct image_options {
    struct image_limits limits;
    bool exif_orientation; /* turn photographs upright; off in all references */
    /* Not 0: JPEGs may be decoded at 1/2, 1/4 or 1/8 of their size, as long as the shorter
     * side keeps so many pixels. Close to a resize, much cheaper, and not exact. */
    uint32_t reduce_to;
};

/* 50 MP, 16384 a side. */
extern const struct image_limits image_limits_default;

/* By the first bytes; never by name or declared type. */
enum image_format image_sniff(struct bytes file);
/* "image/jpeg" ...; "application/octet-stream" for IMAGE_UNKNOWN. */
const char *image_format_type(enum image_format format);
/* Of one pixel. */
size_t image_mode_bytes(enum image_mode mode);

/* STATUS_UNSUPPORTED for a format we do not have, STATUS_TOO_LARGE over a limit,
 * STATUS_UNPROCESSABLE for what is damaged. On success the caller owns `out` and
 * releases it with image_free(); on failure there is nothing to free. */
enum status image_decode(struct image *out, struct bytes file, const struct image_options *options,
                         struct error *err);
void image_free(struct image *image);

/* For the decoders: STATUS_TOO_LARGE over a limit. */
enum status image_check_limits(uint32_t width, uint32_t height, const struct image_limits *limits,
                               struct error *err);

/* For the decoders and whoever makes an image: allocates the pixels, unset, after
 * checking the sides against `limits` (NULL: no limits). STATUS_UNPROCESSABLE for a
 * side of 0. */
enum status image_init(struct image *out, enum image_mode mode, uint32_t width, uint32_t height,
                       const struct image_limits *limits, struct error *err);

/* Converts `count` pixels of `image`'s mode (not necessarily in it) to RGB as Pillow
 * does: alpha is dropped, never composited; 16-bit grey is clipped, not scaled. */
void image_row_to_rgb(uint8_t *out, const uint8_t *pixels, size_t count, const struct image *image);

#endif
