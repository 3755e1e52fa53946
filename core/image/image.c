/* What all formats share: telling them apart, the limits, the memory of an image
 * and the conversion to RGB. The decoders never see each other; a new format is a
 * file of its own and a row in `formats`. */
#include "core/image/image.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/image/exif.h"
#include "core/image/jpeg.h"
#include "core/image/png.h"
#include "core/image/webp.h"

enum { SIGNATURE_SIZE = 16, HUGE_PAGE = 2 << 20, FRESH = 32 << 20 };

const struct image_limits image_limits_default = {.side_max = 16384, .pixels_max = 50000000};

/* The bytes that a file begins with, where the mask is not 0. */
struct format {
    enum image_format format;
    const char *type;
    size_t size;
    const char *signature;
    const char *mask;
    enum status (*decode)(struct image *out, struct bytes file, const struct image_options *options,
                          struct error *err);
};

static const struct format formats[] = {
    {IMAGE_JPEG, "image/jpeg", 3, "\xff\xd8\xff", "111", jpeg_decode},
    {IMAGE_PNG, "image/png", 8, "\x89PNG\r\n\x1a\n", "11111111", png_decode},
    {IMAGE_WEBP, "image/webp", 12, "RIFF....WEBP", "111100001111", webp_decode},
};

enum { FORMATS_COUNT = sizeof(formats) / sizeof(formats[0]) };

static bool has_signature(struct bytes file, const struct format *format) {
    if (file.size < format->size) return false;
    for (size_t i = 0; i < format->size; i++)
        if (format->mask[i] == '1' && file.data[i] != (uint8_t)format->signature[i]) return false;
    return true;
}

static const struct format *find_format(struct bytes file) {
    for (size_t i = 0; i < FORMATS_COUNT; i++)
        if (has_signature(file, &formats[i])) return &formats[i];
    return NULL;
}

enum image_format image_sniff(struct bytes file) {
    const struct format *format = find_format(file);
    return format ? format->format : IMAGE_UNKNOWN;
}

const char *image_format_type(enum image_format format) {
    for (size_t i = 0; i < FORMATS_COUNT; i++)
        if (formats[i].format == format) return formats[i].type;
    return "application/octet-stream";
}

size_t image_mode_bytes(enum image_mode mode) {
    switch (mode) {
    case IMAGE_MODE_1:
    case IMAGE_MODE_L:
    case IMAGE_MODE_P: return 1;
    case IMAGE_MODE_LA: return 2;
    case IMAGE_MODE_RGB: return 3;
    case IMAGE_MODE_RGBA:
    case IMAGE_MODE_CMYK:
    case IMAGE_MODE_I: return 4;
    }
    assert(!"unknown mode");
    return 0;
}

enum status image_check_limits(uint32_t width, uint32_t height, const struct image_limits *limits,
                               struct error *err) {
    if (width > limits->side_max || height > limits->side_max)
        return error_set(err, STATUS_TOO_LARGE, "image is %u x %u, the limit is %u on either side",
                         width, height, limits->side_max);
    if ((uint64_t)width * height > limits->pixels_max)
        return error_set(err, STATUS_TOO_LARGE, "image is %u x %u, the limit is %llu pixels", width,
                         height, (unsigned long long)limits->pixels_max);
    return STATUS_OK;
}

/* From FRESH bytes on, glibc takes memory from the system every time, which hands it out
 * page by page as it is written: in pages of 4 KiB that was a fifth of the time to decode
 * 12 megapixels. */
static uint8_t *allocate_pixels(size_t size) {
    if (size < FRESH) return malloc(size);
    void *pixels = NULL;
    if (posix_memalign(&pixels, HUGE_PAGE, size)) return NULL;
    madvise(pixels, size, MADV_HUGEPAGE);
    return pixels;
}

enum status image_init(struct image *out, enum image_mode mode, uint32_t width, uint32_t height,
                       const struct image_limits *limits, struct error *err) {
    if (width == 0 || height == 0)
        return error_set(err, STATUS_UNPROCESSABLE, "image is %u x %u, expected at least 1 x 1",
                         width, height);
    enum status status = limits ? image_check_limits(width, height, limits, err) : STATUS_OK;
    if (status) return status;
    size_t size;
    if (!size_multiply(&size, width, height) || !size_multiply(&size, size, image_mode_bytes(mode)))
        return error_set(err, STATUS_TOO_LARGE, "image is %u x %u", width, height);
    uint8_t *pixels = allocate_pixels(size);
    if (!pixels) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu bytes", size);
    *out = (struct image){.mode = mode, .width = width, .height = height, .pixels = pixels};
    return STATUS_OK;
}

void image_free(struct image *image) {
    free(image->pixels);
    *image = (struct image){0};
}

/* "47 49 46 38 ...": what is not a format of ours is told by how it begins. */
static enum status report_unknown(struct bytes file, struct error *err) {
    if (file.size == 0) return error_set(err, STATUS_UNPROCESSABLE, "image is empty");
    char text[SIGNATURE_SIZE * 3 + 1] = "";
    for (size_t i = 0; i < file.size && i < SIGNATURE_SIZE; i++)
        snprintf(text + i * 3, sizeof(text) - i * 3, " %02x", file.data[i]);
    return error_set(err, STATUS_UNSUPPORTED,
                     "unknown image format: it begins with%s, expected JPEG, PNG or WebP", text);
}

enum status image_decode(struct image *out, struct bytes file, const struct image_options *options,
                         struct error *err) {
    const struct format *format = find_format(file);
    if (!format) return report_unknown(file, err);
    enum status status = format->decode(out, file, options, err);
    if (status || !options->exif_orientation) return status;
    status = exif_turn_upright(out, exif_orientation(file, format->format), err);
    if (status) image_free(out);
    return status;
}

static void grey_to_rgb(uint8_t *out, uint8_t grey) {
    out[0] = out[1] = out[2] = grey;
}

static uint8_t clip_i32(const uint8_t *pixel) {
    int32_t value;
    memcpy(&value, pixel, sizeof(value));
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

/* Pillow's cmyk2rgb: ink c over what black leaves, nk - c * nk / 255 rounded. */
static void cmyk_to_rgb(uint8_t *out, const uint8_t *pixel) {
    uint32_t nk = 255u - pixel[3];
    for (int c = 0; c < 3; c++) {
        uint32_t t = pixel[c] * nk + 128;
        out[c] = (uint8_t)(nk - ((t + (t >> 8)) >> 8));
    }
}

void image_row_to_rgb(uint8_t *out, const uint8_t *pixels, size_t count,
                      const struct image *image) {
    switch (image->mode) {
    case IMAGE_MODE_1:
    case IMAGE_MODE_L:
        for (size_t i = 0; i < count; i++) grey_to_rgb(out + i * 3, pixels[i]);
        return;
    case IMAGE_MODE_LA:
        for (size_t i = 0; i < count; i++) grey_to_rgb(out + i * 3, pixels[i * 2]);
        return;
    case IMAGE_MODE_P:
        for (size_t i = 0; i < count; i++) memcpy(out + i * 3, image->palette[pixels[i]], 3);
        return;
    case IMAGE_MODE_RGB: memcpy(out, pixels, count * 3); return;
    case IMAGE_MODE_RGBA:
        for (size_t i = 0; i < count; i++) memcpy(out + i * 3, pixels + i * 4, 3);
        return;
    case IMAGE_MODE_CMYK:
        for (size_t i = 0; i < count; i++) cmyk_to_rgb(out + i * 3, pixels + i * 4);
        return;
    case IMAGE_MODE_I:
        for (size_t i = 0; i < count; i++) grey_to_rgb(out + i * 3, clip_i32(pixels + i * 4));
        return;
    }
    assert(!"unknown mode");
}
