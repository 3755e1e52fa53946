/* PNG through the low-level interface of libpng: the easy one applies gamma and blends
 * alpha, which Pillow does not.
 *
 * libpng reports errors by longjmp(): setjmp() stays in this file, and all that lives
 * across it is in `struct decoder`, which the caller of setjmp() holds. Guards against
 * hostile files: the limits before any pixel is allocated; chunks that do not make
 * pixels are skipped, never inflated; and an allocator that refuses large blocks,
 * because libpng 1.6.39 allocates what a chunk's length field claims. Nothing is
 * printed.
 *
 * Chunks that are skipped may be damaged. After the chunks of the pixels a file may end
 * without its end chunk, as with Pillow, which goes further and uses pixels although their
 * checksum is wrong or missing; we do not. */
#include "core/image/png.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE_MAX = 8 << 20 };

struct decoder {
    png_structp png;
    png_infop info;
    struct bytes rest; /* of the file, unread */
    const struct image_limits *limits;
    struct image image; /* pixels NULL until they are allocated */
    bool rows_read;
    bool cut_off;   /* the end of the file was passed */
    bool no_memory; /* malloc() failed */
    enum status status;
    struct error *err;
};

/* Does not return. */
static void fail(struct decoder *decoder, enum status status) {
    decoder->status = status;
    png_longjmp(decoder->png, 1);
}

static void on_error(png_structp png, png_const_charp message) {
    struct decoder *decoder = png_get_error_ptr(png);
    if (decoder->rows_read && decoder->cut_off) fail(decoder, STATUS_OK);
    enum status status = decoder->no_memory ? STATUS_NO_MEMORY : STATUS_UNPROCESSABLE;
    fail(decoder, error_set(decoder->err, status, "PNG: %s", message));
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t size) {
    struct decoder *decoder = png_get_io_ptr(png);
    if (size > decoder->rest.size) {
        decoder->cut_off = true;
        png_error(png, "the file is cut off");
    }
    memcpy(out, decoder->rest.data, size);
    decoder->rest.data += size;
    decoder->rest.size -= size;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t size) {
    if (size > BLOCK_SIZE_MAX) return NULL;
    void *block = malloc(size);
    if (!block) ((struct decoder *)png_get_mem_ptr(png))->no_memory = true;
    return block;
}

static void on_free(png_structp png, png_voidp block) {
    (void)png;
    free(block);
}

/* The mode Pillow opens this kind of file in. */
static enum image_mode mode_of(int color_type, int depth) {
    switch (color_type) {
    case PNG_COLOR_TYPE_GRAY:
        return depth == 1 ? IMAGE_MODE_1 : depth == 16 ? IMAGE_MODE_I : IMAGE_MODE_L;
    case PNG_COLOR_TYPE_PALETTE: return IMAGE_MODE_P;
    case PNG_COLOR_TYPE_GRAY_ALPHA: return IMAGE_MODE_LA;
    case PNG_COLOR_TYPE_RGB_ALPHA: return IMAGE_MODE_RGBA;
    default: return IMAGE_MODE_RGB;
    }
}

/* Pillow's palettes begin as a grey ramp: that is what indices past the file's mean. */
static void read_palette(struct decoder *decoder) {
    png_colorp colors = NULL;
    int count = 0;
    png_get_PLTE(decoder->png, decoder->info, &colors, &count);
    for (int i = 0; i < 256; i++) {
        png_color grey = {(png_byte)i, (png_byte)i, (png_byte)i};
        png_color color = i < count ? colors[i] : grey;
        uint8_t *to = decoder->image.palette[i];
        to[0] = color.red;
        to[1] = color.green;
        to[2] = color.blue;
    }
}

static void start(struct decoder *decoder) {
    png_structp png = decoder->png;
    png_set_read_fn(png, decoder, on_read);
    /* Our limits are checked below, with our words. */
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    /* Passes over all ancillary chunks unread, known to libpng or not, except tRNS: that one
     * is short and changes nothing unless asked for. */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_DEFAULT, PNG_CRC_QUIET_USE);
    png_read_info(png, decoder->info);

    int depth = png_get_bit_depth(png, decoder->info);
    enum image_mode mode = mode_of(png_get_color_type(png, decoder->info), depth);
    enum status status =
        image_init(&decoder->image, mode, png_get_image_width(png, decoder->info),
                   png_get_image_height(png, decoder->info), decoder->limits, decoder->err);
    if (status) fail(decoder, status);
    if (mode == IMAGE_MODE_P) read_palette(decoder);

    if (mode == IMAGE_MODE_P) png_set_packing(png);
    if (mode == IMAGE_MODE_L || mode == IMAGE_MODE_1) png_set_expand_gray_1_2_4_to_8(png);
    if (mode != IMAGE_MODE_I) png_set_strip_16(png);
}

/* 16-bit big-endian values in the second half of the buffer to 32-bit ones in all of
 * it: what is written never passes what is still to be read. */
static void widen(struct image *image) {
    size_t count = (size_t)image->width * image->height;
    const uint8_t *from = image->pixels + count * 2;
    for (size_t i = 0; i < count; i++) {
        int32_t value = from[i * 2] << 8 | from[i * 2 + 1];
        memcpy(image->pixels + i * 4, &value, sizeof(value));
    }
}

static void read_rows(struct decoder *decoder) {
    png_structp png = decoder->png;
    struct image *image = &decoder->image;
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, decoder->info);
    size_t stride = png_get_rowbytes(png, decoder->info);
    uint8_t *rows = image->pixels;
    if (image->mode == IMAGE_MODE_I) rows += stride * image->height;
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < image->height; y++) png_read_row(png, rows + y * stride, NULL);
    if (image->mode == IMAGE_MODE_I) widen(image);
    decoder->rows_read = true;
    png_read_end(png, NULL);
}

static void decode(struct decoder *decoder) {
    if (setjmp(png_jmpbuf(decoder->png))) return;
    start(decoder);
    read_rows(decoder);
}

enum status png_decode(struct image *out, struct bytes file, const struct image_options *options,
                       struct error *err) {
    struct decoder decoder = {.rest = file, .limits = &options->limits, .err = err};
    decoder.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning,
                                           &decoder, on_malloc, on_free);
    if (decoder.png) decoder.info = png_create_info_struct(decoder.png);
    if (decoder.info) {
        decode(&decoder);
    } else {
        decoder.status = error_set(err, STATUS_NO_MEMORY, "out of memory for a PNG decoder");
    }
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    if (decoder.status) {
        image_free(&decoder.image);
    } else {
        *out = decoder.image;
    }
    return decoder.status;
}

/* Writing has no traps, so libpng's easy interface will do. */
enum status png_encode(struct buffer *out, const uint8_t *pixels, uint32_t width, uint32_t height,
                       struct error *err) {
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = 0;
    if (!png_image_write_get_memory_size(image, size, 0, pixels, 0, NULL))
        return error_set(err, STATUS_INTERNAL, "PNG: %s", image.message);
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    uint8_t *to = buffer_reserve(out, size, err);
    if (!to) return err->status;
    if (!png_image_write_to_memory(&image, to, &size, 0, pixels, 0, NULL))
        return error_set(err, STATUS_INTERNAL, "PNG: %s", image.message);
    out->size += size;
    return STATUS_OK;
}
