/* JPEG through libjpeg-turbo with its defaults (ISLOW, fancy upsampling, no scaling unless
 * it is asked for), which is how Pillow decodes, so pixels are the same to the bit.
 *
 * libjpeg reports errors by a call that must not return: setjmp() stays in this file,
 * and all that lives across it is in `struct decoder`, which the caller of setjmp()
 * holds. Guards against hostile files: the limits before any pixel is allocated; a
 * bound on scans, because a kilobyte of them costs seconds; and a bound on pixels a
 * byte, because a progressive file allocates its coefficients before it reads any.
 * Nothing is printed. */
#include "core/image/jpeg.h"

#include <jerror.h>
#include <setjmp.h>
#include <stdio.h>
/* jpeglib.h needs stdio.h and stddef.h before it. */
#include <jpeglib.h>

enum {
    SCANS_MAX = 100,
    /* A block of 8 x 8 pixels takes at least two bits in a baseline file and one in a
     * progressive one, so 512 pixels a byte; only arithmetic coding of next to nothing
     * could do with less than half of that. Small images may claim what they like. */
    PIXELS_PER_BYTE_MAX = 1024,
    PIXELS_UNCHECKED = 1 << 22,
};

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    struct bytes file;
    const struct image_options *options;
    struct image image; /* pixels NULL until they are allocated */
    bool rows_read;
    enum status status;
    struct error *err;
};

static struct decoder *decoder_of(j_common_ptr jpeg) {
    return jpeg->client_data;
}

/* Does not return. */
static void fail(struct decoder *decoder, enum status status) {
    decoder->status = status;
    longjmp(decoder->failed, 1);
}

static enum status status_of(int code) {
    switch (code) {
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL: return STATUS_UNSUPPORTED;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW: return STATUS_TOO_LARGE;
    case JERR_OUT_OF_MEMORY: return STATUS_NO_MEMORY;
    default: return STATUS_UNPROCESSABLE;
    }
}

static void on_error(j_common_ptr jpeg) {
    struct decoder *decoder = decoder_of(jpeg);
    char message[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, message);
    enum status status = status_of(jpeg->err->msg_code);
    fail(decoder, error_set(decoder->err, status, "JPEG: %s", message));
}

/* Warnings: damaged, but libjpeg goes on. So do we, and Pillow. */
static void on_message(j_common_ptr jpeg, int level) {
    (void)jpeg;
    (void)level;
}

static void on_output(j_common_ptr jpeg) {
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg) {
    struct decoder *decoder = decoder_of(jpeg);
    if (decoder->jpeg.input_scan_number <= SCANS_MAX) return;
    fail(decoder,
         error_set(decoder->err, STATUS_TOO_LARGE, "JPEG has more than %d scans", SCANS_MAX));
}

static void on_source(j_decompress_ptr jpeg) {
    (void)jpeg;
}

/* The whole file is in the buffer from the start, so asking for more means that it
 * was cut off; libjpeg's own memory source would go on in grey instead. Once all rows
 * are there it does not matter. */
static boolean on_fill(j_decompress_ptr jpeg) {
    struct decoder *decoder = decoder_of((j_common_ptr)jpeg);
    if (decoder->rows_read) fail(decoder, STATUS_OK);
    fail(decoder,
         error_set(decoder->err, STATUS_UNPROCESSABLE,
                   "JPEG is cut off after %zu bytes, expected its end marker", decoder->file.size));
    return FALSE;
}

static void on_skip(j_decompress_ptr jpeg, long count) {
    if (count <= 0) return;
    struct jpeg_source_mgr *source = jpeg->src;
    if ((unsigned long)count > source->bytes_in_buffer) on_fill(jpeg);
    source->next_input_byte += count;
    source->bytes_in_buffer -= (size_t)count;
}

static void create(struct decoder *decoder) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg->err = jpeg_std_error(&decoder->errors);
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    decoder->errors.output_message = on_output;
    jpeg->client_data = decoder;
    jpeg_create_decompress(jpeg);
    decoder->progress.progress_monitor = on_progress;
    jpeg->progress = &decoder->progress;
    decoder->source = (struct jpeg_source_mgr){
        .next_input_byte = decoder->file.data,
        .bytes_in_buffer = decoder->file.size,
        .init_source = on_source,
        .fill_input_buffer = on_fill,
        .skip_input_data = on_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = on_source,
    };
    jpeg->src = &decoder->source;
}

/* The size that the header states, whatever is made of it. */
static void check_size(struct decoder *decoder) {
    uint32_t width = decoder->jpeg.image_width, height = decoder->jpeg.image_height;
    enum status status = image_check_limits(width, height, &decoder->options->limits, decoder->err);
    if (status) fail(decoder, status);
    uint64_t pixels = (uint64_t)width * height;
    if (pixels <= PIXELS_UNCHECKED || pixels / PIXELS_PER_BYTE_MAX <= decoder->file.size) return;
    fail(decoder,
         error_set(decoder->err, STATUS_UNPROCESSABLE, "JPEG of %zu bytes claims to be %u x %u",
                   decoder->file.size, width, height));
}

/* By how much the sides may shrink: 8, 4, 2 or 1. Other fractions are slower to decode
 * than the whole. */
static uint32_t choose_factor(const struct decoder *decoder) {
    const struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    uint32_t least = decoder->options->reduce_to, factor = 8;
    uint32_t side = jpeg->image_width < jpeg->image_height ? jpeg->image_width : jpeg->image_height;
    if (least == 0) return 1;
    while (factor > 1 && side / factor < least) factor /= 2;
    return factor;
}

static void allocate(struct decoder *decoder, uint32_t factor) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg->scale_num = 1;
    jpeg->scale_denom = factor;
    jpeg_calc_output_dimensions(jpeg);
    enum status status = image_init(&decoder->image, decoder->image.mode, jpeg->output_width,
                                    jpeg->output_height, NULL, decoder->err);
    if (status) fail(decoder, status);
    if (factor == 1) return;
    decoder->image.reduction = (struct image_reduction){
        .factor = factor,
        .width = jpeg->image_width,
        .height = jpeg->image_height,
    };
}

/* Chooses the mode by the number of components, as Pillow does. */
static void start(struct decoder *decoder) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg_read_header(jpeg, TRUE);
    decoder->image.mode = IMAGE_MODE_RGB;
    switch (jpeg->num_components) {
    case 1:
        decoder->image.mode = IMAGE_MODE_L;
        jpeg->out_color_space = JCS_GRAYSCALE;
        break;
    case 3: jpeg->out_color_space = JCS_RGB; break;
    case 4:
        decoder->image.mode = IMAGE_MODE_CMYK;
        jpeg->out_color_space = JCS_CMYK;
        break;
    default:
        fail(decoder,
             error_set(decoder->err, STATUS_UNSUPPORTED,
                       "JPEG has %d components, expected 1, 3 or 4", jpeg->num_components));
    }
    check_size(decoder);
    allocate(decoder, choose_factor(decoder));
    jpeg_start_decompress(jpeg);
}

static void read_rows(struct decoder *decoder) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    struct image *image = &decoder->image;
    size_t stride = image->width * image_mode_bytes(image->mode);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = image->pixels + jpeg->output_scanline * stride;
        jpeg_read_scanlines(jpeg, &row, 1);
        /* Adobe writes CMYK inverted; Pillow assumes that all do. */
        if (image->mode != IMAGE_MODE_CMYK) continue;
        for (size_t i = 0; i < stride; i++) row[i] = (uint8_t)~row[i];
    }
    decoder->rows_read = true;
    jpeg_finish_decompress(jpeg);
}

static void decode(struct decoder *decoder) {
    if (setjmp(decoder->failed)) return;
    create(decoder);
    start(decoder);
    read_rows(decoder);
}

enum status jpeg_decode(struct image *out, struct bytes file, const struct image_options *options,
                        struct error *err) {
    struct decoder decoder = {.file = file, .options = options, .err = err};
    decode(&decoder);
    jpeg_destroy_decompress(&decoder.jpeg);
    if (decoder.status) {
        image_free(&decoder.image);
    } else {
        *out = decoder.image;
    }
    return decoder.status;
}
