/* WebP through libwebp. The container is read by its demuxer, so that the first frame
 * of an animation is found and what is cut off is refused; the frame is decoded straight
 * into the canvas. Bit-exact with Pillow, which goes through libwebp's animation decoder
 * and so holds two more canvases. libwebp allocates in proportion to the frame, whose
 * size is checked against the limits before. */
#include "core/image/webp.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

static enum status report(VP8StatusCode code, struct error *err) {
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a WebP decoder");
    return error_set(err, STATUS_UNPROCESSABLE, "WebP: the pixels are damaged (libwebp's code %d)",
                     (int)code);
}

/* Decodes the frame into its place on the canvas, whose other pixels are 0. */
static enum status decode_frame(struct image *canvas, const WebPIterator *frame,
                                struct error *err) {
    int right = frame->x_offset + frame->width;
    int bottom = frame->y_offset + frame->height;
    if (frame->x_offset < 0 || frame->y_offset < 0 || right > (int)canvas->width ||
        bottom > (int)canvas->height)
        return error_set(err, STATUS_UNPROCESSABLE, "WebP: frame to %d, %d on a canvas of %u x %u",
                         right, bottom, canvas->width, canvas->height);
    size_t bytes = image_mode_bytes(canvas->mode);
    size_t stride = canvas->width * bytes;
    size_t size = stride * canvas->height;
    size_t offset = (size_t)frame->y_offset * stride + (size_t)frame->x_offset * bytes;
    if ((uint32_t)frame->width != canvas->width || (uint32_t)frame->height != canvas->height)
        memset(canvas->pixels, 0, size);

    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return error_set(err, STATUS_INTERNAL, "libwebp is not the one this was built for");
    config.output.colorspace = canvas->mode == IMAGE_MODE_RGBA ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = canvas->pixels + offset;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = size - offset;
    VP8StatusCode code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? STATUS_OK : report(code, err);
}

static enum status decode_first(struct image *out, WebPDemuxer *demuxer,
                                const struct image_limits *limits, struct error *err) {
    WebPIterator frame;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame))
        return error_set(err, STATUS_UNPROCESSABLE, "WebP has no frame");
    bool alpha = WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG;
    enum status status = image_init(out, alpha ? IMAGE_MODE_RGBA : IMAGE_MODE_RGB,
                                    WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                                    WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), limits, err);
    if (status == STATUS_OK) {
        status = decode_frame(out, &frame, err);
        if (status) image_free(out);
    }
    WebPDemuxReleaseIterator(&frame);
    return status;
}

enum status webp_decode(struct image *out, struct bytes file, const struct image_options *options,
                        struct error *err) {
    WebPData data = {.bytes = file.data, .size = file.size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer)
        return error_set(err, STATUS_UNPROCESSABLE, "WebP is damaged or cut off after %zu bytes",
                         file.size);
    enum status status = decode_first(out, demuxer, &options->limits, err);
    WebPDemuxDelete(demuxer);
    return status;
}
