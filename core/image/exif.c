/* EXIF data are a small TIFF file inside a JPEG's APP1 segment, a PNG's eXIf chunk or
 * a WebP's EXIF chunk. One number is wanted of it, so the containers are walked here,
 * bytes only, and no decoder needs to know. Every offset comes from the file and is
 * checked before use; nothing is followed that could lead backwards, so that a loop
 * cannot be built. */
#include "core/image/exif.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    UPRIGHT = 1,
    ORIENTATION_MAX = 8,
    TAG_ORIENTATION = 0x0112,
    TYPE_BYTE = 1,
    TYPE_SHORT = 3,
    TYPE_LONG = 4,
    ENTRY_SIZE = 12, /* tag u16, type u16, count u32, value or offset */
    MARKER_START_OF_SCAN = 0xda,
    MARKER_APP1 = 0xe1,
    PNG_SIGNATURE_SIZE = 8,
    PNG_CHUNK_EXTRA = 12, /* length, type, CRC */
    RIFF_HEADER_SIZE = 12,
    RIFF_CHUNK_EXTRA = 8, /* type, length */
};

static uint32_t read_number(const uint8_t *data, size_t size, bool big) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | data[big ? i : size - 1 - i];
    return value;
}

static struct bytes slice(struct bytes of, size_t offset, size_t size) {
    if (offset > of.size || size > of.size - offset) return (struct bytes){0};
    return (struct bytes){.data = of.data + offset, .size = size};
}

static bool begins_with(struct bytes data, const char *prefix, size_t size) {
    return data.size >= size && memcmp(data.data, prefix, size) == 0;
}

/* The first APP1 segment "Exif" before the pixels. Segments are FF, type, a big-endian
 * length that counts itself; FF may be repeated. */
static struct bytes find_in_jpeg(struct bytes file) {
    size_t at = 2;
    while (at + 4 <= file.size && file.data[at] == 0xff) {
        uint8_t marker = file.data[at + 1];
        if (marker == 0xff) {
            at++;
            continue;
        }
        if (marker == MARKER_START_OF_SCAN) break;
        size_t size = read_number(file.data + at + 2, 2, true);
        struct bytes segment = slice(file, at + 2, size);
        if (size < 2 || !segment.data) break;
        segment = slice(segment, 2, size - 2);
        if (marker == MARKER_APP1 && begins_with(segment, "Exif\0", 5)) return segment;
        at += 2 + size;
    }
    return (struct bytes){0};
}

static struct bytes find_in_png(struct bytes file) {
    size_t at = PNG_SIGNATURE_SIZE;
    while (at < file.size && file.size - at >= PNG_CHUNK_EXTRA) {
        size_t size = read_number(file.data + at, 4, true);
        if (memcmp(file.data + at + 4, "eXIf", 4) == 0) return slice(file, at + 8, size);
        if (size > file.size - at - PNG_CHUNK_EXTRA) break;
        at += PNG_CHUNK_EXTRA + size;
    }
    return (struct bytes){0};
}

/* RIFF chunks have even sizes: an odd one is padded. */
static struct bytes find_in_webp(struct bytes file) {
    size_t at = RIFF_HEADER_SIZE;
    while (at < file.size && file.size - at >= RIFF_CHUNK_EXTRA) {
        size_t size = read_number(file.data + at + 4, 4, false);
        if (memcmp(file.data + at, "EXIF", 4) == 0) return slice(file, at + 8, size);
        size += size & 1;
        if (size > file.size - at - RIFF_CHUNK_EXTRA) break;
        at += RIFF_CHUNK_EXTRA + size;
    }
    return (struct bytes){0};
}

/* The value of the orientation entry of the first directory; 0 if there is none. */
static uint32_t read_tiff(struct bytes tiff) {
    bool big = begins_with(tiff, "MM", 2);
    if (tiff.size < 8 || !(big || begins_with(tiff, "II", 2))) return 0;
    size_t at = read_number(tiff.data + 4, 4, big);
    struct bytes count = slice(tiff, at, 2);
    if (!count.data) return 0;
    size_t entries = read_number(count.data, 2, big);
    for (size_t i = 0; i < entries; i++) {
        struct bytes entry = slice(tiff, at + 2 + i * ENTRY_SIZE, ENTRY_SIZE);
        if (!entry.data) return 0;
        if (read_number(entry.data, 2, big) != TAG_ORIENTATION) continue;
        if (read_number(entry.data + 4, 4, big) != 1) return 0;
        switch (read_number(entry.data + 2, 2, big)) {
        case TYPE_BYTE: return entry.data[8];
        case TYPE_SHORT: return read_number(entry.data + 8, 2, big);
        case TYPE_LONG: return read_number(entry.data + 8, 4, big);
        default: return 0;
        }
    }
    return 0;
}

uint32_t exif_orientation(struct bytes file, enum image_format format) {
    struct bytes exif = {0};
    switch (format) {
    case IMAGE_UNKNOWN: break;
    case IMAGE_JPEG: exif = find_in_jpeg(file); break;
    case IMAGE_PNG: exif = find_in_png(file); break;
    case IMAGE_WEBP: exif = find_in_webp(file); break;
    }
    /* The prefix belongs to JPEG; some writers leave it on in the other formats. */
    if (begins_with(exif, "Exif\0\0", 6)) exif = slice(exif, 6, exif.size - 6);
    uint32_t orientation = read_tiff(exif);
    return orientation >= UPRIGHT && orientation <= ORIENTATION_MAX ? orientation : UPRIGHT;
}

/* The file's pixels begin at the other side when that was mirrored. */
static struct image_reduction turn_reduction(const struct image *image, bool swaps, bool mirror_x,
                                             bool mirror_y) {
    struct image_reduction from = image->reduction, to = from;
    if (from.factor == 0) return from;
    if (mirror_x) from.left = image->width * from.factor - from.width - from.left;
    if (mirror_y) from.top = image->height * from.factor - from.height - from.top;
    to.width = swaps ? from.height : from.width;
    to.height = swaps ? from.width : from.height;
    to.left = swaps ? from.top : from.left;
    to.top = swaps ? from.left : from.top;
    return to;
}

enum status exif_turn_upright(struct image *image, uint32_t orientation, struct error *err) {
    assert(orientation >= UPRIGHT && orientation <= ORIENTATION_MAX);
    if (orientation == UPRIGHT) return STATUS_OK;
    /* Orientations 5 to 8 swap the axes; then, of the source, these run backwards. */
    bool swaps = orientation >= 5;
    bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;

    size_t bytes = image_mode_bytes(image->mode);
    ptrdiff_t pixel = (ptrdiff_t)bytes;
    ptrdiff_t row = pixel * (ptrdiff_t)image->width;
    const uint8_t *start = image->pixels;
    if (mirror_x) start += (ptrdiff_t)(image->width - 1) * pixel;
    if (mirror_y) start += (ptrdiff_t)(image->height - 1) * row;
    if (mirror_x) pixel = -pixel;
    if (mirror_y) row = -row;

    struct image turned;
    enum status status = image_init(&turned, image->mode, swaps ? image->height : image->width,
                                    swaps ? image->width : image->height, NULL, err);
    if (status) return status;
    memcpy(turned.palette, image->palette, sizeof(turned.palette));
    turned.reduction = turn_reduction(image, swaps, mirror_x, mirror_y);
    uint8_t *to = turned.pixels;
    for (uint32_t y = 0; y < turned.height; y++) {
        const uint8_t *from = start + (ptrdiff_t)y * (swaps ? pixel : row);
        for (uint32_t x = 0; x < turned.width; x++) {
            memcpy(to, from + (ptrdiff_t)x * (swaps ? row : pixel), bytes);
            to += bytes;
        }
    }
    image_free(image);
    *image = turned;
    return STATUS_OK;
}
